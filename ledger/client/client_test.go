package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestCardRoundTrip(t *testing.T) {
	card := newWorld(t).card()
	path := filepath.Join(t.TempDir(), "ledger.card")
	for range 2 { // the second replaces the first
		if err := client.WriteCard(path, card); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.ReadCard(path)
	if err != nil || !proto.Equal(got, card) {
		t.Errorf("read %v, %v", got, err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("%d files were left", len(list))
	}
}

func TestPinRefuses(t *testing.T) {
	good := newWorld(t).card()
	for name, edit := range map[string]func(*tracev1.LedgerCard){
		"short id": func(c *tracev1.LedgerCard) { c.LedgerId = c.GetLedgerId()[1:] },
		"no vkey":  func(c *tracev1.LedgerCard) { c.CheckpointVkey = "" },
	} {
		card := proto.CloneOf(good)
		edit(card)
		if _, err := client.Pin(card); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	c, env := w.dial("acme", nil), w.envelope("INV-1")
	if r, err := c.Validate(t.Context(), env); r != nil || err != nil {
		t.Fatalf("validated %v, %v", r, err)
	}
	first, err := c.Submit(t.Context(), env)
	if err != nil || first.Already {
		t.Fatal(first, err)
	}
	if _, err := w.book.Log.VerifyReceipt(env, first.Receipt); err != nil {
		t.Error(err)
	}
	for name, submit := range map[string]func(context.Context, *tracev1.Envelope) (*client.Recorded, error){
		"submitted again": c.Submit, "validated": c.Validate,
	} {
		if again, err := submit(t.Context(), env); err != nil || !again.Already || again.Entry != first.Entry {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
	w.check([]*tracev1.Envelope{env})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	c := w.dial("acme", nil)
	foreign := w.book.Transaction("buyer", 1)
	_, err := c.Submit(t.Context(), foreign)
	if got := reasonOf(err); got != tracev1.RefusalReason_REFUSAL_REASON_PEER_NOT_SIGNER || status.Code(err) != codes.PermissionDenied {
		t.Errorf("unary: %v, %v", got, err)
	}
	bad := w.book.TransactionStatement("acme", 0)
	env := w.book.Sign(verifytest.Key("acme"), bad)
	_, err = c.Validate(t.Context(), env)
	var refusal *client.RefusalError
	if !errors.As(err, &refusal) || len(refusal.Refusal.GetViolations()) == 0 || refusal.Retryable() {
		t.Errorf("violations: %v", err)
	}
	good := w.envelope("INV-1")
	outcomes := submitAll(t, c, []*tracev1.Envelope{foreign, good, env})
	if outcomes[0].Refusal == nil || outcomes[1].Recorded == nil || outcomes[2].Refusal == nil {
		t.Errorf("stream: %+v", outcomes)
	}
	w.check([]*tracev1.Envelope{good})
}

func TestCompare(t *testing.T) {
	w := newWorld(t)
	c := w.dial("acme", nil)
	if _, err := c.Submit(t.Context(), w.envelope("INV")); err != nil {
		t.Fatal(err)
	}
	again := w.envelope("INV") // another salt
	if _, err := c.Submit(t.Context(), again); reasonOf(err) != tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS {
		t.Fatal(err)
	}
	other, err := w.author("acme").SignAll([]*verify.Payload{w.transaction("INV-0", 77)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for env, same := range map[*tracev1.Envelope]bool{again: true, other[0]: false} {
		got, err := c.Compare(t.Context(), env)
		if err != nil || got.Same != same || got.Index != uint64(1+len(w.acts)) {
			t.Errorf("got %+v, %v, want same %v", got, err, same)
		}
	}
}

func TestBundle(t *testing.T) {
	w := newWorld(t)
	c, env := w.dial("acme", nil), w.envelope("INV-1")
	if _, err := c.Submit(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	hash := verifytest.StatementHash(env)
	bundle, err := c.Bundle(t.Context(), &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hash[:]}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "receipt.json")
	if err := client.WriteBundle(path, bundle); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	read, err := client.ReadBundle(path)
	if err != nil || !proto.Equal(read, bundle) || len(read.GetKeyRegistrations()) != 1 {
		t.Fatalf("read %v, %v", read, err)
	}
	if _, err := w.book.Log.VerifyBundle(read); err != nil {
		t.Error(err)
	}
	// A key that the genesis names needs no registration.
	if b, err := c.Bundle(t.Context(), &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: 1}}); err != nil || len(b.GetKeyRegistrations()) != 0 {
		t.Errorf("by the authority: %v, %v", b, err)
	}
}

// Who is not believed, or does not believe, is told so at once and by name.
func TestConnectionRefused(t *testing.T) {
	w := newWorld(t)
	other := certstest.New(t, trustDomain)
	started := time.Now()
	c := w.dial("acme", func(cfg *client.Config) {
		cfg.Patience = time.Hour
		cfg.Card.CaPem = string(certs.EncodeCertificates(other.Authority().Certificate))
	})
	var unknown x509.UnknownAuthorityError
	if _, err := c.Checkpoint(t.Context()); !errors.As(err, &unknown) {
		t.Errorf("other authority: %v", err)
	}
	err := c.SubmitAll(t.Context(), from(w.envelopes("INV", 1, 1)), func(client.Outcome) error { return nil })
	if !errors.As(err, &unknown) {
		t.Errorf("other authority, stream: %v", err)
	}
	c = w.dial("acme", func(cfg *client.Config) { cfg.Card.TrustDomain, cfg.Patience = "other.test", time.Hour })
	if _, err := c.Checkpoint(t.Context()); !errors.Is(err, certs.ErrNotLedger) {
		t.Errorf("other trust domain: %v", err)
	}
	c = w.dial("nobody", nil)
	if _, err := c.Checkpoint(t.Context()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("not admitted: %v", err)
	}
	if d := time.Since(started); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestReloaderIsUsed(t *testing.T) {
	w := newWorld(t)
	reloader, err := certs.NewReloader(w.ca.WriteFiles(t.TempDir(), w.ca.Participant("acme")), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := w.dial("nobody", func(cfg *client.Config) { cfg.Reloader = reloader })
	if _, err := c.Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
}

// A call that fails for a while succeeds; one that cannot succeed is not made
// again.
func TestUnaryRetry(t *testing.T) {
	w := newWorld(t)
	failures, calls := 0, 0
	var failure error
	c := w.dial("acme", lies(grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if calls++; calls <= failures {
				return failure
			}
			return next(ctx, method, req, reply, cc, opts...)
		})))
	for _, test := range []struct {
		name    string
		failure error
		calls   int
	}{
		{"unavailable", status.Error(codes.Unavailable, "away"), 4},
		{"queue full", queueFull(t), 4},
		{"message too large", status.Error(codes.ResourceExhausted, "larger than max"), 1},
		{"denied", status.Error(codes.PermissionDenied, "no"), 1},
	} {
		failures, calls, failure = 3, 0, test.failure
		_, err := c.Checkpoint(t.Context())
		if calls != test.calls || (err == nil) != (test.calls > failures) {
			t.Errorf("%s: %d calls, want %d, error %v", test.name, calls, test.calls, err)
		}
	}
	failures, calls, failure = 1e9, 0, status.Error(codes.Unavailable, "away")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Checkpoint(ctx); !errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.OK {
		t.Errorf("deadline: %v", err)
	}
}
