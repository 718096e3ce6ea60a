package storetest

import (
	"fmt"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// edges are keys that are easily put in the wrong order, or taken for one
// another.
var edges = contents{
	"\x00\x00":      "after the head",
	"\x00\xff":      "far after the head",
	"\x01":          "low",
	"a":             "a",
	"a\x00":         "a, zero",
	"a\x00\x00":     "a, zero, zero",
	"aa":            "aa",
	"a\xff":         "a, end",
	"a\xff\xff":     "a, end, end",
	"b":             "b",
	"\xff":          "end",
	"\xff\x00":      "end, zero",
	"\xff\xff":      "end, end",
	longKey('m'):    "long",
	longKey('\xff'): "long and last",
}

func testEmpty(s *subject) {
	s.check()
	snapshot := s.snapshot()
	defer snapshot.Close()
	s.wantMissing(snapshot, string(ledger.HeadKey))
	s.wantMissing(snapshot, "a")
}

func testGet(s *subject) {
	s.commit(edges)
	s.check()
	snapshot := s.snapshot()
	defer snapshot.Close()
	for _, key := range []string{"\x02", "a\x00\x00\x00", "a\x01", "ab", "\xff\x01", longKey('n')[:1023], longKey('m')[:1023]} {
		s.wantMissing(snapshot, key)
	}
}

func testScanBounds(s *subject) {
	s.commit(edges)
	snapshot := s.snapshot()
	defer snapshot.Close()
	bounds := [][]byte{nil, {}, ledger.HeadKey, []byte("ab"), []byte("a\xfe"), []byte("c"), []byte("\xfe")}
	for key := range edges {
		bounds = append(bounds, []byte(key))
	}
	for _, from := range bounds {
		for _, to := range bounds {
			if err := compareRange(snapshot, s.want, from, to); err != nil {
				s.Error(err)
			}
		}
	}
}

func testScanStops(s *subject) {
	values := contents{}
	for i := range 300 {
		values[fmt.Sprintf("key %03d", i)] = fmt.Sprint(i)
	}
	s.commit(values)
	snapshot := s.snapshot()
	defer snapshot.Close()
	for _, stop := range []int{1, 2, 3, 100, 299, 300} {
		visited := 0
		err := snapshot.Scan([]byte("key"), nil, func(key, value []byte) bool {
			if want := fmt.Sprintf("key %03d", visited); string(key) != want {
				s.Errorf("scan: %q, want %q", key, want)
			}
			visited++
			return visited < stop
		})
		if err != nil || visited != stop {
			s.Errorf("scan that stops at %d: visited %d, %v", stop, visited, err)
		}
	}
}

func testEmptyValue(s *subject) {
	s.commit(contents{"a": "", "b": "full"})
	s.check()
	s.commit(contents{"a": "full", "b": ""})
	s.check()
	s.reopen()
	s.check()
}

// testValuesAreTheCallers changes values that Get returned.
func testValuesAreTheCallers(s *subject) {
	s.commit(contents{"a": "value"})
	snapshot := s.snapshot()
	defer snapshot.Close()
	for range 2 {
		value, err := snapshot.Get([]byte("a"))
		if err != nil {
			s.Fatal(err)
		}
		clear(value)
		_ = append(value, "more"...)
	}
	s.check()
}
