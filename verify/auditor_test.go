package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// view is a log as somebody shows it to an auditor.
type view struct {
	entries   [][]byte
	envelopes []*tracev1.Envelope
	cp        *verify.Checkpoint
}

func viewOf(h *verifytest.History, size uint64) *view {
	v := &view{cp: h.Checkpoint(size)}
	for entry, env := range h.All(0) {
		if uint64(len(v.entries)) < size {
			v.entries, v.envelopes = append(v.entries, entry), append(v.envelopes, proto.CloneOf(env))
		}
	}
	return v
}

func (v *view) from(at uint64) iter.Seq2[[]byte, *tracev1.Envelope] {
	return func(yield func([]byte, *tracev1.Envelope) bool) {
		for i := at; i < uint64(len(v.entries)); i++ {
			if !yield(v.entries[i], v.envelopes[i]) {
				return
			}
		}
	}
}

func (v *view) entry(t *testing.T, at int) verify.Entry {
	t.Helper()
	e, err := verify.ParseEntry(v.entries[at])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// change rewrites one entry.
func (v *view) change(t *testing.T, at int, f func(*verify.Entry)) {
	t.Helper()
	e := v.entry(t, at)
	f(&e)
	v.entries[at] = e.Bytes()
}

// relink numbers and links the entries from one on, as who rewrites a log must.
func (v *view) relink(t *testing.T, from int) {
	t.Helper()
	for i := from; i < len(v.entries); i++ {
		v.change(t, i, func(e *verify.Entry) {
			e.Index = uint64(i)
			e.Previous = verify.Hash{}
			if i > 0 {
				e.Previous = v.entry(t, i-1).LeafHash()
			}
		})
	}
}

// sign signs a checkpoint of the entries with the true key.
func (v *view) sign(t *testing.T, l *verifytest.Ledger) {
	t.Helper()
	tree := verifytest.NewTree()
	for i := range v.entries {
		tree.Append(v.entry(t, i).LeafHash())
	}
	cp, err := verify.SignCheckpoint(l.Checkpoints, tree.Size(), tree.Root(tree.Size()))
	if err != nil {
		t.Fatal(err)
	}
	v.cp = cp
}

// audited returns an auditor that has read the true log to a size and begins
// anew from its state.
func audited(t *testing.T, s *sample, size uint64, full bool) *verify.Auditor {
	t.Helper()
	a := verify.NewAuditor(s.Log, full)
	if size == 0 {
		return a
	}
	if got := findings(verifytest.Audit(a, s.Checkpoint(size), s.All(0))); got != "" {
		t.Fatalf("the true log: %s", got)
	}
	state, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	a, err = verify.ResumeAuditor(s.Log, state)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestResume stops at each size, goes on from the state, and compares the end
// with an audit that never stopped.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for _, full := range []bool{false, true} {
		want := stateOf(t, audited(t, s, s.Size(), full))
		for size := range s.Size() + 1 {
			a := audited(t, s, size, full)
			if a.Size() != size || a.Full() != full || size > 0 && a.Kept().Root != s.Tree.Root(size) {
				t.Fatalf("resumed at %d, full %v, kept %+v", a.Size(), a.Full(), a.Kept())
			}
			if got := findings(verifytest.Audit(a, s.Checkpoint(s.Size()), s.All(size))); got != "" {
				t.Errorf("from %d: %s", size, got)
			}
			if got := stateOf(t, a); got != want {
				t.Errorf("from %d: another state (-want +got):\n%s", size, cmp.Diff(want, got))
			}
		}
	}
}

func stateOf(t *testing.T, a *verify.Auditor) string {
	t.Helper()
	state, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	return string(state)
}

