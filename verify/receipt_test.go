package verify_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestVerifyReceipt(t *testing.T) {
	s := newSample(t)
	for index := range s.Size() {
		for _, size := range []uint64{index + 1, s.Size()} {
			p, err := s.Log.VerifyReceipt(s.Envelopes[index], s.Receipt(index, size))
			if err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
			if p.Entry != s.Entries[index] || p.Checkpoint.Size != size || p.Checkpoint.Root != s.Tree.Root(size) ||
				!bytes.Equal(p.Payload.Bytes, s.Envelopes[index].Payload) || !bytes.Equal(hashOf(p.Key), s.Envelopes[index].KeyId) {
				t.Errorf("entry %d of %d: proven is %+v", index, size, p)
			}
		}
	}
}

func hashOf(k *verify.PublicKey) []byte {
	id := k.ID()
	return id[:]
}

// TestTamperedReceipt flips each byte of statement and receipt, in each form
// and algorithm. What passes must be a checkpoint that says the same: base64
// has bits that it does not use.
func TestTamperedReceipt(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for _, index := range []uint64{0, acmeSale, boltBatch + 1} {
		eachFlip(s.Proven(index), 1, func(name string, changed *tracev1.ProvenStatement) {
			p, err := s.Log.VerifyReceipt(changed.GetEnvelope(), changed.GetReceipt())
			if err == nil && strings.HasPrefix(name, "receipt.checkpoint ") &&
				p.Entry == s.Entries[index] && p.Checkpoint.Size == s.Size() && p.Checkpoint.Root == s.Tree.Root(s.Size()) {
				return
			}
			if !errors.Is(err, verify.ErrReceipt) {
				t.Errorf("entry %d, %s: got error %v", index, name, err)
			}
		})
	}
}

