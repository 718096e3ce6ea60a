package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
)

func TestMemory(t *testing.T) {
	disks := map[string]*storetest.Memory{}
	storetest.Run(t, func(t *testing.T, dir string) ledger.Store {
		disk, ok := disks[dir]
		if ok {
			disks[dir] = disk.Crash()
		} else {
			disks[dir] = storetest.NewMemory()
		}
		return disks[dir]
	})
}

// set commits head and value, on the head before.
func set(m *storetest.Memory, before, head, value string) error {
	var expected []byte
	if before != "" {
		expected = []byte(before)
	}
	return m.Commit(context.Background(), expected, []ledger.Write{
		{Key: ledger.HeadKey, Value: []byte(head)},
		{Key: []byte("key"), Value: []byte(value)},
	})
}

// values returns what a scan sees, or its error.
func values(t *testing.T, m *storetest.Memory) ([]string, error) {
	t.Helper()
	snapshot, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	var got []string
	err = snapshot.Scan(nil, nil, func(_, value []byte) bool {
		got = append(got, string(value))
		return true
	})
	return got, err
}

func wantValues(t *testing.T, m *storetest.Memory, want ...string) {
	t.Helper()
	got, err := values(t, m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestFaults(t *testing.T) {
	before, after := []string{"1", "old"}, []string{"2", "new"}
	for _, test := range []struct {
		fault       storetest.Fault
		want        error
		now, reopen []string
	}{
		{storetest.None, nil, after, after},
		{storetest.TooLarge, ledger.ErrTooLarge, before, before},
		{storetest.Again, ledger.ErrTryAgain, before, before},
		{storetest.Lost, storetest.ErrFault, before, before},
		{storetest.Applied, storetest.ErrFault, after, after},
		{storetest.Hidden, storetest.ErrFault, before, after},
		{storetest.Phantom, storetest.ErrFault, after, before},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			m := storetest.NewMemory()
			m.OnCommit(func(n int) storetest.Fault {
				if n == 2 {
					return test.fault
				}
				return storetest.None
			})
			if err := set(m, "", "1", "old"); err != nil {
				t.Fatal(err)
			}
			err := set(m, "1", "2", "new")
			if !errors.Is(err, test.want) {
				t.Errorf("commit: %v, want %v", err, test.want)
			}
			wantValues(t, m, test.now...)
			if test.want == storetest.ErrFault {
				if again := set(m, test.now[0], "3", "newer"); again == nil || !errors.Is(again, err) {
					t.Errorf("next commit: %v, want %v", again, err)
				}
			}
			if test.fault == storetest.Again {
				if err := set(m, "1", "1", "old"); err != nil {
					t.Errorf("next commit: %v", err)
				}
			}
			m = m.Crash()
			wantValues(t, m, test.reopen...)
			if err := set(m, test.reopen[0], "3", "newer"); err != nil {
				t.Errorf("commit after reopening: %v", err)
			}
		})
	}
}

func TestCrashDuringCommit(t *testing.T) {
	m := storetest.NewMemory()
	if err := set(m, "", "1", "old"); err != nil {
		t.Fatal(err)
	}
	blocked, release := make(chan bool), make(chan bool)
	m.OnCommit(func(int) storetest.Fault {
		close(blocked)
		<-release
		return storetest.None
	})
	done := make(chan error)
	go func() { done <- set(m, "1", "2", "new") }()
	<-blocked
	wantValues(t, m, "1", "old")
	if err := set(m, "1", "2", "at the same time"); err == nil {
		t.Error("a second commit while one is running: nil")
	}
	snapshot, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	next := m.Crash()
	close(release)
	if err := <-done; err == nil {
		t.Error("commit during a crash: nil")
	}
	if _, err := snapshot.Get(ledger.HeadKey); err == nil || errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("get after a crash: %v", err)
	}
	if _, err := m.Snapshot(); err == nil {
		t.Error("snapshot after a crash: nil")
	}
	wantValues(t, next, "1", "old")
}

func TestOnRead(t *testing.T) {
	m := storetest.NewMemory()
	if err := set(m, "", "1", "value"); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	m.OnRead(func(n int) error {
		if n == 2 {
			return broken
		}
		return nil
	})
	if got, err := values(t, m); !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("scan: %v, %v, want one value and %v", got, err, broken)
	}
	wantValues(t, m, "1", "value")
}

func TestCorrupt(t *testing.T) {
	m := storetest.NewMemory()
	if err := set(m, "", "1", "value"); err != nil {
		t.Fatal(err)
	}
	m.Corrupt([]byte("key"), func(old []byte) []byte {
		old[0] ^= 1
		return old
	})
	wantValues(t, m, "1", "walue")
	m.Corrupt([]byte("other"), func(old []byte) []byte {
		if old != nil {
			t.Errorf("old value %q, want nil", old)
		}
		return []byte("added")
	})
	wantValues(t, m.Crash(), "1", "walue", "added")
	m.Corrupt([]byte("key"), func([]byte) []byte { return nil })
	m.Corrupt([]byte("none"), func([]byte) []byte { return nil })
	wantValues(t, m.Crash(), "1", "added")
}

func TestMemoryIsStrict(t *testing.T) {
	head, long := ledger.Write{Key: ledger.HeadKey}, make([]byte, 1025)
	for _, test := range []struct {
		name   string
		writes []ledger.Write
	}{
		{"no head", []ledger.Write{{Key: []byte("a")}}},
		{"no key", []ledger.Write{head, {}}},
		{"long key", []ledger.Write{head, {Key: long}}},
		{"same key twice", []ledger.Write{head, {Key: []byte("a")}, {Key: []byte("a")}}},
	} {
		m := storetest.NewMemory()
		if err := m.Commit(context.Background(), nil, test.writes); err == nil {
			t.Errorf("commit with %s: nil", test.name)
		}
		if err := m.Commit(context.Background(), nil, []ledger.Write{head}); err != nil {
			t.Errorf("commit after one with %s: %v", test.name, err)
		}
		snapshot, err := m.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err == nil {
			t.Error("close with an open snapshot: nil")
		}
		snapshot.Close()
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
