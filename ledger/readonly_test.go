package ledger_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
)

// wantReadOnly tests that a ledger is read-only for a reason, "" if it is not.
func wantReadOnly(t *testing.T, l *ledger.Ledger, want ledger.Reason) {
	t.Helper()
	got := ledger.Reason("")
	e := l.ReadOnly()
	if e != nil {
		got = e.Reason
	}
	if got != want {
		t.Errorf("read-only for %q, want %q", got, want)
	}
	if err := l.Writable(); (err == nil) != (want == "") || err != nil && !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("writable: %v", err)
	}
}

// wantRefused tests that an error refuses for a reason.
func wantRefused(t *testing.T, err error, want ledger.Reason) {
	t.Helper()
	var e *ledger.ReadOnlyError
	if !errors.As(err, &e) || e.Reason != want || !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("%v, want a refusal for %q", err, want)
	}
}

// TestNoSpace has the store refuse to write for a while: what is in the commit, in
// the batch after it and in the queue is refused, nothing of it is recorded, and
// the writer goes on by itself when there is space again.
func TestNoSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "acme")
		s.limits = ledger.Limits{CommitStatements: 3}
		envs := transactions(s.made, "acme", 20)
		i := s.start()
		before := i.record(envs[:2]...)
		var space atomic.Bool
		storing := make(gate)
		i.disk.OnCommit(func(n int) storetest.Fault {
			if n == 1 {
				storing.pass()
			}
			if space.Load() {
				return storetest.None
			}
			return storetest.Again
		})
		var answers []<-chan answer
		for _, group := range [][2]int{{2, 3}, {2, 9}, {9, 11}} {
			answers = append(answers, i.submitAsync(t.Context(), envs[group[0]:group[1]]...))
			synctest.Wait()
		}
		storing.open()
		for n, a := range answers {
			got := <-a
			if got.err != nil {
				wantRefused(t, got.err, ledger.NoSpace)
			}
			for _, r := range got.results {
				if r.Err == nil {
					t.Errorf("group %d: recorded: %+v", n, r)
				}
				wantRefused(t, r.Err, ledger.NoSpace)
			}
		}
		wantReadOnly(t, i.Ledger, ledger.NoSpace)
		s.checkReceipt(i.Ledger, envs[0], &before[0], s.founded())
		s.wantSize(i.Ledger, s.founded()+2)
		for range 3 {
			time.Sleep(time.Second)
			synctest.Wait()
			_, err := i.Submit(t.Context(), i.check(envs[3:5]...))
			wantRefused(t, err, ledger.NoSpace)
		}
		space.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		wantReadOnly(t, i.Ledger, "")
		for n, r := range i.record(envs...) {
			if r.Index != s.founded()+uint64(n) || r.Already != (n < 2) {
				t.Errorf("statement %d: %+v", n, r)
			}
		}
		i.close()
		i = s.start()
		s.wantSize(i.Ledger, s.founded()+20)
		s.wantReplayed(i.Ledger)
		i.close()
	})
}

// TestNoSpaceAtRandom has commits and merges refused at random, among others that
// succeed. Whatever is retried until it is recorded is there once, and follows from
// the log.
func TestNoSpaceAtRandom(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random, faults := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			s := newSite(t, "acme")
			s.limits = ledger.Limits{CommitStatements: 4, StateRows: 20}
			envs := transactions(s.made, "acme", 120)
			i := s.start()
			i.disk.OnCommit(func(int) storetest.Fault {
				if faults.IntN(3) == 0 {
					return storetest.Again
				}
				return storetest.None
			})
			for first := 0; first < len(envs); {
				n := min(1+random.IntN(20), len(envs)-first)
				results, err := i.Submit(t.Context(), i.check(envs[first:first+n]...))
				whole := err == nil
				for _, r := range results {
					whole = whole && r.Err == nil
				}
				if whole {
					first += n
					continue
				}
				time.Sleep(100 * time.Millisecond)
			}
			size := s.founded() + uint64(len(envs))
			s.wantSize(i.Ledger, size)
			s.wantReplayed(i.Ledger)
			if err := i.end(); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			s.memory().OnCommit(nil)
			i = s.start()
			s.wantSize(i.Ledger, size)
			s.wantReplayed(i.Ledger)
			i.close()
		})
	}
}

// TestDoubt: after doubt nothing more is recorded until the ledger is opened again;
// what is sound is answered.
func TestDoubt(t *testing.T) {
	s := newSite(t, "acme")
	envs := transactions(s.made, "acme", 10)
	i := s.start()
	before := i.record(envs[:2]...)
	i.Doubt(errors.New("a bit of /data/store/000001.sst"))
	i.Doubt(errors.New("another"))
	wantReadOnly(t, i.Ledger, ledger.Damaged)
	_, err := i.Submit(t.Context(), i.check(envs[2:4]...))
	wantRefused(t, err, ledger.Damaged)
	if strings.Contains(err.Error(), "sst") {
		t.Errorf("tells participants about files: %v", err)
	}
	if e := i.ReadOnly(); !strings.Contains(e.Detail(), "000001.sst") {
		t.Errorf("the operator is told: %s", e.Detail())
	}
	s.checkReceipt(i.Ledger, envs[0], &before[0], s.founded())
	i.close()
	wantReadOnly(t, i.Ledger, ledger.Damaged)
	i = s.start()
	wantReadOnly(t, i.Ledger, "")
	i.record(envs...)
	i.close()
	wantReadOnly(t, i.Ledger, ledger.Stopped)
}

// TestViewAfterClose does not wait, and answers nothing.
func TestViewAfterClose(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	i.record(transactions(s.made, "acme", 2)...)
	i.close()
	done := make(chan error, 1)
	go func() {
		v := i.View()
		defer v.Close()
		_, err := v.Record(0)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("a record of a closed ledger: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("waits")
	}
	i.Ledger.Close() // once more
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
}
