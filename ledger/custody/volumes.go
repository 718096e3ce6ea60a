package custody

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Dimension is something to group volumes by.
type Dimension int

// Dimensions. Of ByDay, ByMonth and ByYear a question names at most one.
const (
	BySeller Dimension = iota + 1
	ByCustomer
	ByKind
	ByDay
	ByMonth
	ByYear
	ByProductFamily
	ByHSCode
	ByDestinationCountry
	ByEndUse
)

// VolumeRow is the volume of one group.
type VolumeRow struct {
	// Keys has one value for each dimension that was asked for.
	Keys []string
	Figures
}

// Volumes is the answer to a question for volumes.
type Volumes struct {
	// Rows are in ascending order of their keys. No row is empty.
	Rows []VolumeRow
	// Totals adds up the rows.
	Totals Figures
	// CountsTransactions says whether TransactionCount means something: every
	// dimension and filter belongs to the whole transaction.
	CountsTransactions bool
}

// QueryVolumes adds up the latest versions of transactions within a scope. Its
// cost follows the monthly cells that match; days that do not make up whole
// months, or that are asked for one by one, cost their transactions.
func QueryVolumes(r Reader, scope Scope, f Filter, by []Dimension) (*Volumes, error) {
	ps, err := pairs(r, scope, &f)
	if err != nil {
		return nil, err
	}
	sum := &summation{by: by, filter: &f, groups: make(map[string]*VolumeRow)}
	for _, p := range ps {
		if err := sum.addPair(r, p); err != nil {
			return nil, err
		}
	}
	return sum.volumes(), nil
}

type summation struct {
	by     []Dimension
	filter *Filter
	groups map[string]*VolumeRow
}

// cell is the place of a line in all dimensions.
type cell struct {
	pair
	day     Day // any day of the month, when days are not told apart
	kind    tracev1.TransactionKind
	family  tracev1.ProductFamily
	endUse  tracev1.EndUse
	country string
	hsCode  string
}

// addPair adds whole months from cells and other days from transactions.
func (s *summation) addPair(r Reader, p pair) error {
	first, last := s.filter.FirstDay, s.filter.LastDay
	if first > last {
		return nil
	}
	if slices.Contains(s.by, ByDay) {
		return s.addDays(r, p, first, last)
	}
	from, to := first.Month(), last.Month()
	if from.FirstDay() != first {
		end := min(from.LastDay(), last)
		if err := s.addDays(r, p, first, end); err != nil {
			return err
		}
		from++
	}
	if from <= to && to.LastDay() != last {
		if err := s.addDays(r, p, to.FirstDay(), last); err != nil {
			return err
		}
		to--
	}
	if from > to {
		return nil
	}
	return s.addMonths(r, p, from, to)
}

