package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// seedVariable is the environment variable that has the seed of a run to repeat.
const seedVariable = "STORETEST_SEED"

// testModel does what comes to mind, at random, to the store and to a map.
func testModel(s *subject) {
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			s.Fatalf("%s: %v", seedVariable, err)
		}
	}
	s.Logf("%s=%d repeats this run", seedVariable, seed)

	m := &model{subject: s, rand: rand.New(rand.NewPCG(seed, 0))}
	for range 200 {
		m.step()
	}
	m.closeAll()
	s.check()
	s.reopen()
	s.check()
}

// model is a subject with snapshots and what should be in them.
type model struct {
	*subject
	rand      *rand.Rand
	snapshots []ledger.Snapshot
	wants     []contents
}

func (m *model) step() {
	switch m.rand.IntN(20) {
	case 0:
		m.closeAll()
		m.reopen()
	case 1, 2:
		writes := m.next(m.values())
		err := m.store.Commit(context.Background(), []byte("not the head"), writes)
		if !errors.Is(err, ledger.ErrConflict) {
			m.Fatalf("commit on another head: %v, want ErrConflict", err)
		}
	case 3, 4, 5:
		m.snapshots = append(m.snapshots, m.snapshot())
		m.wants = append(m.wants, maps.Clone(m.want))
	case 6, 7:
		m.close()
	case 8, 9, 10:
		m.look()
	default:
		m.commitAndRemove()
	}
}

// commitAndRemove commits values, and takes away some other keys.
func (m *model) commitAndRemove() {
	values := m.values()
	writes := m.next(values)
	removed := contents{}
	for range m.rand.IntN(10) {
		key := m.key()
		if _, ok := values[key]; !ok {
			removed[key] = ""
		}
	}
	for key := range removed {
		writes = append(writes, ledger.Write{Key: []byte(key), Remove: true})
	}
	if err := m.store.Commit(context.Background(), m.head(), writes); err != nil {
		m.Fatalf("commit: %v", err)
	}
	m.committed(writes)
}

// look compares something with one of the snapshots.
func (m *model) look() {
	if len(m.snapshots) == 0 {
		m.check()
		return
	}
	i := m.rand.IntN(len(m.snapshots))
	from, to := []byte(m.key()), []byte(m.key())
	if err := compareRange(m.snapshots[i], m.wants[i], from, to); err != nil {
		m.Fatal(err)
	}
	if err := compare(m.snapshots[i], m.wants[i]); err != nil {
		m.Fatal(err)
	}
	key := m.key()
	if _, ok := m.wants[i][key]; !ok {
		m.wantMissing(m.snapshots[i], key)
	}
}

// close closes the oldest snapshot, if there is one.
func (m *model) close() {
	if len(m.snapshots) > 0 {
		m.snapshots[0].Close()
		m.snapshots, m.wants = m.snapshots[1:], m.wants[1:]
	}
}

func (m *model) closeAll() {
	for len(m.snapshots) > 0 {
		m.close()
	}
}

func (m *model) values() contents {
	values := contents{}
	for range m.rand.IntN(30) {
		values[m.key()] = fmt.Sprintf("%0*d", m.rand.IntN(500), m.rand.Uint32())
	}
	return values
}

// key returns one of a few hundred keys, which is not that of the head.
func (m *model) key() string {
	const letters = "\x00a\xfe\xff"
	key := []byte{"\x01a\xff"[m.rand.IntN(3)]}
	for range m.rand.IntN(5) {
		key = append(key, letters[m.rand.IntN(len(letters))])
	}
	return string(key)
}
