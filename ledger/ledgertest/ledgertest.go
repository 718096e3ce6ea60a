// Package ledgertest runs ledgers in memory, of any size, for tests of what is
// served of one.
package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

const seller = "acme"

// Ledger is a ledger that records until the test ends.
type Ledger struct {
	*ledger.Ledger
	Made *verifytest.Ledger

	t testing.TB
}

// New founds a ledger with the genesis of made, in memory. Two of the same genesis
// are a fork as soon as they hold more.
func New(t testing.TB, made *verifytest.Ledger) *Ledger {
	t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Config{
		Store: storetest.NewMemory(), Anchor: new(anchor), CheckpointSigner: made.Checkpoints, Now: func() time.Time { return made.Now },
		Bootstrap: &tracev1.Bootstrap{Envelopes: []*tracev1.Envelope{made.Genesis}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return &Ledger{Ledger: l, Made: made, t: t}
}

// Size returns the number of entries.
func (l *Ledger) Size() uint64 {
	v := l.View()
	defer v.Close()
	return v.Size()
}

// Checkpoint returns the latest checkpoint.
func (l *Ledger) Checkpoint() *verify.Checkpoint {
	v := l.View()
	defer v.Close()
	return v.Checkpoint()
}

// Grow records statements until the ledger has a size. The first two admit a
// producer and register its key; all others are its transactions.
func (l *Ledger) Grow(size uint64) {
	l.t.Helper()
	for have := l.Size(); have < size; have = l.Size() {
		switch have {
		case 1:
			l.record(l.Made.Admit(seller, tracev1.Role_ROLE_PRODUCER))
		case 2:
			l.record(l.Made.RegisterKey(seller, verifytest.Key(seller)))
		default:
			var sts []*tracev1.Statement
			for range min(size-have, verify.MaxBatch) {
				sts = append(sts, l.Made.TransactionStatement(seller, 1000))
			}
			l.record(l.Made.SignBatch(verifytest.Key(seller), sts...)...)
		}
	}
}

func (l *Ledger) record(envs ...*tracev1.Envelope) {
	l.t.Helper()
	items := make([]*ledger.Item, len(envs))
	for i, env := range envs {
		p, err := verify.ParsePayload(env.GetPayload())
		if err == nil {
			items[i], err = l.Check(env, p.Statement.GetSigner())
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
	results, err := l.Submit(context.Background(), items)
	for i := range results {
		err = errors.Join(err, results[i].Err)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// anchor is a ledger.Anchor in memory.
type anchor struct {
	point ledger.AnchorPoint
	any   bool
}

func (a *anchor) Last() (ledger.AnchorPoint, bool) { return a.point, a.any }

func (a *anchor) Append(p ledger.AnchorPoint) error {
	a.point, a.any = p, true
	return nil
}

func (a *anchor) Close() error { return nil }
