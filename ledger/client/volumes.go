package client

import (
	"fmt"
	"math/big"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// VolumeRows returns columns as the rows that they are made of. The error is
// ErrProtocol if they are not of one length.
func VolumeRows(c *ledgerv1.VolumeColumns) ([]*ledgerv1.VolumeRow, error) {
	if err := checkColumns(c); err != nil {
		return nil, err
	}
	rows := make([]*ledgerv1.VolumeRow, c.GetRowCount())
	for i := range rows {
		totals := &ledgerv1.VolumeTotals{
			NetMassGrams: numberAt(c.GetNetMassGrams(), i), PieceCount: numberAt(c.GetPieceCount(), i), LineCount: c.GetLineCount()[i],
			MassWithCompositionGrams: numberAt(c.GetMassWithCompositionGrams(), i),
		}
		if counts := c.GetTransactionCount(); len(counts) > 0 {
			totals.TransactionCount = &counts[i]
		}
		for _, e := range c.GetElements() {
			if mass := numberAt(e.GetMassMicrograms(), i); mass != "0" {
				totals.Elements = append(totals.GetElements(), &ledgerv1.ElementMass{Symbol: e.GetSymbol(), MassMicrograms: mass})
			}
		}
		rows[i] = &ledgerv1.VolumeRow{Totals: totals}
		for _, k := range c.GetKeys() {
			rows[i].Keys = append(rows[i].GetKeys(), k.GetValues()[k.GetPlaces()[i]])
		}
	}
	return rows, nil
}

// checkColumns checks that every column has all rows, and that every row has a
// key.
func checkColumns(c *ledgerv1.VolumeColumns) error {
	n := int(c.GetRowCount())
	whole := len(c.GetLineCount()) == n && (len(c.GetTransactionCount()) == 0 || len(c.GetTransactionCount()) == n)
	numbers := []*ledgerv1.VolumeNumbers{c.GetNetMassGrams(), c.GetPieceCount(), c.GetMassWithCompositionGrams()}
	for _, e := range c.GetElements() {
		numbers = append(numbers, e.GetMassMicrograms())
	}
	for _, x := range numbers {
		whole = whole && len(x.GetLow()) == n && (len(x.GetHigh()) == 0 || len(x.GetHigh()) == n)
	}
	for _, k := range c.GetKeys() {
		whole = whole && len(k.GetPlaces()) == n
		for _, place := range k.GetPlaces() {
			whole = whole && int(place) < len(k.GetValues())
		}
	}
	if !whole {
		return fmt.Errorf("%w: columns of volumes that do not have the same %d rows", ErrProtocol, n)
	}
	return nil
}

func numberAt(n *ledgerv1.VolumeNumbers, row int) string {
	number := new(big.Int).SetUint64(n.GetLow()[row])
	if high := n.GetHigh(); len(high) > 0 {
		number.Or(number, new(big.Int).Lsh(new(big.Int).SetUint64(high[row]), 64))
	}
	return number.String()
}