// TestEmptyLogAudit audits a log before anything is on it.
func TestEmptyLogAudit(t *testing.T) {
	s := newSample(t)
	a := verify.NewAuditor(s.Log, true)
	if got := findings(verifytest.Audit(a, s.Checkpoint(0), s.All(0))); got != "" {
		t.Error(got)
	}
	a, err := verify.ResumeAuditor(s.Log, []byte(stateOf(t, a)))
	if err != nil {
		t.Fatal(err)
	}
	v := viewOf(s.History, s.Size())
	v.change(t, 0, func(e *verify.Entry) { e.Previous = verify.Hash{1} })
	if got, want := findings(verifytest.Audit(a, v.cp, v.from(0))), "0 broken-chain"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLies shows an auditor of the entries, and one of the statements too, a
// log that is not the one the operator signed.
func TestLies(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for _, c := range []struct {
		name          string
		kept          uint64 // size of the checkpoint that the auditor kept
		lie           func(t *testing.T, v *view)
		entries, full string // what is found
	}{
		{"statement hash changed", 0, func(t *testing.T, v *view) {
			v.change(t, 3, func(e *verify.Entry) { e.StatementHash[0] ^= 1 })
		}, "4 broken-chain", "3 statement-changed, 4 broken-chain"},
		{"entry left out", 0, func(t *testing.T, v *view) {
			v.entries, v.envelopes = slices.Delete(v.entries, 3, 4), slices.Delete(v.envelopes, 3, 4)
		}, "3 wrong-index", "3 wrong-index"},
		{"entry left out, the rest renumbered", 0, func(t *testing.T, v *view) {
			v.entries, v.envelopes = slices.Delete(v.entries, 3, 4), slices.Delete(v.envelopes, 3, 4)
			for i := 3; i < len(v.entries); i++ {
				v.change(t, i, func(e *verify.Entry) { e.Index = uint64(i) })
			}
		}, "3 broken-chain", "3 broken-chain"},
		{"entry left out, the rest relinked", 0, func(t *testing.T, v *view) {
			v.entries, v.envelopes = slices.Delete(v.entries, 3, 4), slices.Delete(v.envelopes, 3, 4)
			v.relink(t, 3)
		}, "13 missing-entry", "13 missing-entry"},
		{"entry repeated", 0, func(t *testing.T, v *view) {
			v.entries[4], v.envelopes[4] = v.entries[3], v.envelopes[3]
		}, "4 wrong-index", "4 wrong-index"},
		{"two swapped", 0, func(t *testing.T, v *view) { v.swap(3, 4) }, "3 wrong-index", "3 wrong-index"},
		{"two swapped and renumbered", 0, func(t *testing.T, v *view) {
			v.swap(3, 4)
			v.change(t, 3, func(e *verify.Entry) { e.Index = 3 })
			v.change(t, 4, func(e *verify.Entry) { e.Index = 4 })
		}, "3 broken-chain", "3 broken-chain"},
		{"two swapped, the rest relinked", 0, func(t *testing.T, v *view) {
			v.swap(7, 8)
			v.change(t, 8, func(e *verify.Entry) { e.SequencedAtMicros += 1000 })
			v.relink(t, 7)
		}, "14 wrong-root", "14 wrong-root"},
		{"time set back", 0, func(t *testing.T, v *view) {
			v.change(t, 5, func(e *verify.Entry) { e.SequencedAtMicros -= 1001 })
		}, "5 time-reversed", "5 time-reversed"},
		{"time set back below what was kept", 10, func(t *testing.T, v *view) {
			v.change(t, 10, func(e *verify.Entry) { e.SequencedAtMicros -= 1001 })
		}, "10 time-reversed", "10 time-reversed"},
		{"time set back within bounds", 0, func(t *testing.T, v *view) {
			v.change(t, 5, func(e *verify.Entry) { e.SequencedAtMicros -= 999 })
		}, "6 broken-chain", "6 broken-chain"},
		{"time set back, the rest relinked", 0, func(t *testing.T, v *view) {
			v.change(t, 5, func(e *verify.Entry) { e.SequencedAtMicros -= 999 })
			v.relink(t, 6)
		}, "14 wrong-root", "14 wrong-root"},
		{"time of the last entry changed", 0, func(t *testing.T, v *view) {
			v.change(t, 13, func(e *verify.Entry) { e.SequencedAtMicros++ })
		}, "14 wrong-root", "14 wrong-root"},
		{"entry cut short", 0, func(_ *testing.T, v *view) { v.entries[3] = v.entries[3][:81] }, "3 malformed-entry", "3 malformed-entry"},
		{"log short of its checkpoint", 0, func(_ *testing.T, v *view) { v.entries = v.entries[:13] }, "13 missing-entry", "13 missing-entry"},
		{"wrong root", 0, func(t *testing.T, v *view) {
			cp, err := verify.SignCheckpoint(s.Checkpoints, 14, verify.Hash{1})
			if err != nil {
				t.Fatal(err)
			}
			v.cp = cp
		}, "14 wrong-root", "14 wrong-root"},
		{"cut back below the kept checkpoint", 10, func(t *testing.T, v *view) { v.cp = s.Checkpoint(9) }, "9 cut-back", "9 cut-back"},
		{"cut back to nothing", 10, func(t *testing.T, v *view) { v.cp = s.Checkpoint(0) }, "0 cut-back", "0 cut-back"},
		{"rewritten from 3 under the true key, read from the beginning", 0, func(t *testing.T, v *view) {
			v.rewrite(t, s, 3)
		}, "", "3 statement-changed"},
		{"rewritten from 3 under the true key", 10, func(t *testing.T, v *view) { v.rewrite(t, s, 3) }, "10 rewritten", "10 rewritten"},
		{"rewritten from the last that was kept", 10, func(t *testing.T, v *view) { v.rewrite(t, s, 9) }, "10 rewritten", "10 rewritten"},
		{"rewritten from 3, nothing new", 14, func(t *testing.T, v *view) { v.rewrite(t, s, 3) }, "14 rewritten", "14 rewritten"},
		{"rewritten from 3, linked to what was kept", 10, func(t *testing.T, v *view) {
			seam := v.entry(t, 10)
			v.rewrite(t, s, 3)
			v.change(t, 10, func(e *verify.Entry) { e.Previous = seam.Previous })
			v.relink(t, 11)
			v.sign(t, s.Ledger)
		}, "14 wrong-root", "14 wrong-root"},
		{"statement changed", 0, func(_ *testing.T, v *view) {
			v.envelopes[3].Payload = flipped(v.envelopes[3].Payload, 50)
		}, "", "3 statement-changed"},
		{"key of a statement changed", 0, func(_ *testing.T, v *view) {
			v.envelopes[3].KeyId = flipped(v.envelopes[3].KeyId, 0)
		}, "", "3 statement-changed"},
		{"key of a statement left out", 0, func(_ *testing.T, v *view) { v.envelopes[3].KeyId = nil }, "", "3 statement-changed"},
		{"signature changed", 0, func(_ *testing.T, v *view) {
			v.envelopes[3].SignatureBlock = flipped(v.envelopes[3].SignatureBlock, 10)
		}, "", "3 statement-changed"},
		{"statement of another entry", 0, func(_ *testing.T, v *view) {
			v.envelopes[3], v.envelopes[10] = v.envelopes[10], v.envelopes[3]
		}, "", "3 statement-changed, 10 statement-changed"},
		{"statement withheld", 0, func(_ *testing.T, v *view) { v.envelopes[3] = nil }, "", "3 statement-withheld"},
		{"genesis withheld", 0, func(_ *testing.T, v *view) {
			v.envelopes, v.entries, v.cp = v.envelopes[:2], v.entries[:2], s.Checkpoint(2)
			v.envelopes[0] = nil
		}, "", "0 statement-withheld, 1 unknown-key"},
		{"registration withheld", 0, func(_ *testing.T, v *view) { v.envelopes[acmeKey] = nil }, "",
			"2 statement-withheld, 3 unknown-key, 10 unknown-key, 11 unknown-key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for full, want := range map[bool]string{false: c.entries, true: c.full} {
				v := viewOf(s.History, s.Size())
				c.lie(t, v)
				got := findings(verifytest.Audit(audited(t, s, c.kept, full), v.cp, v.from(c.kept)))
				if got != want {
					t.Errorf("full %v: found %q, want %q", full, got, want)
				}
			}
		})
	}
}

