package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// instance is an open ledger whose writer runs.
type instance struct {
	*ledger.Ledger
	t      *testing.T
	anchor *ledger.FileAnchor
	stop   context.CancelFunc
	ended  chan error
}

// start opens a ledger and runs its writer. The test stops it.
func start(t *testing.T, l *verifytest.Ledger, store ledger.Store, anchorPath string, boot ...*tracev1.Envelope) *instance {
	t.Helper()
	anchor, err := ledger.OpenAnchor(anchorPath)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := ledger.Open(t.Context(), ledger.Config{
		Store: store, Anchor: anchor, CheckpointSigner: l.Checkpoints,
		Bootstrap: &tracev1.Bootstrap{Envelopes: append([]*tracev1.Envelope{l.Genesis}, boot...)},
		Now:       func() time.Time { return l.Now },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	i := &instance{Ledger: opened, t: t, anchor: anchor, stop: stop, ended: make(chan error, 1)}
	go func() { i.ended <- opened.Run(ctx) }()
	return i
}

// close stops the writer and returns its error.
func (i *instance) close() error {
	i.stop()
	err := <-i.ended
	i.Close()
	return errors.Join(err, i.anchor.Close())
}

// submit checks and submits envelopes as their signer, and returns the results.
func (i *instance) submit(signer string, envs ...*tracev1.Envelope) []ledger.Result {
	i.t.Helper()
	var items []*ledger.Item
	for _, env := range envs {
		item, err := i.Check(env, signer)
		if err != nil {
			i.t.Fatal(err)
		}
		items = append(items, item)
	}
	results, err := i.Submit(i.t.Context(), items)
	if err != nil {
		i.t.Fatal(err)
	}
	return results
}

func TestRecordAndProve(t *testing.T) {
	l := verifytest.NewLedger(t)
	store := storetest.NewMemory()
	path := filepath.Join(t.TempDir(), "anchor")
	i := start(t, l, store, path, l.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	var envs []*tracev1.Envelope
	for n := range 600 {
		envs = append(envs, l.Transaction("acme", uint64(n+1)))
	}
	results := i.submit("acme", envs...)
	for n := range results {
		r := &results[n]
		if r.Err != nil || r.Already || r.Index != uint64(n+3) {
			t.Fatalf("result %d: %+v", n, r)
		}
		receipt, err := i.Receipt(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Log.VerifyReceipt(envs[n], receipt); err != nil {
			t.Fatal(err)
		}
	}
	again := i.submit("acme", envs[7])[0]
	if again.Err != nil || !again.Already || again.Index != 10 {
		t.Fatalf("retry: %+v", again)
	}
	checkLedger(t, l, i.Ledger, 603)
	if err := i.close(); err != nil {
		t.Fatal(err)
	}

	i = start(t, l, store, path)
	again = i.submit("acme", envs[7])[0]
	if again.Err != nil || !again.Already || again.Index != 10 {
		t.Fatalf("retry after restart: %+v", again)
	}
	receipt, err := i.Receipt(&again)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Log.VerifyReceipt(envs[7], receipt); err != nil {
		t.Fatal(err)
	}
	checkLedger(t, l, i.Ledger, 603)
	v := i.View()
	defer v.Close()
	volumes, err := custody.QueryVolumes(v, custody.Scope{All: true}, custody.NewFilter(), []custody.Dimension{custody.ByCustomer})
	if err != nil {
		t.Fatal(err)
	}
	if len(volumes.Rows) != 1 || volumes.Rows[0].Keys[0] != "own:acme/C-1" || volumes.Rows[0].NetMassGrams.String() != "180300" {
		t.Errorf("volumes %+v", volumes)
	}
	if err := i.close(); err != nil {
		t.Fatal(err)
	}
}

// checkLedger audits everything that the ledger serves, as an auditor would.
func checkLedger(t *testing.T, l *verifytest.Ledger, i *ledger.Ledger, size uint64) {
	t.Helper()
	v := i.View()
	defer v.Close()
	if v.Size() != size {
		t.Fatalf("size %d, want %d", v.Size(), size)
	}
	a := verify.NewAuditor(l.Log, true)
	cp, err := l.Log.OpenCheckpoint(v.Checkpoint().Note)
	if err != nil {
		t.Fatal(err)
	}
	err = v.Records(t.Context(), 0, v.Size(), func(r ledger.Record) error { return a.Add(r.Entry.Bytes(), r.Envelope) })
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Finish(cp); err != nil {
		t.Fatal(err)
	}
}
