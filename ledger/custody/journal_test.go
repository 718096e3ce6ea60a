package custody_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// journal is a log in memory with the state that follows from it. It implements
// custody.State and custody.Reader, and notes what is read.
type journal struct {
	t     testing.TB
	made  *verifytest.Ledger
	rules *custody.Rules
	// at is the time of the next entry.
	at time.Time

	values     map[string][]byte
	sorted     []string // the keys of values, or nil if they have to be sorted again
	statements []*tracev1.Envelope
	hashes     []verify.Hash
	puts       []put
	changed    string // key of the last change, until it is settled
	change     custody.Figures

	// reads are the keys, and the beginnings of ranges, and payloads the indexes,
	// that were read.
	reads    []string
	payloads []uint64
}

// put is what was put, and what it was then.
type put struct {
	key, value         []byte
	keyThen, valueThen string
}

// newJournal returns a founded journal, in which sellers take part.
func newJournal(t testing.TB, sellers ...string) *journal {
	t.Helper()
	return newJournalOf(t, verifytest.NewLedger(t), sellers...)
}

func newJournalOf(t testing.TB, made *verifytest.Ledger, sellers ...string) *journal {
	t.Helper()
	g, err := verify.OpenGenesis(made.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := custody.NewRules(g)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{t: t, made: made, rules: rules, at: made.Now, values: make(map[string][]byte)}
	if err := custody.Found(j, g); err != nil {
		t.Fatal(err)
	}
	j.append(made.Genesis, g.Log.ID())
	for _, id := range sellers {
		j.record(made.Register(id, tracev1.Role_ROLE_PRODUCER)...)
	}
	t.Cleanup(j.checkPuts)
	return j
}

func (j *journal) append(env *tracev1.Envelope, hash verify.Hash) {
	j.statements, j.hashes = append(j.statements, env), append(j.hashes, hash)
}

func (j *journal) size() uint64 { return uint64(len(j.statements)) }

// admit judges a statement as the writer of a ledger does, but for its
// signature, and appends it if it may be recorded. A refusal must not have put
// anything.
func (j *journal) admit(env *tracev1.Envelope) error {
	before := len(j.puts)
	sub, err := j.judge(env)
	if err == nil {
		j.append(env, sub.Hash)
		return nil
	}
	if len(j.puts) != before {
		j.t.Errorf("%v: %d values were put", err, len(j.puts)-before)
	}
	return err
}

func (j *journal) judge(env *tracev1.Envelope) (*custody.Submission, error) {
	sub, err := j.rules.ParseSubmission(env)
	if err != nil {
		return nil, err
	}
	k, err := custody.KeyByID(j, sub.KeyID[:])
	if err != nil {
		return nil, err
	}
	if err := custody.CheckKey(k, sub.Payload.Statement.GetSigner()); err != nil {
		return nil, err
	}
	err = j.rules.Admit(j, custody.Place{Index: j.size(), SequencedAtMicros: j.at.UnixMicro()}, sub)
	j.settle()
	return sub, err
}

// record admits statements that must be recorded.
func (j *journal) record(envs ...*tracev1.Envelope) {
	j.t.Helper()
	for _, env := range envs {
		if err := j.admit(env); err != nil {
			j.t.Fatal(err)
		}
	}
}

// refused admits a statement that must be refused, and returns the refusal.
func (j *journal) refused(env *tracev1.Envelope, want tracev1.RefusalReason) *custody.Refusal {
	j.t.Helper()
	err := j.admit(env)
	var refusal *custody.Refusal
	if !errors.As(err, &refusal) {
		j.t.Errorf("%v, want %v", err, want)
		return new(custody.Refusal)
	}
	if refusal.Reason != want || refusal.Message == "" {
		j.t.Errorf("%v: %v, want %v", refusal.Reason, refusal, want)
	}
	return refusal
}

// unsigned returns the envelope of a statement by a key, whose signature is no
// matter for the rules.
func (j *journal) unsigned(key *verify.PublicKey, st *tracev1.Statement) *tracev1.Envelope {
	j.t.Helper()
	p, err := verify.NewPayload(st)
	if err != nil {
		j.t.Fatal(err)
	}
	id := key.ID()
	block := verify.SignatureBlock{Form: verify.Single, Algorithm: verify.Ed25519, Signature: make([]byte, verify.SignatureSize)}
	return &tracev1.Envelope{Payload: p.Bytes, KeyId: id[:], SignatureBlock: block.AppendBinary(nil)}
}

// by returns the envelope of a statement by the key of its signer.
func (j *journal) by(signer string, st *tracev1.Statement) *tracev1.Envelope {
	j.t.Helper()
	st = j.made.Complete(signer, st)
	return j.unsigned(verifytest.Key(st.GetSigner()).Public(), st)
}

// act returns an act of the authority.
func (j *journal) act(st *tracev1.Statement) *tracev1.Envelope {
	j.t.Helper()
	return j.by(verify.AuthorityID, st)
}

// sale returns a statement of a transaction, as changed.
func (j *journal) sale(seller string, change func(*tracev1.Transaction)) *tracev1.Envelope {
	j.t.Helper()
	st := j.made.TransactionStatement(seller, 1000)
	if change != nil {
		change(st.GetTransaction())
	}
	return j.by(seller, st)
}

// amendment returns a statement that replaces a target by a transaction.
func (j *journal) amendment(seller string, target []byte, change func(*tracev1.Transaction)) *tracev1.Envelope {
	j.t.Helper()
	st := j.made.TransactionStatement(seller, 1000)
	if change != nil {
		change(st.GetTransaction())
	}
	st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
		Target: target, Replacement: st.GetTransaction(), Reason: "weighed again"}}
	return j.by(seller, st)
}

