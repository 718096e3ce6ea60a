package rpc

import (
	"maps"
	"slices"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// columnRows is how many rows a message of columns has: with some elements it
// stays far below the size of a message.
const columnRows = 8192

// columns returns rows of an answer as columns.
func columns(rows []custody.VolumeRow, by []custody.Dimension, names *namer, transactions, elements bool) (*ledgerv1.VolumeColumns, error) {
	c := &ledgerv1.VolumeColumns{
		RowCount: uint32(len(rows)), LineCount: make([]uint64, len(rows)),
		NetMassGrams:             numbers(rows, func(f *custody.Figures) custody.Total { return f.NetMassGrams }),
		PieceCount:               numbers(rows, func(f *custody.Figures) custody.Total { return f.PieceCount }),
		MassWithCompositionGrams: numbers(rows, func(f *custody.Figures) custody.Total { return f.MassWithCompositionGrams }),
	}
	if transactions {
		c.TransactionCount = make([]uint64, len(rows))
	}
	for i := range rows {
		c.LineCount[i] = rows[i].LineCount
		if transactions {
			c.TransactionCount[i] = rows[i].TransactionCount
		}
	}
	for i, d := range by {
		keys, err := keyColumn(rows, i, d, names)
		if err != nil {
			return nil, err
		}
		c.Keys = append(c.GetKeys(), keys)
	}
	if elements {
		c.Elements = elementColumns(rows)
	}
	return c, nil
}

func keyColumn(rows []custody.VolumeRow, at int, d custody.Dimension, names *namer) (*ledgerv1.VolumeKeyColumn, error) {
	c := &ledgerv1.VolumeKeyColumn{Places: make([]uint32, len(rows))}
	places := make(map[string]uint32)
	for i := range rows {
		value := rows[i].Keys[at]
		place, ok := places[value]
		if !ok {
			name, err := names.name(d, value)
			if err != nil {
				return nil, err
			}
			place = uint32(len(places))
			places[value] = place
			c.Values = append(c.GetValues(), &ledgerv1.VolumeKey{Value: value, DisplayName: name})
		}
		c.Places[i] = place
	}
	return c, nil
}

// numbers returns one figure of every row.
func numbers(rows []custody.VolumeRow, of func(*custody.Figures) custody.Total) *ledgerv1.VolumeNumbers {
	n := &ledgerv1.VolumeNumbers{Low: make([]uint64, len(rows))}
	for i := range rows {
		setNumber(n, i, of(&rows[i].Figures))
	}
	return n
}

// setNumber sets the number of a row.
func setNumber(n *ledgerv1.VolumeNumbers, row int, t custody.Total) {
	high, low := t.Halves()
	n.Low[row] = low
	if high != 0 {
		if n.High == nil {
			n.High = make([]uint64, len(n.GetLow()))
		}
		n.High[row] = high
	}
}

// elementColumns returns a column for each element that has mass, in the order of
// atomic numbers.
func elementColumns(rows []custody.VolumeRow) []*ledgerv1.VolumeElementColumn {
	byNumber := make(map[int]*ledgerv1.VolumeElementColumn)
	for i := range rows {
		for _, e := range rows[i].Elements {
			if e.Micrograms.IsZero() {
				continue
			}
			c := byNumber[e.Number]
			if c == nil {
				c = &ledgerv1.VolumeElementColumn{
					Symbol: custody.ElementSymbol(e.Number), MassMicrograms: &ledgerv1.VolumeNumbers{Low: make([]uint64, len(rows))},
				}
				byNumber[e.Number] = c
			}
			setNumber(c.GetMassMicrograms(), i, e.Micrograms)
		}
	}
	var columns []*ledgerv1.VolumeElementColumn
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		columns = append(columns, byNumber[number])
	}
	return columns
}