func (v *view) swap(i, j int) {
	v.entries[i], v.entries[j] = v.entries[j], v.entries[i]
	v.envelopes[i], v.envelopes[j] = v.envelopes[j], v.envelopes[i]
}

// rewrite changes the statement hash of an entry, links the rest to it and
// signs a checkpoint, as an operator could who holds the key.
func (v *view) rewrite(t *testing.T, s *sample, at int) {
	t.Helper()
	v.change(t, at, func(e *verify.Entry) { e.StatementHash[0] ^= 1 })
	v.relink(t, at+1)
	v.sign(t, s.Ledger)
}

// TestEveryEntryByte flips each byte of an entry in the middle and of the last.
func TestEveryEntryByte(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for _, at := range []uint64{5, sampleSize - 1} {
		for i := range verify.EntrySize {
			v := viewOf(s.History, s.Size())
			v.entries[at] = flipped(v.entries[at], i)
			next := fmt.Sprintf("%d broken-chain", at+1)
			if at == sampleSize-1 {
				next = fmt.Sprintf("%d wrong-root", at+1)
			}
			var want string
			switch {
			case i < 2:
				want = fmt.Sprintf("%d malformed-entry", at)
			case i < 10:
				want = fmt.Sprintf("%d wrong-index", at)
			case i < 18 && v.entry(t, int(at)).SequencedAtMicros < s.Entries[at-1].SequencedAtMicros:
				want = fmt.Sprintf("%d time-reversed", at)
			case i < 18:
				want = next
			case i < 50:
				want = fmt.Sprintf("%d broken-chain", at)
			default:
				want = fmt.Sprintf("%d statement-changed, ", at) + next
			}
			got := findings(verifytest.Audit(verify.NewAuditor(s.Log, true), v.cp, v.from(0)))
			if got != want {
				t.Errorf("entry %d byte %d: found %q, want %q", at, i, got, want)
			}
		}
	}
}

