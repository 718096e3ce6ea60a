package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// TestView looks at a view while the log grows, and after the ledger was closed.
func TestView(t *testing.T) {
	s := newSite(t, "acme")
	envs := transactions(s.made, "acme", 3)
	i := s.start()
	i.record(envs[0])
	v := i.View()
	want := string(v.Checkpoint().Note)
	i.record(envs[1:]...)
	i.close()
	if v.Size() != s.founded()+1 || string(v.Checkpoint().Note) != want {
		t.Errorf("size %d", v.Size())
	}
	if _, err := v.Record(s.founded()); err != nil {
		t.Error(err)
	}
	for _, read := range map[string]func(uint64) error{
		"record":  func(index uint64) error { _, err := v.Record(index); return err },
		"payload": func(index uint64) error { _, err := v.Payload(index); return err },
		"hash":    func(index uint64) error { _, err := v.StatementHash(index); return err },
	} {
		for _, index := range []uint64{s.founded() + 1, 1 << 40, 1<<64 - 1} {
			if err := read(index); !errors.Is(err, ledger.ErrOutOfRange) {
				t.Errorf("entry %d: %v", index, err)
			}
		}
	}
	if err := s.store.Close(); err == nil {
		t.Error("the store was closed under a view")
	}
	v.Close()
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
}

// TestRecordsStops reads records until the visitor, or the context, has enough.
func TestRecordsStops(t *testing.T) {
	s := newSite(t, "acme")
	l := s.mustOpen()
	defer l.Close()
	if err := l.Grow(600); err != nil {
		t.Fatal(err)
	}
	v := l.View()
	defer v.Close()
	for _, span := range [][2]uint64{{0, 0}, {0, 1}, {0, 256}, {255, 257}, {256, 512}, {100, 600}, {s.founded() + 599, s.founded() + 600}} {
		next := span[0]
		err := v.Records(t.Context(), span[0], span[1], func(r ledger.Record) error {
			if r.Entry.Index != next {
				return fmt.Errorf("entry %d, want %d", r.Entry.Index, next)
			}
			next++
			return nil
		})
		if err != nil || next != span[1] {
			t.Errorf("entries %v: up to %d, %v", span, next, err)
		}
	}
	count := 0
	err := v.Records(t.Context(), 0, 600, func(ledger.Record) error {
		if count++; count == 300 {
			return errBroken
		}
		return nil
	})
	if !errors.Is(err, errBroken) || count != 300 {
		t.Errorf("%d records, %v", count, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Records(ctx, 0, 600, func(ledger.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	for _, span := range [][2]uint64{{0, v.Size() + 1}, {2, 1}, {1 << 63, 1<<63 + 1}} {
		if err := v.Records(t.Context(), span[0], span[1], nil); !errors.Is(err, ledger.ErrOutOfRange) {
			t.Errorf("entries %v: %v", span, err)
		}
	}
}
