package verify_test

import (
	"errors"
	"strings"
	"testing"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestOpenGenesis(t *testing.T) {
	l := verifytest.NewLedger(t)
	g, err := verify.OpenGenesis(l.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := g.Log.ID(), verifytest.StatementHash(l.Genesis); got != want {
		t.Errorf("ledger id %s, want %s", got, want)
	}
	if g.Log.Origin() != verifytest.Origin || g.Statement.GetOrigin() != verifytest.Origin {
		t.Errorf("origin %q, %q", g.Log.Origin(), g.Statement.GetOrigin())
	}
	for id, want := range map[string]*verify.Signer{
		verify.RootID: l.Root, verify.AuthorityID: l.Authority, verify.LedgerID: l.Ledger,
	} {
		if got := g.Keys[id]; got == nil || got.ID() != want.Public().ID() {
			t.Errorf("another key of %s", id)
		}
	}
	// The form of its signature is free.
	for _, env := range l.SignBatch(l.Root, l.GenesisStatement(), l.GenesisStatement()) {
		if _, err := verify.OpenGenesis(env); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenGenesisRefuses breaks one rule at a time. What is changed is signed
// anew by the root key unless the case says otherwise.
func TestOpenGenesisRefuses(t *testing.T) {
	l := verifytest.NewLedger(t)
	p256, bolt := verifytest.P256Key("bolt"), verifytest.Key("bolt")
	proofFor := func(ledgerID verify.Hash, id string, s *verify.Signer) []byte {
		proof, err := s.ProvePossession(ledgerID, id)
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	for _, c := range []struct {
		name   string
		change func(*tracev1.Statement, *tracev1.Genesis)
		signer *verify.Signer
		want   error
	}{
		{"it names a ledger", func(st *tracev1.Statement, _ *tracev1.Genesis) { st.LedgerId = make([]byte, 32) }, nil, verify.ErrGenesis},
		{"its signer is the authority", func(st *tracev1.Statement, _ *tracev1.Genesis) { st.Signer = verify.AuthorityID }, nil, verify.ErrGenesis},
		{"it has no signer", func(st *tracev1.Statement, _ *tracev1.Genesis) { st.Signer = "" }, nil, verify.ErrGenesis},
		{"it is no genesis", func(st *tracev1.Statement, _ *tracev1.Genesis) {
			st.Stated = &tracev1.Statement_Void{Void: &tracev1.Void{}}
		}, nil, verify.ErrGenesis},
		{"it says nothing", func(st *tracev1.Statement, _ *tracev1.Genesis) { st.Stated = nil }, nil, verify.ErrGenesis},
		{"signed by the authority", nil, l.Authority, verify.ErrGenesis},
		{"signed by a stranger", nil, bolt, verify.ErrGenesis},
		{"no root key", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.Root = nil }, nil, verify.ErrKeyForm},
		{"no authority key", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.Authority = nil }, nil, verify.ErrKeyForm},
		{"no ledger key", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.Ledger = nil }, nil, verify.ErrKeyForm},
		{"another root key than the signer's", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Root = l.FoundingKey(verify.RootID, bolt)
		}, nil, verify.ErrGenesis},
		{"an unacceptable ledger key", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Ledger.Spki = spki(ed25519SPKI, append([]byte{1}, make([]byte, 31)...)...)
		}, nil, verify.ErrKeyForm},
		{"authority and ledger share a key", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Ledger = l.FoundingKey(verify.LedgerID, l.Authority)
		}, nil, verify.ErrGenesis},
		{"root and authority share a key", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Authority = l.FoundingKey(verify.AuthorityID, l.Root)
		}, nil, verify.ErrGenesis},
		{"the ledger key is the checkpoint key", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Ledger = l.FoundingKey(verify.LedgerID, verifytest.Key(verifytest.Origin))
		}, nil, verify.ErrGenesis},
		{"no possession", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.Authority.Possession = nil }, nil, verify.ErrSignature},
		{"possession as another participant", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Authority.Possession = proofFor(verify.Hash{}, verify.LedgerID, l.Authority)
		}, nil, verify.ErrSignature},
		{"possession in another ledger", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Authority.Possession = proofFor(verify.Hash{1}, verify.AuthorityID, l.Authority)
		}, nil, verify.ErrSignature},
		{"possession of another key", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Authority.Possession = proofFor(verify.Hash{}, verify.AuthorityID, p256)
		}, nil, verify.ErrSignature},
		{"no verifier key", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.CheckpointVkey = "" }, nil, verify.ErrGenesis},
		{"a verifier key with another hash", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.CheckpointVkey = strings.Replace(g.CheckpointVkey, "+1", "+2", 1)
		}, nil, verify.ErrGenesis},
		{"a verifier key of small order", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.CheckpointVkey = weakVKey(t)
		}, nil, verify.ErrKeyForm},
		{"a verifier key of another origin", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			_, g.CheckpointVkey = verifytest.CheckpointKey("ledger.test/2025")
		}, nil, verify.ErrGenesis},
		{"another origin than the verifier key's", func(_ *tracev1.Statement, g *tracev1.Genesis) { g.Origin = "ledger.test" }, nil, verify.ErrGenesis},
		{"an origin in capitals", func(_ *tracev1.Statement, g *tracev1.Genesis) {
			g.Origin = "LEDGER.TEST"
			_, g.CheckpointVkey = verifytest.CheckpointKey(g.Origin)
		}, nil, verify.ErrGenesis},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := l.GenesisStatement()
			if c.change != nil {
				c.change(st, st.GetGenesis())
			}
			signer := c.signer
			if signer == nil {
				signer = l.Root
			}
			_, err := verify.OpenGenesis(l.Sign(signer, st))
			if !errors.Is(err, c.want) || !errors.Is(err, verify.ErrGenesis) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

// TestTamperedGenesis flips each byte of the parts of the envelope.
func TestTamperedGenesis(t *testing.T) {
	t.Parallel()
	l := verifytest.NewLedger(t)
	eachFlip(l.Genesis, 1, func(name string, env *tracev1.Envelope) {
		_, err := verify.OpenGenesis(env)
		var form *verify.FormError
		if !errors.Is(err, verify.ErrGenesis) && !errors.As(err, &form) {
			t.Errorf("%s: got error %v", name, err)
		}
	})
	for name, env := range map[string]*tracev1.Envelope{"nil": nil, "empty": {}, "a payload": {Payload: l.Genesis.Payload}} {
		if _, err := verify.OpenGenesis(env); !errors.Is(err, verify.ErrGenesis) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