// TestForgedStatements lets the operator record, properly chained and signed,
// what it should have refused.
func TestForgedStatements(t *testing.T) {
	t.Parallel()
	l := verifytest.NewLedger(t)
	elsewhere := verifytest.NewLedgerAt(t, "ledger.test/other", verifytest.Founded)
	acme, bolt := verifytest.Key("acme"), verifytest.Key("bolt")
	sale, second := l.Transaction("acme", 1), l.Transaction("acme", 2)
	registered := l.RegisterKey("acme", acme)
	edited := func(s *verify.Signer, env *tracev1.Envelope, edit func(*tracev1.Statement)) *tracev1.Envelope {
		st := statementOf(t, env)
		edit(st)
		return l.Sign(s, st)
	}
	by := func(s *verify.Signer, id string, env *tracev1.Envelope) *tracev1.Envelope {
		return edited(s, env, func(st *tracev1.Statement) { st.Signer = id })
	}
	// Signed bytes that no statement serializes to.
	odd := append(bytes.Clone(sale.Payload), 0x28, 0x00)
	oddPayload, err := acme.Sign(&verify.Payload{Bytes: odd, Leaf: verify.PayloadLeaf(odd)})
	if err != nil {
		t.Fatal(err)
	}
	batch := l.SignBatch(acme, l.TransactionStatement("acme", 3), l.TransactionStatement("acme", 4))
	for _, c := range []struct {
		name string
		log  []*tracev1.Envelope // from index 1 on
		want string
	}{
		{"nothing", []*tracev1.Envelope{registered, sale, second}, ""},
		{"statement before its key", []*tracev1.Envelope{sale, registered, second}, "1 unknown-key"},
		{"key used after revocation", []*tracev1.Envelope{registered, sale, l.RevokeKey(acme.Public()), second}, "4 key-not-valid"},
		{"batch, half of it after revocation", []*tracev1.Envelope{registered, batch[0], l.RevokeKey(acme.Public()), batch[1]}, "4 key-not-valid"},
		{"unknown key", []*tracev1.Envelope{sale}, "1 unknown-key"},
		{"key of another", []*tracev1.Envelope{registered, by(acme, "bolt", sale), second}, "2 key-not-signers"},
		{"key of another, in the authority's name", []*tracev1.Envelope{registered, by(acme, verify.AuthorityID, l.RegisterKey("bolt", bolt)), l.Transaction("bolt", 1)},
			"2 key-not-signers, 3 unknown-key"},
		{"signature changed", []*tracev1.Envelope{registered, withBlock(sale, flipped(sale.SignatureBlock, 20)), second}, "2 bad-signature"},
		{"signature of another statement", []*tracev1.Envelope{registered, withBlock(sale, second.SignatureBlock)}, "2 bad-signature"},
		{"signature block malformed", []*tracev1.Envelope{registered, withBlock(sale, sale.SignatureBlock[:67])}, "2 bad-signature"},
		{"batch position changed", []*tracev1.Envelope{registered, batch[0], withBlock(batch[1], flipped(batch[1].SignatureBlock, 83))}, "3 bad-signature"},
		{"payload not canonical", []*tracev1.Envelope{registered, oddPayload, second}, "2 statement-not-canonical"},
		{"statement to another ledger", []*tracev1.Envelope{registered, elsewhere.Transaction("acme", 1)}, "2 wrong-ledger"},
		{"statement to no ledger", []*tracev1.Envelope{registered, edited(acme, sale, func(st *tracev1.Statement) { st.LedgerId = nil })}, "2 wrong-ledger"},
		{"genesis again", []*tracev1.Envelope{registered, l.Genesis, sale}, "2 wrong-ledger"},
		{"another genesis", []*tracev1.Envelope{registered, elsewhere.Genesis, sale}, "2 wrong-ledger"},
		{"a genesis of this ledger", []*tracev1.Envelope{edited(l.Root, l.Genesis, func(st *tracev1.Statement) {
			id := l.Log.ID()
			st.LedgerId = id[:]
		})}, "1 wrong-ledger"},
		{"key registered by a participant", []*tracev1.Envelope{registered, by(acme, "acme", l.RegisterKey("acme", bolt)), sale}, "2 wrong-author"},
		{"key registered by root", []*tracev1.Envelope{by(l.Root, verify.RootID, registered), sale}, "1 wrong-author, 2 unknown-key"},
		{"key revoked by a participant", []*tracev1.Envelope{registered, by(acme, "acme", l.RevokeKey(l.Authority.Public())), sale}, "2 wrong-author"},
		{"key registered without possession", []*tracev1.Envelope{edited(l.Authority, registered, func(st *tracev1.Statement) {
			st.GetKeyRegistered().Possession = nil
		}), sale}, "1 bad-possession, 2 unknown-key"},
		{"key registered with possession for another", []*tracev1.Envelope{edited(l.Authority, registered, func(st *tracev1.Statement) {
			st.GetKeyRegistered().ParticipantId = "bolt"
		}), by(acme, "bolt", sale)}, "1 bad-possession, 2 unknown-key"},
		{"key of no acceptable form registered", []*tracev1.Envelope{edited(l.Authority, registered, func(st *tracev1.Statement) {
			st.GetKeyRegistered().Spki = st.GetKeyRegistered().Spki[12:]
		})}, "1 statement-not-canonical"},
		{"key registered twice", []*tracev1.Envelope{registered, l.RegisterKey("acme", acme), sale}, "2 key-not-valid"},
		{"key registered again for another", []*tracev1.Envelope{registered, l.RegisterKey("bolt", acme), sale, by(acme, "bolt", sale)},
			"2 key-not-valid, 4 key-not-signers"},
		{"key registered again after revocation", []*tracev1.Envelope{registered, l.RevokeKey(acme.Public()), l.RegisterKey("acme", acme), sale},
			"3 key-not-valid, 4 key-not-valid"},
		{"founding key registered again", []*tracev1.Envelope{l.RegisterKey("acme", l.Root)}, "1 key-not-valid"},
		{"checkpoint key registered", []*tracev1.Envelope{l.RegisterKey("acme", verifytest.Key(verifytest.Origin))}, "1 key-not-valid"},
		{"key registered for root", []*tracev1.Envelope{l.RegisterKey(verify.RootID, bolt), by(bolt, verify.RootID, sale)}, "1 wrong-author, 2 unknown-key"},
		{"root's key revoked", []*tracev1.Envelope{l.RevokeKey(l.Root.Public())}, "1 wrong-author"},
		{"unknown key revoked", []*tracev1.Envelope{l.RevokeKey(acme.Public()), registered, sale}, "1 unknown-key"},
		{"key revoked twice", []*tracev1.Envelope{registered, l.RevokeKey(acme.Public()), l.RevokeKey(acme.Public())}, "3 unknown-key"},
		{"authority revoked, then acts", []*tracev1.Envelope{l.RevokeKey(l.Authority.Public()), registered, sale}, "2 key-not-valid, 3 unknown-key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := l.NewHistory(c.log...)
			for from := range h.Size() {
				a := verify.NewAuditor(l.Log, true)
				found := verifytest.Audit(a, h.Checkpoint(from), h.All(0))
				a, err := verify.ResumeAuditor(l.Log, []byte(stateOf(t, a)))
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, verifytest.Audit(a, h.Checkpoint(h.Size()), h.All(from))...)
				if got := findings(found); got != c.want {
					t.Errorf("in two audits, the second from %d: found %q, want %q", from, got, c.want)
				}
			}
			if got := findings(verifytest.Audit(verify.NewAuditor(l.Log, false), h.Checkpoint(h.Size()), h.All(0))); got != "" {
				t.Errorf("without statements: found %q", got)
			}
		})
	}
}

