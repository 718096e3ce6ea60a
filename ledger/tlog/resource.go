package tlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Width is how many hashes a full tile has, and how many entries a full bundle.
const Width = 256

// CheckpointPath is where the checkpoint is.
const CheckpointPath = "checkpoint"

// ErrNotFound says that the log has no such resource, or not yet.
var ErrNotFound = errors.New("the log has no such resource")

// Tile names a tile of hashes or, with Entries, a bundle of entries.
type Tile struct {
	Entries bool
	Level   int // 0 to 63; 0 for entries
	Number  uint64
	Width   int // 1 to 256; 256 is a full one
}

// tileForm matches the path of every tile, and some that are none: ParseTile
// prints what it has read and compares.
var tileForm = regexp.MustCompile(`^tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?$`)

// ParseTile reads a path, without a slash before it. The error wraps ErrNotFound.
func ParseTile(path string) (Tile, error) {
	part := tileForm.FindStringSubmatch(path)
	if part == nil {
		return Tile{}, fmt.Errorf("%q: %w", path, ErrNotFound)
	}
	t := Tile{Entries: part[1] == "entries", Width: Width}
	if !t.Entries {
		t.Level, _ = strconv.Atoi(part[1])
	}
	// At most 21 digits were matched; a number of more than 64 bits is none.
	number, err := strconv.ParseUint(strings.NewReplacer("x", "", "/", "").Replace(part[2]), 10, 64)
	if part[3] != "" {
		t.Width, _ = strconv.Atoi(part[3])
	}
	t.Number = number
	if err != nil || t.Level > 63 || t.Width < 1 || t.String() != path {
		return Tile{}, fmt.Errorf("%q: %w", path, ErrNotFound)
	}
	return t, nil
}

// String returns the path of the tile.
func (t Tile) String() string {
	kind := "entries"
	if !t.Entries {
		kind = strconv.Itoa(t.Level)
	}
	path := fmt.Sprintf("%03d", t.Number%1000)
	for n := t.Number / 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if t.Width < Width {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return "tile/" + kind + "/" + path
}

// available returns how many hashes or entries of the tile a log of a size has.
func (t Tile) available(size uint64) int {
	var count uint64
	if shift := 8 * t.Level; shift < 64 {
		count = size >> shift
	}
	if t.Number > count/Width {
		return 0
	}
	return int(min(count-t.Number*Width, Width))
}

// appendEntry appends an entry to a bundle: its length in two bytes, big-endian,
// and the entry.
func appendEntry(bundle, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
}

// ParseBundle returns the entries of a bundle, which must have this many.
func ParseBundle(bundle []byte, width int) ([]verify.Entry, error) {
	entries := make([]verify.Entry, 0, width)
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, errors.New("entry bundle: it ends within an entry")
		}
		n := 2 + int(binary.BigEndian.Uint16(bundle))
		e, err := verify.ParseEntry(bundle[2:n])
		if err != nil {
			return nil, fmt.Errorf("entry bundle: %w", err)
		}
		entries, bundle = append(entries, e), bundle[n:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("entry bundle: it has %d entries, not %d", len(entries), width)
	}
	return entries, nil
}
