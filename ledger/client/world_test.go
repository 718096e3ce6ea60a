package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

const trustDomain = "ledger.test"

// world is a ledger with its server, which can be stopped and started again on
// the same store, and the participants acme (a producer), buyer (a customer) and
// regulator.
type world struct {
	t      *testing.T
	book   *verifytest.Ledger
	ca     *certstest.CA
	store  *storetest.Memory
	anchor *ledger.FileAnchor
	acts   []*tracev1.Envelope // after the genesis
	limits ledger.Limits
	addr   string

	ledger *ledger.Ledger
	stop   func() // stops the server and the writer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, book: verifytest.NewLedger(t), ca: certstest.New(t, trustDomain), store: storetest.NewMemory(), addr: "127.0.0.1:0"}
	for id, role := range map[string]tracev1.Role{
		"acme": tracev1.Role_ROLE_PRODUCER, "buyer": tracev1.Role_ROLE_CUSTOMER, "regulator": tracev1.Role_ROLE_REGULATOR,
	} {
		w.acts = append(w.acts, w.book.Register(id, role)...)
	}
	var err error
	if w.anchor, err = ledger.OpenAnchor(filepath.Join(t.TempDir(), "anchor")); err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		w.anchor.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start opens the ledger and serves it, at the address of the last time.
func (w *world) start() {
	w.t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Config{
		Store: w.store, Anchor: w.anchor, CheckpointSigner: w.book.Checkpoints, Limits: w.limits,
		Bootstrap: &tracev1.Bootstrap{Envelopes: append([]*tracev1.Envelope{w.book.Genesis}, w.acts...)},
		Now:       func() time.Time { return w.book.Now },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	server, err := rpc.New(rpc.Config{Ledger: l, TLS: w.ca.ServerConfig(), TrustDomain: trustDomain})
	if err != nil {
		w.t.Fatal(err)
	}
	lis, err := net.Listen("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(ctx, lis, 0) })
	wg.Go(func() { l.Run(ctx) })
	w.ledger, w.addr = l, lis.Addr().String()
	w.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		l.Close()
	})
}

func (w *world) card() *tracev1.LedgerCard {
	id := w.book.Log.ID()
	return &tracev1.LedgerCard{
		LedgerId: id[:], CheckpointVkey: w.book.Log.CheckpointVKey(), Address: w.addr, TrustDomain: trustDomain,
		CaPem: string(certs.EncodeCertificates(w.ca.Authority().Certificate)),
	}
}

// dial returns a client of a participant. edit, unless nil, changes its
// configuration.
func (w *world) dial(id string, edit func(*client.Config)) *client.Client {
	w.t.Helper()
	cfg := client.Config{Card: w.card(), Certificate: w.ca.Participant(id), Timeout: 5 * time.Second, Patience: 5 * time.Second}
	if edit != nil {
		edit(&cfg)
	}
	c, err := client.Dial(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func lies(options ...grpc.DialOption) func(*client.Config) {
	return func(cfg *client.Config) { cfg.Options = options }
}

func (w *world) author(id string) *client.Author {
	return &client.Author{ID: id, Signer: verifytest.Key(id), Log: w.book.Log}
}

// transaction returns what acme states about its transaction with a number.
func (w *world) transaction(number string, grams uint64) *verify.Payload {
	w.t.Helper()
	st := w.book.TransactionStatement("acme", grams)
	st.GetTransaction().TransactionNumber = number
	p, err := w.author("acme").Payload(st, client.TransactionID(w.book.Log.ID(), "acme", number), w.book.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// envelopes returns n transactions of acme, signed in batches.
func (w *world) envelopes(prefix string, n, batch int) []*tracev1.Envelope {
	w.t.Helper()
	payloads := make([]*verify.Payload, n)
	for i := range payloads {
		payloads[i] = w.transaction(fmt.Sprintf("%s-%d", prefix, i), uint64(i+1))
	}
	envs, err := w.author("acme").SignAll(payloads, batch)
	if err != nil {
		w.t.Fatal(err)
	}
	return envs
}

func (w *world) envelope(number string) *tracev1.Envelope {
	w.t.Helper()
	return w.envelopes(number, 1, 1)[0]
}

// from is a source of envelopes.
func from(envs []*tracev1.Envelope) iter.Seq2[*tracev1.Envelope, error] {
	return func(yield func(*tracev1.Envelope, error) bool) {
		for _, env := range envs {
			if !yield(env, nil) {
				return
			}
		}
	}
}

// submitAll submits envelopes and returns the outcomes in their order. It ends
// the test unless each has exactly one.
func submitAll(t *testing.T, c *client.Client, envs []*tracev1.Envelope) []client.Outcome {
	t.Helper()
	outcomes := make([]client.Outcome, len(envs))
	seen := make(map[uint64]bool)
	err := c.SubmitAll(t.Context(), from(envs), func(o client.Outcome) error {
		if seen[o.Position] || o.Envelope != envs[o.Position] || (o.Recorded == nil) == (o.Refusal == nil) {
			return fmt.Errorf("outcome %d: %+v", o.Position, o)
		}
		seen[o.Position], outcomes[o.Position] = true, o
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(envs) {
		t.Fatalf("%d outcomes of %d", len(seen), len(envs))
	}
	return outcomes
}

// size returns the size of the log.
func (w *world) size() uint64 {
	v := w.ledger.View()
	defer v.Close()
	return v.Size()
}

// check audits the ledger through a server without faults, and makes sure that
// it holds exactly the envelopes beside the bootstrap.
func (w *world) check(envs []*tracev1.Envelope) {
	w.t.Helper()
	report, err := w.dial("regulator", nil).Audit(w.t.Context(), verify.NewAuditor(w.book.Log, true), client.AuditOptions{})
	if err != nil || !report.Sound() {
		w.t.Fatalf("audit: %v, findings %v", err, report.Findings)
	}
	v := w.ledger.View()
	defer v.Close()
	var got, want []string
	err = v.Records(w.t.Context(), uint64(1+len(w.acts)), v.Size(), func(r ledger.Record) error {
		got = append(got, r.Entry.StatementHash.String())
		return nil
	})
	for _, env := range envs {
		want = append(want, verifytest.StatementHash(env).String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		w.t.Fatalf("the ledger holds %d statements, want %d, error %v", len(got), len(want), err)
	}
}

// reasonOf returns the reason of a refusal, or UNSPECIFIED.
func reasonOf(err error) tracev1.RefusalReason {
	var refusal *client.RefusalError
	if errors.As(err, &refusal) {
		return refusal.Refusal.GetReason()
	}
	return tracev1.RefusalReason_REFUSAL_REASON_UNSPECIFIED
}
