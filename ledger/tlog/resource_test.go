package tlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
)

func TestParseTile(t *testing.T) {
	for path, want := range map[string]tlog.Tile{
		"tile/0/000":                               {Width: 256},
		"tile/0/000.p/1":                           {Width: 1},
		"tile/63/999.p/255":                        {Level: 63, Number: 999, Width: 255},
		"tile/1/x001/x234/067":                     {Level: 1, Number: 1234067, Width: 256},
		"tile/entries/x001/000.p/16":               {Entries: true, Number: 1000, Width: 16},
		"tile/0/x018/x446/x744/x073/x709/x551/615": {Number: 1<<64 - 1, Width: 256},
	} {
		got, err := tlog.ParseTile(path)
		if err != nil || got != want || got.String() != path {
			t.Errorf("%s: got %+v, %v", path, got, err)
		}
	}
	for _, path := range strings.Split(`,tile,tile/,/tile/0/000,tile/0/000/,tile//000,tile/00/000,tile/01/000,tile/64/000,tile/-1/000,tile/0/0,tile/0/00,`+
		`tile/0/0000,tile/0/x000/001,tile/0/x001,tile/0/001/002,tile/0/x1/002,tile/0/x001/x002,tile/0/000.p/0,tile/0/000.p/256,tile/0/000.p/01,`+
		`tile/0/000.p/,tile/0/000.p,tile/0/000.p/1/,tile/0/000.P/1,tile/0/000p/1,tile/0/+00,tile/0/٠٠٠,tile/Entries/000,tile/entries,tile/data/000,checkpoint/,`+
		`tile/0/x018/x446/x744/x073/x709/x551/616,tile/0/x999/x999/x999/x999/x999/x999/999,tile/0/x001/x001/x446/x744/x073/x709/x551/615,tile/0/000 ,tile/0/000`+"\n",
		",") {
		if got, err := tlog.ParseTile(path); !errors.Is(err, tlog.ErrNotFound) {
			t.Errorf("%q: got %+v, %v, want ErrNotFound", path, got, err)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	f.Add("tile/0/x001/x234/067.p/16")
	f.Add("tile/entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := tlog.ParseTile(path); err == nil && tile.String() != path {
			t.Errorf("%q is read as %+v, which is %q", path, tile, tile)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add([]byte{0, 1, 2}, 1)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		if width < 0 || width > tlog.Width {
			return
		}
		entries, err := tlog.ParseBundle(b, width)
		if err == nil && (len(entries) != width || len(b) != 84*width) {
			t.Errorf("%d entries of %d bytes, want %d", len(entries), len(b), width)
		}
	})
}
