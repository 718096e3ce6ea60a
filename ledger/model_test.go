package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// made is a statement of which all is known: what it says and how it is signed.
type made struct {
	env  *tracev1.Envelope
	st   *tracev1.Statement
	hash verify.Hash
}

func madeOf(t testing.TB, envs ...*tracev1.Envelope) []*made {
	t.Helper()
	var ms []*made
	for _, env := range envs {
		p, err := verify.ParsePayload(env.GetPayload())
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, &made{env: env, st: p.Statement, hash: verifytest.StatementHash(env)})
	}
	return ms
}

// id is what a statement is known by when it is submitted again.
func (m *made) id() string { return m.st.GetSigner() + string(m.st.GetStatementId()) }

// model is a ledger in few words: a list of statements, and what the list says.
// It has one rule for each sort of statement that simulations submit.
type model struct {
	log       []*made
	byID      map[string]int
	byHash    map[verify.Hash]int
	keys      map[verify.Hash]bool // whether it is valid
	suspended map[string]bool
	next      map[verify.Hash]*made // what superseded a version
}

func newModel(log ...*made) *model {
	m := &model{
		byID: make(map[string]int), byHash: make(map[verify.Hash]int), keys: make(map[verify.Hash]bool),
		suspended: make(map[string]bool), next: make(map[verify.Hash]*made),
	}
	for _, x := range log {
		m.take(x)
	}
	return m
}

// verdict is what becomes of a statement.
type verdict struct {
	index   int
	already bool
	reason  tracev1.RefusalReason // 0 if it is on record
}

// admit judges a statement and takes it if it may be recorded.
func (m *model) admit(x *made) verdict {
	if index, ok := m.byID[x.id()]; ok {
		if string(m.log[index].env.GetPayload()) != string(x.env.GetPayload()) {
			return verdict{reason: tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS}
		}
		return verdict{index: index, already: true}
	}
	if reason := m.judge(x); reason != 0 {
		return verdict{reason: reason}
	}
	m.take(x)
	return verdict{index: len(m.log) - 1}
}

func (m *model) judge(x *made) tracev1.RefusalReason {
	key := verify.Hash(x.env.GetKeyId())
	switch valid, known := m.keys[key]; {
	case !known:
		return tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN
	case !valid:
		return tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED
	case m.suspended[x.st.GetSigner()]:
		return tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED
	}
	switch what := x.st.GetStated().(type) {
	case *tracev1.Statement_Transaction:
		if what.Transaction.GetLines()[0].GetNetMassGrams() == 0 {
			return tracev1.RefusalReason_REFUSAL_REASON_VALUE_OUT_OF_RANGE
		}
	case *tracev1.Statement_Amendment:
		return m.judgeTarget(what.Amendment.GetTarget())
	case *tracev1.Statement_Void:
		return m.judgeTarget(what.Void.GetTarget())
	case *tracev1.Statement_KeyRegistered:
		if _, known := m.keys[keyID(what.KeyRegistered.GetSpki())]; known {
			return tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS
		}
	case *tracev1.Statement_KeyRevoked:
		if !m.keys[verify.Hash(what.KeyRevoked.GetKeyId())] {
			return tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE
		}
	case *tracev1.Statement_ParticipantSuspended:
		if m.suspended[what.ParticipantSuspended.GetParticipantId()] {
			return tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE
		}
	case *tracev1.Statement_ParticipantReinstated:
		if !m.suspended[what.ParticipantReinstated.GetParticipantId()] {
			return tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE
		}
	}
	return 0
}

func (m *model) judgeTarget(target []byte) tracev1.RefusalReason {
	at := verify.Hash(target)
	if _, ok := m.byHash[at]; !ok {
		return tracev1.RefusalReason_REFUSAL_REASON_TARGET_UNKNOWN
	}
	if m.next[at] == nil {
		return 0
	}
	for m.next[at] != nil {
		at = m.next[at].hash
	}
	if m.log[m.byHash[at]].st.GetVoid() != nil {
		return tracev1.RefusalReason_REFUSAL_REASON_TARGET_VOIDED
	}
	return tracev1.RefusalReason_REFUSAL_REASON_TARGET_STALE
}

// take records a statement that was judged.
func (m *model) take(x *made) {
	index := len(m.log)
	m.log = append(m.log, x)
	m.byID[x.id()], m.byHash[x.hash] = index, index
	switch what := x.st.GetStated().(type) {
	case *tracev1.Statement_Genesis:
		for _, key := range []*tracev1.FoundingKey{what.Genesis.GetRoot(), what.Genesis.GetAuthority(), what.Genesis.GetLedger()} {
			m.keys[keyID(key.GetSpki())] = true
		}
	case *tracev1.Statement_KeyRegistered:
		m.keys[keyID(what.KeyRegistered.GetSpki())] = true
	case *tracev1.Statement_KeyRevoked:
		m.keys[verify.Hash(what.KeyRevoked.GetKeyId())] = false
	case *tracev1.Statement_ParticipantSuspended:
		m.suspended[what.ParticipantSuspended.GetParticipantId()] = true
	case *tracev1.Statement_ParticipantReinstated:
		m.suspended[what.ParticipantReinstated.GetParticipantId()] = false
	case *tracev1.Statement_Amendment:
		m.next[verify.Hash(what.Amendment.GetTarget())] = x
	case *tracev1.Statement_Void:
		m.next[verify.Hash(what.Void.GetTarget())] = x
	}
}

func keyID(spki []byte) verify.Hash { return sha256.Sum256(spki) }

// volumes returns the grams of what was not superseded, by seller, customer and
// month.
func (m *model) volumes() map[string]uint64 {
	sums := make(map[string]uint64)
	for _, x := range m.log {
		tx := x.st.GetTransaction()
		if a := x.st.GetAmendment(); a != nil {
			tx = a.GetReplacement()
		}
		if tx == nil || m.next[x.hash] != nil {
			continue
		}
		seller := x.st.GetSigner()
		customer := "own:" + seller + "/" + tx.GetCustomer().GetOwnCode()
		for _, line := range tx.GetLines() {
			sums[fmt.Sprint([]string{seller, customer, tx.GetTransactionDate()[:7]})] += line.GetNetMassGrams()
		}
	}
	return sums
}

// wantVolumes compares what a ledger answers with the model.
func (m *model) wantVolumes(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	v := l.View()
	defer v.Close()
	got, err := custody.QueryVolumes(v, custody.Scope{All: true}, custody.NewFilter(),
		[]custody.Dimension{custody.BySeller, custody.ByCustomer, custody.ByMonth})
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	for _, row := range got.Rows {
		sums[fmt.Sprint(row.Keys)] = row.NetMassGrams.String()
	}
	want := m.volumes()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if sums[k] != fmt.Sprint(want[k]) {
			t.Errorf("%s: %s g, want %d", k, sums[k], want[k])
		}
	}
	if len(sums) != len(want) {
		t.Errorf("%d rows, want %d", len(sums), len(want))
	}
}
