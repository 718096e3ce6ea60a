package rpc_test

import (
	"bytes"
	"testing"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestStaleTargetNamesLatest: whoever amends an old version is told the hash of
// the latest one, and can go on with it.
func TestStaleTargetNamesLatest(t *testing.T) {
	w := newWorld(t)
	first := w.signed(w.sale("acme"))
	second := w.signed(w.amendment("acme", hashOf(first)))
	third := w.signed(w.amendment("acme", hashOf(second)))
	w.record(first, second, third)
	for _, st := range []*tracev1.Statement{w.amendment("acme", hashOf(first)), w.void("acme", hashOf(second))} {
		_, err := w.submit("acme", w.signed(st))
		r := refusedBy(t, err).refusal
		if !bytes.Equal(r.GetLatestHash(), hashOf(third)) {
			t.Errorf("got %v, want latest hash %x", r, hashOf(third))
		}
	}
	w.record(w.signed(w.void("acme", hashOf(third))))
	for _, target := range [][]byte{hashOf(first), hashOf(second), hashOf(third)} {
		_, err := w.submit("acme", w.signed(w.amendment("acme", target)))
		if r := refusedBy(t, err).refusal; r.GetReason() != reason("TARGET_VOIDED") || r.GetLatestHash() != nil {
			t.Errorf("got %v", r)
		}
	}
}

// TestUnknownTargetsAreAlike: by naming a target nobody finds out whether
// another's transaction exists, what became of it, or what it says.
func TestUnknownTargetsAreAlike(t *testing.T) {
	w := newWorld(t)
	live, voided, amended := w.signed(w.sale("bolt")), w.signed(w.sale("bolt")), w.signed(w.sale("bolt", to("acme")))
	w.record(live, voided, amended, w.signed(w.void("bolt", hashOf(voided))), w.signed(w.amendment("bolt", hashOf(amended))))
	targets := map[string][]byte{
		"live": hashOf(live), "voided": hashOf(voided), "amended": hashOf(amended), "act": hashOf(w.boot[1]), "genesis": hashOf(w.Genesis),
	}
	for what, refuse := range map[string]func(target []byte) []byte{
		"amendment": func(target []byte) []byte {
			_, err := w.submit("acme", w.signed(w.amendment("acme", target)))
			return statusBytes(err)
		},
		"impossible amendment": func(target []byte) []byte {
			_, err := w.submit("acme", w.signed(w.amendment("acme", target, on("2026-06-03"))))
			return statusBytes(err)
		},
		"void": func(target []byte) []byte {
			_, err := w.submit("acme", w.signed(w.void("acme", target)))
			return statusBytes(err)
		},
		"judged": func(target []byte) []byte {
			p := w.peer("acme")
			_, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: w.signed(w.void("acme", target)), ValidateOnly: true})
			return statusBytes(err)
		},
	} {
		nothing := refuse(bytes.Repeat([]byte{7}, 32))
		for name, target := range targets {
			if got := refuse(target); !bytes.Equal(got, nothing) {
				t.Errorf("%s of what is %s: %q, of nothing: %q", what, name, got, nothing)
			}
		}
	}
}