// TestForgedGenesis audits logs that do not begin as the pinned ledger does.
func TestForgedGenesis(t *testing.T) {
	l := verifytest.NewLedger(t)
	other := verifytest.NewLedgerAt(t, "ledger.test/other", verifytest.Founded)
	unsound := l.GenesisStatement()
	unsound.GetGenesis().Authority.Possession = nil
	unsoundEnv := l.Sign(l.Root, unsound)
	for _, c := range []struct {
		name string
		id   verify.Hash
		vkey string
		log  *verifytest.History
		want string
	}{
		{"another genesis than the pinned", verify.Hash{1}, l.Log.CheckpointVKey(), l.NewHistory(), "0 wrong-ledger"},
		{"another checkpoint key than the pinned", other.Log.ID(), l.Log.CheckpointVKey(), l.NewHistoryFrom(other.Genesis), "0 wrong-ledger"},
		{"an unsound genesis", verifytest.StatementHash(unsoundEnv), l.Log.CheckpointVKey(), l.NewHistoryFrom(unsoundEnv), "0 statement-not-canonical"},
		{"no genesis", l.Log.ID(), l.Log.CheckpointVKey(), l.NewHistoryFrom(l.Transaction("acme", 1)), "0 wrong-ledger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, err := verify.NewLog(c.id, c.vkey)
			if err != nil {
				t.Fatal(err)
			}
			cp, err := log.OpenCheckpoint(c.log.Checkpoint(1).Note)
			if err != nil {
				t.Fatal(err)
			}
			if got := findings(verifytest.Audit(verify.NewAuditor(log, true), cp, c.log.All(0))); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// TestAuditorStops checks that a finding of an entry leaves the auditor before
// it, and that an audit that did not finish has no state.
func TestAuditorStops(t *testing.T) {
	s := newSample(t)
	a := verify.NewAuditor(s.Log, true)
	if _, err := a.State(); err == nil {
		t.Error("an auditor that has read nothing has a state")
	}
	v := viewOf(s.History, s.Size())
	for i := range 5 {
		if err := a.Add(v.entries[i], v.envelopes[i]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if f := verify.AsFinding(a.Add(v.entries[6], v.envelopes[6])); f == nil || f.Kind != verify.WrongIndex {
			t.Errorf("got %v", f)
		}
	}
	if a.Size() != 5 || a.Kept() != nil {
		t.Errorf("size %d, kept %v", a.Size(), a.Kept())
	}
	if _, err := a.State(); err == nil {
		t.Error("an audit in between has a state")
	}
	if f := verify.AsFinding(a.Finish(s.Checkpoint(4))); f == nil || f.Kind != verify.MissingEntry {
		t.Errorf("more entries than the checkpoint has: got %v", f)
	}
	if err := a.Finish(s.Checkpoint(5)); err != nil {
		t.Error(err)
	}
	if err := a.Add(v.entries[5], v.envelopes[5]); err != nil {
		t.Fatal(err)
	}
	if _, err := a.State(); err == nil {
		t.Error("an audit that goes on has a state")
	}
	if got := findings(verifytest.Audit(a, s.Checkpoint(s.Size()), s.All(6))); got != "" {
		t.Error(got)
	}
}

// TestStateDamaged flips each byte of a state: it is refused, or it is the same
// state.
func TestStateDamaged(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	state := []byte(stateOf(t, audited(t, s, 11, true)))
	for i := range state {
		for _, bit := range []byte{0x01, 0x20} {
			b := bytes.Clone(state)
			b[i] ^= bit
			if a, err := verify.ResumeAuditor(s.Log, b); err == nil && stateOf(t, a) != string(state) {
				t.Errorf("byte %d: another state is taken", i)
			}
		}
	}
	for _, b := range [][]byte{nil, []byte("{}"), []byte("null"), state[:len(state)-1], append(bytes.Clone(state), '}')} {
		if _, err := verify.ResumeAuditor(s.Log, b); err == nil {
			t.Errorf("taken for a state: %q", b)
		}
	}
}

// TestStateTampered changes a state and seals it again: what the checkpoint
// vouches for cannot be changed even so.
func TestStateTampered(t *testing.T) {
	s := newSample(t)
	other := verifytest.NewLedgerAt(t, "ledger.test/other", verifytest.Founded)
	state := []byte(stateOf(t, audited(t, s, 11, true)))
	for _, c := range []struct {
		name   string
		change func(m map[string]any)
	}{
		{"another ledger", func(m map[string]any) { m["ledger_id"] = other.Log.ID().String() }},
		{"another size", func(m map[string]any) { m["size"] = "13" }},
		{"an older checkpoint", func(m map[string]any) { m["checkpoint"] = string(s.Checkpoint(7).Note) }},
		{"a checkpoint of another key", func(m map[string]any) {
			cp, err := verify.SignCheckpoint(other.Checkpoints, 11, s.Tree.Root(11))
			if err != nil {
				t.Fatal(err)
			}
			m["checkpoint"] = string(cp.Note)
		}},
		{"an edge hash changed", func(m map[string]any) { m["edge"].([]any)[1] = m["edge"].([]any)[0] }},
		{"an edge hash cut", func(m map[string]any) { m["edge"].([]any)[1] = "AAAA" }},
		{"an edge hash left out", func(m map[string]any) { m["edge"] = m["edge"].([]any)[1:] }},
		{"a key of no acceptable form", func(m map[string]any) { m["keys"].([]any)[0].(map[string]any)["spki"] = "AAAA" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m map[string]any
			if err := json.Unmarshal(state, &m); err != nil {
				t.Fatal(err)
			}
			c.change(m)
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify.ResumeAuditor(s.Log, b); err == nil {
				t.Error("it is taken unsealed")
			}
			sealed, err := verify.SealState(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify.ResumeAuditor(s.Log, sealed); err == nil {
				t.Error("it is taken")
			}
		})
	}
	sealed, err := verify.SealState(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.ResumeAuditor(s.Log, sealed); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	if _, err := verify.ResumeAuditor(other.Log, state); err == nil {
		t.Error("it is taken for another ledger")
	}
}

// findingKinds are all kinds; the first nine are of entries and checkpoints.
var findingKinds = []verify.FindingKind{
	verify.MalformedEntry, verify.WrongIndex, verify.BrokenChain, verify.TimeReversed, verify.MissingEntry,
	verify.WrongRoot, verify.BadCheckpoint, verify.CutBack, verify.Rewritten,
	verify.Withheld, verify.ChangedStatement, verify.BadForm, verify.WrongLedger, verify.UnknownKey,
	verify.KeyNotSigners, verify.KeyNotValid, verify.BadSignature, verify.BadPossession, verify.WrongAuthor,
}

func TestFindingKinds(t *testing.T) {
	for i, kind := range findingKinds {
		if got, want := (&verify.Finding{Kind: kind}).OfStatement(), i >= 9; got != want {
			t.Errorf("%s: of a statement %v", kind, got)
		}
	}
}
