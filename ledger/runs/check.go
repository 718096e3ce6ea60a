package runs

import "slices"

// Place is where a check of a tree has come to: a page of a stored run. The zero
// Place is the beginning.
type Place struct {
	Run  uint64 `json:"run,string"`
	Page uint32 `json:"page"`
}

// Check reads every stored page again, and those of the summaries, from the source
// and not from the cache, in the order of run ids from a place on: so it can go on
// with a later tree, of which some runs were merged. It calls visit after each page
// with the place behind it and the bytes of the page, until that returns false. The
// error is ErrDamaged, or that of the source, for a page that is missing, too.
func (t *Tree) Check(source Source, from Place, visit func(next Place, bytes int) (more bool)) error {
	reader := t.reader(source, nil)
	stored := slices.Clone(t.runs[:t.stored()])
	slices.SortFunc(stored, func(a, b *run) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	for _, r := range stored {
		if r.id < from.Run {
			continue
		}
		first := uint32(0)
		if r.id == from.Run {
			first = from.Page
		}
		pages := uint32(r.pages())
		for n := first; n < pages+r.parts; n++ {
			number := n
			if n >= pages {
				number = summaryKeys + n - pages
			}
			page, err := reader.read(r.id, number)
			if err != nil {
				return err
			}
			if !visit(Place{r.id, n + 1}, len(page)) {
				return nil
			}
		}
	}
	return nil
}
