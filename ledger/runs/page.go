package runs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged says that stored pages are not what was written.
var ErrDamaged = errors.New("stored data is damaged")

const (
	sealSize = 8
	// pageSize is from where a page takes no more rows.
	pageSize = 16 << 10
	// summaryKeys is the number of the first part of the summary.
	summaryKeys = 1 << 31
	partSize    = 512 << 10
)

// pageKey returns the key that a page is stored under.
func pageKey(prefix byte, run uint64, number uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64([]byte{prefix}, run), number)
}

// seal puts the checksum in front of a page, where room was left for it.
func seal(key, page []byte) {
	sum := sealOf(key, page[sealSize:])
	copy(page, sum[:])
}

func sealOf(key, content []byte) [sealSize]byte {
	h := sha256.New()
	h.Write(key)
	h.Write(content)
	var sum [sha256.Size]byte
	return [sealSize]byte(h.Sum(sum[:0]))
}

// unseal returns the content of a page.
func unseal(key, page []byte) ([]byte, error) {
	if len(page) < sealSize {
		return nil, fmt.Errorf("page %x is missing: %w", key, ErrDamaged)
	}
	if sealOf(key, page[sealSize:]) != [sealSize]byte(page) {
		return nil, fmt.Errorf("page %x: %w", key, ErrDamaged)
	}
	return page[sealSize:], nil
}

// appendRow appends a row to a page; last is the key of the row before, in the
// same page.
func appendRow(page, last, key, value []byte) []byte {
	shared := sharedLength(last, key)
	page = binary.AppendUvarint(page, uint64(shared))
	page = binary.AppendUvarint(page, uint64(len(key)-shared))
	page = binary.AppendUvarint(page, uint64(len(value)))
	return append(append(page, key[shared:]...), value...)
}

func sharedLength(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// takeRow splits the first row off a page. ok is false for bytes that are none.
func takeRow(page []byte) (shared int, rest, value, after []byte, ok bool) {
	s, page, ok1 := takeLength(page)
	r, page, ok2 := takeLength(page)
	v, page, ok3 := takeLength(page)
	if !ok1 || !ok2 || !ok3 || r > len(page) || v > len(page)-r {
		return 0, nil, nil, nil, false
	}
	return s, page[:r], page[r : r+v : r+v], page[r+v:], true
}

// takeLength reads a varint that counts bytes.
func takeLength(b []byte) (n int, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return int(b[0]), b[1:], true
	}
	v, k := binary.Uvarint(b)
	if k <= 0 || v > 1<<30 {
		return 0, nil, false
	}
	return int(v), b[k:], true
}

// find returns the value of a key in a page. It builds no keys: matched is how
// much of the key the last row, which sorts before it, has in common with it.
func find(page, key []byte) (value []byte, ok bool, err error) {
	matched := 0
	for first := true; len(page) > 0; first = false {
		shared, rest, v, after, ok := takeRow(page)
		if !ok || first && shared != 0 {
			return nil, false, fmt.Errorf("a row of a page: %w", ErrDamaged)
		}
		page = after
		if shared > matched {
			continue // differs from the key where the last row did
		}
		if shared < matched {
			return nil, false, nil
		}
		n := sharedLength(rest, key[matched:])
		matched += n
		switch {
		case n == len(rest) && matched == len(key):
			return v, true, nil
		case n < len(rest) && (matched == len(key) || rest[n] > key[matched]):
			return nil, false, nil
		}
	}
	return nil, false, nil
}

// rows reads the rows of a page one after the other.
type rows struct {
	page  []byte
	key   []byte // overwritten by next
	value []byte
}

// next moves to the next row. It returns false at the end of the page.
func (r *rows) next() (bool, error) {
	if len(r.page) == 0 {
		return false, nil
	}
	shared, rest, value, after, ok := takeRow(r.page)
	if !ok || shared > len(r.key) {
		return false, fmt.Errorf("a row of a page: %w", ErrDamaged)
	}
	r.key = append(r.key[:shared], rest...)
	r.value, r.page = value, after
	return true, nil
}

// seek moves to the first row whose key is at least key.
func (r *rows) seek(key []byte) (bool, error) {
	for {
		ok, err := r.next()
		if !ok || err != nil || bytes.Compare(r.key, key) >= 0 {
			return ok, err
		}
	}
}