func (s *summation) addMonths(r Reader, p pair, from, to Month) error {
	prefix := key(cellKeys, p.seller, p.customer)
	start := binary.BigEndian.AppendUint32(slices.Clone(prefix), uint32(from)^signBit)
	end := binary.BigEndian.AppendUint32(slices.Clone(prefix), uint32(to+1)^signBit)
	var bad error
	err := r.Scan(start, end, func(k, value []byte) bool {
		c, ok := parseCell(p, k[len(prefix):])
		if !ok {
			bad = fmt.Errorf("%w: a cell", ErrState)
			return false
		}
		if !s.wants(&c) {
			return true
		}
		var figures Figures
		if figures, bad = parseFigures(value); bad == nil && figures.LineCount > 0 {
			s.add(&c, figures)
		}
		return bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}

// parseCell reads what follows seller and customer in the key of a cell.
func parseCell(p pair, k []byte) (cell, bool) {
	if len(k) < 9 {
		return cell{}, false
	}
	return cell{
		pair: p,
		day:  Month(int32(binary.BigEndian.Uint32(k) ^ signBit)).FirstDay(),
		kind: tracev1.TransactionKind(k[4]), family: tracev1.ProductFamily(k[5]), endUse: tracev1.EndUse(k[6]),
		country: string(bytes.TrimRight(k[7:9], "\x00")), hsCode: string(k[9:]),
	}, true
}

func (s *summation) addDays(r Reader, p pair, first, last Day) error {
	var live []uint64
	err := scanListing(r, p, first, last, nil, func(row listed) bool {
		if row.next.how == 0 {
			live = append(live, row.index)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, index := range live {
		v, err := versionAt(r, index)
		if err != nil {
			return err
		}
		if v == nil {
			return fmt.Errorf("%w: listing of statement %d", ErrState, index)
		}
		for i, line := range v.tx.GetLines() {
			c := cell{
				pair: p, day: v.day, kind: v.tx.GetKind(), family: line.GetProductFamily(), endUse: v.tx.GetEndUse(),
				country: v.tx.GetDestinationCountry(), hsCode: line.GetHsCode(),
			}
			if s.wants(&c) {
				s.add(&c, figuresOf(line, i == 0))
			}
		}
	}
	return nil
}

func (s *summation) wants(c *cell) bool {
	f := s.filter
	return in(f.Kinds, c.kind) && in(f.ProductFamilies, c.family) && in(f.EndUses, c.endUse) &&
		in(f.DestinationCountries, c.country) && in(f.HSCodes, c.hsCode)
}

func (s *summation) add(c *cell, figures Figures) {
	keys := make([]string, len(s.by))
	for i, d := range s.by {
		keys[i] = c.value(d)
	}
	name := strings.Join(keys, "\x00")
	row := s.groups[name]
	if row == nil {
		row = &VolumeRow{Keys: keys}
		s.groups[name] = row
	}
	row.Add(figures)
}

func (c *cell) value(d Dimension) string {
	switch d {
	case BySeller:
		return c.seller
	case ByCustomer:
		return c.customer
	case ByKind:
		return c.kind.String()
	case ByDay:
		return c.day.String()
	case ByMonth:
		return c.day.Month().String()
	case ByYear:
		return fmt.Sprintf("%04d", c.day.Month().Year())
	case ByProductFamily:
		return c.family.String()
	case ByHSCode:
		return c.hsCode
	case ByDestinationCountry:
		return c.country
	case ByEndUse:
		return c.endUse.String()
	}
	panic(fmt.Sprintf("dimension %d", d))
}

func (s *summation) volumes() *Volumes {
	v := &Volumes{CountsTransactions: !s.filter.narrowsLines() &&
		!slices.Contains(s.by, ByProductFamily) && !slices.Contains(s.by, ByHSCode)}
	for _, row := range s.groups {
		v.Rows = append(v.Rows, *row)
		v.Totals.Add(row.Figures)
	}
	slices.SortFunc(v.Rows, func(a, b VolumeRow) int { return slices.Compare(a.Keys, b.Keys) })
	return v
}

// CustomerName returns the name of a customer for people: that of the
// participant, or the one that a seller within the scope stated last. It is
// empty when there is none.
func CustomerName(r Reader, scope Scope, customer string) (string, error) {
	if id, ok := strings.CutPrefix(customer, "participant:"); ok {
		return ParticipantName(r, id)
	}
	sellers := scope.Sellers
	if scope.All {
		sellers = nil
		err := eachPartner(r, customerKeys, []string{customer}, func(_, seller string) { sellers = append(sellers, seller) })
		if err != nil {
			return "", err
		}
	}
	for _, seller := range sellers {
		name, err := r.Get(key(sellerKeys, seller, customer))
		if err != nil || name != nil {
			return string(name), err
		}
	}
	return "", nil
}

// ParticipantName returns the name of a participant for people, or "".
func ParticipantName(r Lookup, id string) (string, error) {
	p, err := ParticipantByID(r, id)
	if err != nil {
		return "", err
	}
	if latin := p.GetName().GetLatin(); latin != "" {
		return latin, nil
	}
	return p.GetName().GetNative(), nil
}