func TestVerifyReceiptRefuses(t *testing.T) {
	s := newSample(t)
	elsewhere := verifytest.NewLedgerAt(t, "ledger.test/other", verifytest.Founded)
	for _, c := range []struct {
		name    string
		log     *verify.Log
		env     *tracev1.Envelope
		receipt func(*tracev1.Receipt)
	}{
		{"no envelope", s.Log, nil, nil},
		{"another statement", s.Log, s.Envelopes[acmeBatch], nil},
		{"another statement of its batch", s.Log, s.Envelopes[boltBatch], nil},
		{"a statement to another ledger", s.Log, elsewhere.Transaction("acme", 1), nil},
		{"no receipt", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { proto.Reset(r) }},
		{"no key", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.SignerSpki = nil }},
		{"another key", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.SignerSpki = s.Root.Public().SPKI() }},
		{"no entry", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.Entry = nil }},
		{"the entry of another", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { proto.Merge(r, s.Receipt(acmeBatch, s.Size())) }},
		{"no path", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.InclusionPath = nil }},
		{"a longer path", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.InclusionPath = append(r.InclusionPath, make([]byte, 32)) }},
		{"no checkpoint", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.Checkpoint = nil }},
		{"another checkpoint", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.Checkpoint = s.Checkpoint(s.Size() - 1).Note }},
		{"a checkpoint before it", s.Log, s.Envelopes[acmeSale], func(r *tracev1.Receipt) { r.Checkpoint = s.Checkpoint(acmeSale).Note }},
		{"another ledger pinned", elsewhere.Log, s.Envelopes[acmeSale], nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.Receipt(acmeSale, s.Size())
			if c.name == "another statement of its batch" {
				r = s.Receipt(boltBatch+1, s.Size())
			}
			if c.receipt != nil {
				c.receipt(r)
			}
			if _, err := c.log.VerifyReceipt(c.env, r); !errors.Is(err, verify.ErrReceipt) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

// TestVerifyRecorded checks the cheap half of a receipt: all of it fails but
// the checkpoint, which is the caller's, and what only a signature vouches for
// together with the statement hash.
func TestVerifyRecorded(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	cp := s.Checkpoint(s.Size())
	for _, index := range []uint64{0, acmeSale, boltBatch + 1} {
		p := s.Proven(index)
		p.Receipt.Checkpoint = nil
		got, err := verify.VerifyRecorded(p.GetEnvelope(), p.GetReceipt(), cp)
		if err != nil || got != s.Entries[index] {
			t.Fatalf("entry %d: got %+v, %v", index, got, err)
		}
		eachFlip(p, 1, func(name string, changed *tracev1.ProvenStatement) {
			if got, err := verify.VerifyRecorded(changed.GetEnvelope(), changed.GetReceipt(), cp); !errors.Is(err, verify.ErrReceipt) || got != (verify.Entry{}) {
				t.Errorf("entry %d, %s: got %+v, error %v", index, name, got, err)
			}
		})
		if _, err := verify.VerifyRecorded(p.GetEnvelope(), p.GetReceipt(), s.Checkpoint(s.Size()-1)); !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("entry %d under another checkpoint: got error %v", index, err)
		}
	}
	for name, p := range map[string]*tracev1.ProvenStatement{
		"nil": nil, "another receipt": {Envelope: s.Envelopes[acmeSale], Receipt: s.Receipt(acmeBatch, s.Size())},
	} {
		if _, err := verify.VerifyRecorded(p.GetEnvelope(), p.GetReceipt(), cp); !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestVerifyBundle(t *testing.T) {
	s := newSample(t)
	for index := range s.Size() {
		p, err := s.Log.VerifyBundle(s.Bundle(index))
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		if p.Entry != s.Entries[index] {
			t.Errorf("entry %d: proven is %+v", index, p.Entry)
		}
	}
	if got := len(s.Bundle(boltBatch).GetKeyRegistrations()); got != 2 {
		t.Errorf("%d registrations lead from bolt to the genesis, want 2", got)
	}
}

// TestTamperedBundle flips bytes all over a bundle with two registrations:
// TestTamperedReceipt flips each, this shows that no part is passed over.
func TestTamperedBundle(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	eachFlip(s.Bundle(boltBatch+1), 31, func(name string, changed *tracev1.ReceiptBundle) {
		p, err := s.Log.VerifyBundle(changed)
		if err == nil && strings.Contains(name, "receipt.checkpoint ") && p.Entry == s.Entries[boltBatch+1] {
			return
		}
		if !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("%s: got error %v", name, err)
		}
	})
}

// TestVerifyBundleRefuses lets the ledger record what a server would refuse,
// under its true checkpoint key: a bundle convinces nobody of it.
func TestVerifyBundleRefuses(t *testing.T) {
	l := verifytest.NewLedger(t)
	acme, bolt, mallory := verifytest.Key("acme"), verifytest.Key("bolt"), verifytest.Key("mallory")
	elsewhere := verifytest.NewLedgerAt(t, "ledger.test/other", verifytest.Founded)
	sale := l.Transaction("acme", 1)
	registerAcme := l.RegisterKey("acme", acme)
	by := func(s *verify.Signer, signer string, env *tracev1.Envelope) *tracev1.Envelope {
		st := statementOf(t, env)
		st.Signer = signer
		return l.Sign(s, st)
	}
	for _, c := range []struct {
		name          string
		log           []*tracev1.Envelope
		statement     uint64
		registrations []uint64
		genesis       uint64
		want          string
	}{
		{name: "registration missing", log: []*tracev1.Envelope{registerAcme, sale},
			statement: 2, want: `names the key of "acme"`},
		{name: "registration after", log: []*tracev1.Envelope{sale, registerAcme},
			statement: 1, registrations: []uint64{2}, want: "comes after"},
		{name: "statement for a registration", log: []*tracev1.Envelope{registerAcme, sale, sale},
			statement: 2, registrations: []uint64{3}, want: "registers no key"},
		{name: "admission for a registration", log: []*tracev1.Envelope{l.Admit("acme"), sale},
			statement: 2, registrations: []uint64{1}, want: "registers no key"},
		{name: "registration by a participant", log: []*tracev1.Envelope{l.RegisterKey("bolt", bolt), by(bolt, "bolt", registerAcme), sale},
			statement: 3, registrations: []uint64{2, 1}, want: "not by the authority"},
		{name: "registration by root", log: []*tracev1.Envelope{by(l.Root, verify.RootID, registerAcme), sale},
			statement: 2, registrations: []uint64{1}, want: "not by the authority"},
		{name: "registration by the ledger", log: []*tracev1.Envelope{by(l.Ledger, verify.LedgerID, registerAcme), sale},
			statement: 2, registrations: []uint64{1}, want: "not by the authority"},
		{name: "registration of a key for root", log: []*tracev1.Envelope{l.RegisterKey(verify.RootID, mallory), by(mallory, verify.RootID, sale)},
			statement: 2, registrations: []uint64{1}, want: "keys of root"},
		{name: "registration in the authority's name by another key", log: []*tracev1.Envelope{by(mallory, verify.AuthorityID, registerAcme), sale},
			statement: 2, registrations: []uint64{1}, want: `names the key of "authority"`},
		{name: "registration in the authority's name by root", log: []*tracev1.Envelope{by(l.Root, verify.AuthorityID, registerAcme), sale},
			statement: 2, registrations: []uint64{1}, want: `names the key of "authority"`},
		{name: "registration of another key", log: []*tracev1.Envelope{l.RegisterKey("acme", bolt), sale},
			statement: 2, registrations: []uint64{1}, want: "another key"},
		{name: "registration for another participant", log: []*tracev1.Envelope{l.RegisterKey("bolt", acme), sale},
			statement: 2, registrations: []uint64{1}, want: "another participant"},
		{name: "registrations in the wrong order", log: []*tracev1.Envelope{
			l.RegisterKey(verify.AuthorityID, mallory), by(mallory, verify.AuthorityID, registerAcme), sale},
			statement: 3, registrations: []uint64{1, 2}, want: "another key"},
		{name: "the authority's own registration missing", log: []*tracev1.Envelope{
			l.RegisterKey(verify.AuthorityID, mallory), by(mallory, verify.AuthorityID, registerAcme), sale},
			statement: 3, registrations: []uint64{2}, want: `names the key of "authority"`},
		{name: "a registration too many", log: []*tracev1.Envelope{registerAcme, l.RegisterKey("bolt", bolt), sale},
			statement: 3, registrations: []uint64{1, 2}, want: "another key"},
		{name: "statement with another's signature", log: []*tracev1.Envelope{registerAcme, withBlock(sale, l.Transaction("acme", 2).GetSignatureBlock())},
			statement: 2, registrations: []uint64{1}, want: "signature"},
		{name: "registration with another's signature", log: []*tracev1.Envelope{withBlock(registerAcme, l.Admit("acme").GetSignatureBlock()), sale},
			statement: 2, registrations: []uint64{1}, want: "signature"},
		{name: "statement in another's name", log: []*tracev1.Envelope{registerAcme, by(acme, "bolt", sale)},
			statement: 2, registrations: []uint64{1}, want: "another participant"},
		{name: "statement in root's name by the authority", log: []*tracev1.Envelope{by(l.Authority, verify.RootID, sale)},
			statement: 1, want: `names the key of "root"`},
		{name: "statement to another ledger", log: []*tracev1.Envelope{registerAcme, elsewhere.Transaction("acme", 1)},
			statement: 2, registrations: []uint64{1}, want: "another ledger"},
		{name: "registration in another ledger", log: []*tracev1.Envelope{elsewhere.RegisterKey("acme", acme), sale},
			statement: 2, registrations: []uint64{1}, want: "another ledger"},
		{name: "genesis at another index", log: []*tracev1.Envelope{registerAcme, sale, l.Genesis},
			statement: 2, registrations: []uint64{1}, genesis: 3, want: "index 0"},
		{name: "genesis of another ledger", log: []*tracev1.Envelope{registerAcme, sale, elsewhere.Genesis},
			statement: 2, registrations: []uint64{1}, genesis: 3, want: "another ledger"},
		{name: "registration for a genesis", log: []*tracev1.Envelope{registerAcme, sale},
			statement: 2, registrations: []uint64{1}, genesis: 1, want: "genesis"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := l.NewHistory(c.log...)
			b := &tracev1.ReceiptBundle{Statement: provenBy(h, c.statement, acme, bolt, mallory, elsewhere.Root), Genesis: provenBy(h, c.genesis, l.Root, elsewhere.Root)}
			for _, at := range c.registrations {
				b.KeyRegistrations = append(b.KeyRegistrations, provenBy(h, at, acme, bolt, mallory))
			}
			_, err := l.Log.VerifyBundle(b)
			if !errors.Is(err, verify.ErrReceipt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}

// provenBy is Proven for statements that may have been signed for another
// ledger, by one of some signers.
func provenBy(h *verifytest.History, index uint64, signers ...*verify.Signer) *tracev1.ProvenStatement {
	p := h.Proven(index)
	for _, s := range signers {
		if bytes.Equal(hashOf(s.Public()), p.Envelope.KeyId) {
			p.Receipt.SignerSpki = s.Public().SPKI()
		}
	}
	return p
}

// TestBundlePins checks that a bundle convinces only those who pinned its
// ledger, with the verifier key that its genesis names.
func TestBundlePins(t *testing.T) {
	s := newSample(t)
	_, otherVKey := verifytest.CheckpointKey("ledger.test/other")
	for name, c := range map[string]struct {
		id   verify.Hash
		vkey string
	}{
		"another ledger id":    {verify.Hash{1}, s.Log.CheckpointVKey()},
		"another verifier key": {s.Log.ID(), otherVKey},
	} {
		log, err := verify.NewLog(c.id, c.vkey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.VerifyBundle(s.Bundle(acmeSale)); !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	// All checkpoints by a key that the genesis does not name.
	other := verifytest.CheckpointSigner("ledger.test/other")
	cp, err := verify.SignCheckpoint(other, s.Size(), s.Tree.Root(s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	b := s.Bundle(acmeSale)
	for _, p := range append(b.KeyRegistrations, b.Genesis, b.Statement) {
		p.Receipt.Checkpoint = cp.Note
	}
	log, err := verify.NewLog(s.Log.ID(), otherVKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.VerifyReceipt(b.GetStatement().GetEnvelope(), b.GetStatement().GetReceipt()); err != nil {
		t.Errorf("the receipt alone: %v", err)
	}
	if _, err := log.VerifyBundle(b); !errors.Is(err, verify.ErrReceipt) {
		t.Errorf("checkpoints by a key that the genesis does not name: got error %v", err)
	}
	for name, b := range map[string]*tracev1.ReceiptBundle{"nil": nil, "empty": {}, "only a genesis": {Genesis: s.Proven(0)}} {
		if _, err := s.Log.VerifyBundle(b); !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
