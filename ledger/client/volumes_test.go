package client_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

func someColumns() *ledgerv1.VolumeColumns {
	return &ledgerv1.VolumeColumns{
		RowCount: 2, LineCount: []uint64{1, 2}, TransactionCount: []uint64{1, 1},
		Keys: []*ledgerv1.VolumeKeyColumn{{
			Values: []*ledgerv1.VolumeKey{{Value: "2026-05"}, {Value: "2026-06"}}, Places: []uint32{1, 0},
		}},
		NetMassGrams: &ledgerv1.VolumeNumbers{Low: []uint64{5, 6}, High: []uint64{0, 1}},
		PieceCount:   &ledgerv1.VolumeNumbers{Low: []uint64{7, 8}}, MassWithCompositionGrams: &ledgerv1.VolumeNumbers{Low: []uint64{5, 0}},
		Elements: []*ledgerv1.VolumeElementColumn{{Symbol: "Nd", MassMicrograms: &ledgerv1.VolumeNumbers{Low: []uint64{9, 0}}}},
	}
}

func TestVolumeRows(t *testing.T) {
	rows, err := client.VolumeRows(someColumns())
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	if got := rows[0]; got.GetKeys()[0].GetValue() != "2026-06" || got.GetTotals().GetNetMassGrams() != "5" || got.GetTotals().GetLineCount() != 1 ||
		got.GetTotals().GetElements()[0].GetMassMicrograms() != "9" || got.GetTotals().GetTransactionCount() != 1 {
		t.Errorf("first row %v", got)
	}
	if got := rows[1].GetTotals(); got.GetNetMassGrams() != "18446744073709551622" || got.GetPieceCount() != "8" || len(got.GetElements()) != 0 {
		t.Errorf("second row %v", got)
	}
}

// TestVolumeColumnsOfALiar gives columns that do not fit together.
func TestVolumeColumnsOfALiar(t *testing.T) {
	for name, lie := range map[string]func(*ledgerv1.VolumeColumns){
		"rows":         func(c *ledgerv1.VolumeColumns) { c.RowCount = 3 },
		"fewer rows":   func(c *ledgerv1.VolumeColumns) { c.RowCount = 1 },
		"lines":        func(c *ledgerv1.VolumeColumns) { c.LineCount = nil },
		"transactions": func(c *ledgerv1.VolumeColumns) { c.TransactionCount = c.TransactionCount[:1] },
		"mass":         func(c *ledgerv1.VolumeColumns) { c.NetMassGrams = nil },
		"high":         func(c *ledgerv1.VolumeColumns) { c.NetMassGrams.High = []uint64{1} },
		"pieces":       func(c *ledgerv1.VolumeColumns) { c.PieceCount.Low = []uint64{1} },
		"composition":  func(c *ledgerv1.VolumeColumns) { c.MassWithCompositionGrams.Low = nil },
		"element":      func(c *ledgerv1.VolumeColumns) { c.Elements[0].MassMicrograms = nil },
		"no key":       func(c *ledgerv1.VolumeColumns) { c.Keys[0].Values = nil },
		"place":        func(c *ledgerv1.VolumeColumns) { c.Keys[0].Places[1] = 2 },
		"places":       func(c *ledgerv1.VolumeColumns) { c.Keys[0].Places = []uint32{0} },
	} {
		c := proto.Clone(someColumns()).(*ledgerv1.VolumeColumns)
		lie(c)
		if _, err := client.VolumeRows(c); !errors.Is(err, client.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
