package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestClock lets the clock jump. Times of entries never go back; when the clock
// is too far behind them, nothing is recorded until it has caught up.
func TestClock(t *testing.T) {
	s := newSite(t, "acme")
	var now time.Time // set between submissions only
	s.clock = func() time.Time { return now }
	now = s.made.Now
	i := s.start()
	envs := transactions(s.made, "acme", 20)
	last := now
	for n, step := range []struct {
		by       time.Duration // from the last entry
		restart  bool
		recorded bool
	}{
		{by: 0, recorded: true},
		{by: time.Microsecond, recorded: true},
		{by: -time.Second, recorded: true},
		{by: -10 * time.Second, recorded: true},
		{by: -10*time.Second - time.Microsecond},
		{by: -365 * 24 * time.Hour},
		{by: -10 * time.Second, recorded: true},
		{by: 10 * 365 * 24 * time.Hour, recorded: true},
		{by: -10 * 365 * 24 * time.Hour},
		{by: -11 * time.Second, restart: true},
		{by: -time.Second, recorded: true},
		{by: time.Hour, restart: true, recorded: true},
	} {
		now = last.Add(step.by)
		if step.restart {
			i.close()
			i = s.start()
		}
		r := i.submit(envs[n])[0]
		if !step.recorded {
			if !errors.Is(r.Err, ledger.ErrClock) {
				t.Errorf("step %d: %+v, want ErrClock", n, r)
			}
			continue
		}
		if r.Err != nil {
			t.Fatalf("step %d: %v", n, r.Err)
		}
		if now.After(last) {
			last = now
		}
		v := i.View()
		record, err := v.Record(r.Index)
		v.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := record.Entry.SequencedAtMicros; got != last.UnixMicro() {
			t.Errorf("step %d: sequenced at %d, want %d", n, got, last.UnixMicro())
		}
	}
	defer i.close()
	s.wantSize(i.Ledger, s.founded()+8)
}

// TestClockDecides judges claimed times and dates by the time of the entry,
// which is not that of a clock that went back.
func TestClockDecides(t *testing.T) {
	s := newSite(t, "acme")
	now := s.made.Now
	s.clock = func() time.Time { return now }
	i := s.start()
	defer i.close()
	now = now.Add(5 * time.Second)
	i.record(s.made.Transaction("acme", 1))
	now = now.Add(-9 * time.Second)
	claim := func(ahead time.Duration) *tracev1.Envelope {
		s.made.Now = now.Add(9*time.Second + ahead)
		return s.made.Transaction("acme", 1)
	}
	i.record(claim(5 * time.Minute))
	r := i.submit(claim(5*time.Minute + time.Microsecond))[0]
	var refusal *custody.Refusal
	if !errors.As(r.Err, &refusal) || refusal.Limit != "max_stated_ahead_micros" {
		t.Errorf("%+v", r)
	}
}

// TestClockBeforeEpoch founds a ledger by a clock that knows nothing.
func TestClockBeforeEpoch(t *testing.T) {
	s := newSite(t)
	s.clock = func() time.Time { return time.Time{} }
	l := s.mustOpen()
	defer l.Close()
	if got := s.audit(l)[0].Entry.SequencedAtMicros; got != 0 {
		t.Errorf("founded at %d", got)
	}
}