// void returns a statement that withdraws a target.
func (j *journal) void(seller string, target []byte) *tracev1.Envelope {
	j.t.Helper()
	return j.by(seller, &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{
		Target: target, Reason: "entered twice"}}})
}

// last returns the hash of the last statement.
func (j *journal) last() []byte { return j.hashes[len(j.hashes)-1][:] }

// Get implements custody.Lookup.
func (j *journal) Get(key []byte) ([]byte, error) {
	j.settle()
	j.reads = append(j.reads, string(key))
	return j.values[string(key)], nil
}

// Put implements custody.State.
func (j *journal) Put(key, value []byte) {
	if len(value) == 0 {
		j.t.Errorf("empty value of %q", key)
	}
	j.puts = append(j.puts, put{key, value, string(key), string(value)})
	if _, ok := j.values[string(key)]; !ok {
		j.sorted = nil
	}
	j.values[string(key)] = value
}

// Change implements custody.State: what is added to the figures from then on, the
// next one who reads finds added.
func (j *journal) Change(key []byte) *custody.Figures {
	if !custody.IsCell(key) {
		j.t.Errorf("figures under %q", key)
	}
	j.settle()
	j.puts = append(j.puts, put{key: key, keyThen: string(key)})
	j.changed, j.change = string(key), custody.Figures{}
	return &j.change
}

// settle adds the last change to the value of its key.
func (j *journal) settle() {
	if j.changed == "" {
		return
	}
	value := j.change.Binary()
	if old, ok := j.values[j.changed]; !ok {
		j.sorted = nil
	} else if sum, err := custody.AddValues(nil, old, value); err == nil {
		value = sum
	} else {
		value = old // whoever reads it finds the fault
	}
	j.values[j.changed], j.changed = value, ""
}

// checkPuts tests that what was put was not changed afterwards.
func (j *journal) checkPuts() {
	for _, p := range j.puts {
		if string(p.key) != p.keyThen || string(p.value) != p.valueThen {
			j.t.Errorf("%q = %q was changed after it was put, to %q = %q", p.keyThen, p.valueThen, p.key, p.value)
		}
	}
}

// Payload implements custody.Lookup.
func (j *journal) Payload(index uint64) ([]byte, error) {
	j.payloads = append(j.payloads, index)
	if index >= j.size() {
		return nil, fmt.Errorf("there is no entry %d", index)
	}
	return j.statements[index].GetPayload(), nil
}

// StatementHash implements custody.Lookup.
func (j *journal) StatementHash(index uint64) ([]byte, error) {
	if index >= j.size() {
		return nil, fmt.Errorf("there is no entry %d", index)
	}
	return j.hashes[index][:], nil
}

// ScanRanges implements custody.Reader.
func (j *journal) ScanRanges(ranges []custody.Range, visit func(key, value []byte) bool) error {
	more := true
	for _, r := range ranges {
		err := j.Scan(r.From, r.To, func(key, value []byte) bool {
			more = visit(key, value)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Scan implements custody.Reader. What was visited is overwritten.
func (j *journal) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	j.settle()
	j.reads = append(j.reads, string(from))
	if j.sorted == nil {
		j.sorted = slices.Sorted(maps.Keys(j.values))
	}
	at, _ := slices.BinarySearch(j.sorted, string(from))
	for _, name := range j.sorted[at:] {
		if to != nil && name >= string(to) {
			return nil
		}
		j.reads = append(j.reads, name)
		key, value := []byte(name), bytes.Clone(j.values[name])
		more := visit(key, value)
		spoil(key)
		spoil(value)
		if !more {
			return nil
		}
	}
	return nil
}

func spoil(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
