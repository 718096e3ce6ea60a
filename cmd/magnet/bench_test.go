package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func TestHistogramIsTrueToAPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(1) << random.IntN(62)
		d += time.Duration(random.Int64N(int64(d)))
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.1, 0.5, 0.99, 0.999} {
		got, want := h.quantile(q), all[int(q*float64(len(all)))]
		if diff := max(got, want) - min(got, want); float64(diff) > 0.01*float64(want) {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if h.count() != int64(len(all)) {
		t.Errorf("counted %d of %d", h.count(), len(all))
	}
	for _, d := range []time.Duration{-1, 0, 1, 127, 128, 255, 256, 1<<63 - 1} {
		var h histogram
		h.add(d)
		if got, want := h.quantile(0.5), max(0, d); float64(max(got, want)-min(got, want)) > 0.01*float64(want) {
			t.Errorf("%d came back as %d", want, got)
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("nothing took %v", got)
	}
}

func TestStatementsHaveTheSizeAskedFor(t *testing.T) {
	for _, lines := range []int{1, 3, 40, 1000} {
		m := &statements{author: &client.Author{ID: "producer-0"}, customers: 500, lines: lines}
		least, most := m.reach()
		if lines == 1 && (least > 300 || most < 650) {
			t.Errorf("one line reaches from %d to %d bytes", least, most)
		}
		for _, size := range []int{least, least + 7, (least + most) / 2, most - 5, most} {
			m.size = size
			for _, i := range []int{0, 17, 4999, 123_456} {
				tx := m.statement(i).GetTransaction()
				if got := m.bytes(tx); got < size-8 || got > size+8 {
					t.Errorf("%d lines, statement %d: %d bytes, want %d", lines, i, got, size)
				}
				if v := custody.CheckTransaction(tx, custody.DefaultRuleParameters()); len(v) > 0 {
					t.Fatalf("%d lines, %d bytes: %v", lines, size, v)
				}
			}
		}
	}
}

func TestSupplyGivesEveryStatementOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &supply{chunks: make(chan []*tracev1.Envelope, 3), over: ctx.Done()}
	for _, sizes := range [][]int{{10, 10, 10, 10, 10}, {100, 1}, {1}} {
		var chunk []*tracev1.Envelope
		for _, n := range sizes {
			chunk = append(chunk, &tracev1.Envelope{Payload: make([]byte, n)})
		}
		s.chunks <- chunk
	}
	var got []int
	for range 5 {
		got = append(got, len(s.take(3, 35)))
	}
	if want := []int{3, 2, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	if s.taken != 8 || s.payload != 152 {
		t.Errorf("counted %d statements of %d bytes", s.taken, s.payload)
	}
	time.AfterFunc(time.Millisecond, cancel)
	if more := s.take(1, 100); more != nil {
		t.Errorf("took %d when the time was over", len(more))
	}
	close(s.chunks)
	s.over = nil
	if more := s.take(1, 100); more != nil {
		t.Errorf("took %d when there were none", len(more))
	}
}

func TestRecentForgetsWhatIsOld(t *testing.T) {
	var r recent
	select {
	case <-r.begun():
		t.Error("begun with nothing")
	default:
	}
	r.add([]byte("no entry"))
	for i := range 3 * len(r.indexes) {
		entry := make([]byte, 82)
		entry[1] = 1 // version
		entry[7], entry[8], entry[9] = byte(i>>16), byte(i>>8), byte(i)
		r.add(entry)
	}
	<-r.begun()
	for range 100 {
		if i := r.any(); i < uint64(2*len(r.indexes)) {
			t.Fatalf("remembers index %d of %d", i, 3*len(r.indexes))
		}
	}
}
