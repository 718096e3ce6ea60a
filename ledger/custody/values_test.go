package custody_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Reasons by the names that the tables use; fine is none.
const (
	fine       = tracev1.RefusalReason_REFUSAL_REASON_UNSPECIFIED
	missing    = tracev1.RefusalReason_REFUSAL_REASON_VALUE_MISSING
	malformed  = tracev1.RefusalReason_REFUSAL_REASON_VALUE_MALFORMED
	outOfRange = tracev1.RefusalReason_REFUSAL_REASON_VALUE_OUT_OF_RANGE
	repeated   = tracev1.RefusalReason_REFUSAL_REASON_VALUE_REPEATED
	badDate    = tracev1.RefusalReason_REFUSAL_REASON_DATE_MALFORMED
	dateAhead  = tracev1.RefusalReason_REFUSAL_REASON_DATE_OUT_OF_BOUNDS
	tooLarge   = tracev1.RefusalReason_REFUSAL_REASON_TOO_LARGE
)

// valueCase is one change to a message that is fine, and the one violation that
// it makes.
type valueCase[M proto.Message] struct {
	name   string
	change func(M)
	reason tracev1.RefusalReason
	field  string
}

// runStatementCases applies each change to what valid returns, within a
// statement, and checks the refusal.
func runStatementCases[M proto.Message](t *testing.T, valid func() M, wrap func(M) *tracev1.Statement, cases []valueCase[M]) {
	t.Helper()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			m := valid()
			test.change(m)
			refusal := custody.CheckStatement(wrap(m), custody.DefaultRuleParameters())
			if test.reason == fine {
				if refusal != nil {
					t.Fatalf("refused: %v", refusal.Violations)
				}
				return
			}
			if refusal == nil {
				t.Fatal("not refused")
			}
			if refusal.Reason != test.reason {
				t.Errorf("reason %v, want %v", refusal.Reason, test.reason)
			}
			checkViolation(t, refusal.Violations, test.reason, test.field)
			checkRefusal(t, refusal)
		})
	}
}

// checkViolation checks that there is one violation, and which.
func checkViolation(t *testing.T, got []custody.Violation, reason tracev1.RefusalReason, field string) {
	t.Helper()
	if len(got) != 1 || got[0].Reason != reason || got[0].Field != field {
		t.Errorf("violations %v, want %v of %q", got, reason, field)
	}
}

// checkRefusal checks what holds for every refusal of a statement's values.
func checkRefusal(t *testing.T, r *custody.Refusal) {
	t.Helper()
	if n := len(r.Violations); n == 0 || n > 20 || r.Reason != r.Violations[0].Reason || r.Message == "" {
		t.Fatalf("refusal %+v", r)
	}
	statement := (*tracev1.Statement)(nil).ProtoReflect().Descriptor()
	limit := false
	for _, v := range r.Violations {
		if v.Reason == fine || v.Description == "" || !hasField(statement, v.Field) {
			t.Errorf("violation %+v", v)
		}
		limit = limit || v.Reason == tooLarge
	}
	if limit != (r.Limit != "") || limit != (r.LimitValue > 0) {
		t.Errorf("limit %q, %d: %v", r.Limit, r.LimitValue, r.Violations)
	}
}

// hasField reports whether a path leads to a field, or a oneof, of the message;
// it has an index after repeated fields on the way and nowhere else.
func hasField(message protoreflect.MessageDescriptor, path string) bool {
	step, rest, more := strings.Cut(path, ".")
	name, index, indexed := strings.Cut(strings.TrimSuffix(step, "]"), "[")
	if message.Oneofs().ByName(protoreflect.Name(name)) != nil {
		return !more && !indexed
	}
	field := message.Fields().ByName(protoreflect.Name(name))
	if field == nil || indexed && !field.IsList() || more && field.IsList() != indexed {
		return false
	}
	if indexed {
		if _, err := strconv.ParseUint(index, 10, 31); err != nil {
			return false
		}
	}
	return !more || field.Message() != nil && hasField(field.Message(), rest)
}

// statementOf returns a statement around what is stated, fine but for that.
func statementOf(set func(*tracev1.Statement)) *tracev1.Statement {
	st := &tracev1.Statement{
		LedgerId:       bytes.Repeat([]byte{1}, 32),
		Salt:           bytes.Repeat([]byte{2}, 16),
		StatementId:    bytes.Repeat([]byte{3}, 16),
		Signer:         "acme",
		StatedAtMicros: 1_748_736_000_000_000,
	}
	set(st)
	return st
}

// validStatements returns a statement of each kind, by the name of its field.
func validStatements() map[string]*tracev1.Statement {
	reason := "asked for in writing"
	stated := map[string]func(*tracev1.Statement){
		"participant_suspended": func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_ParticipantSuspended{ParticipantSuspended: &tracev1.ParticipantSuspended{
				ParticipantId: "acme", Reason: reason}}
		},
		"participant_reinstated": func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_ParticipantReinstated{ParticipantReinstated: &tracev1.ParticipantReinstated{
				ParticipantId: "acme", Reason: reason}}
		},
		"roles_changed": func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_RolesChanged{RolesChanged: &tracev1.RolesChanged{
				ParticipantId: "acme", Roles: []tracev1.Role{tracev1.Role_ROLE_TRADER}}}
		},
		"void": func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_Void{Void: &tracev1.Void{Target: make([]byte, 32), Reason: reason}}
		},
		"amendment": func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
				Target: make([]byte, 32), Replacement: validTransaction(), Reason: reason}}
		},
	}
	statements := map[string]*tracev1.Statement{
		"genesis":               genesisStatement(validGenesis()),
		"participant_admitted":  admissionStatement(validAdmission()),
		"key_registered":        keyStatement(validKey()),
		"key_revoked":           revocationStatement(validRevocation()),
		"reading_right_granted": rightStatement(validRight()),
		"transaction":           transactionStatement(validTransaction()),
	}
	for name, set := range stated {
		statements[name] = statementOf(set)
	}
	return statements
}

// TestEveryStatement checks that each kind of statement has checks: a fine one
// passes, an empty one does not.
func TestEveryStatement(t *testing.T) {
	statements := validStatements()
	oneof := (*tracev1.Statement)(nil).ProtoReflect().Descriptor().Oneofs().ByName("stated")
	for i := range oneof.Fields().Len() {
		field := oneof.Fields().Get(i)
		t.Run(string(field.Name()), func(t *testing.T) {
			st := statements[string(field.Name())]
			if refusal := custody.CheckStatement(st, custody.DefaultRuleParameters()); refusal != nil {
				t.Fatalf("refused: %v", refusal.Violations)
			}
			reflected := st.ProtoReflect()
			reflected.Set(field, reflected.NewField(field))
			refusal := custody.CheckStatement(st, custody.DefaultRuleParameters())
			if refusal == nil || !strings.HasPrefix(refusal.Violations[0].Field, string(field.Name())+".") {
				t.Fatalf("an empty one: %v", refusal)
			}
			checkRefusal(t, refusal)
		})
	}
}

func TestStatementHeader(t *testing.T) {
	valid := func() *tracev1.Statement { return validStatements()["void"] }
	itself := func(st *tracev1.Statement) *tracev1.Statement { return st }
	runStatementCases(t, valid, itself, []valueCase[*tracev1.Statement]{
		{"as it is", func(st *tracev1.Statement) {}, fine, ""},
		{"no ledger", func(st *tracev1.Statement) { st.LedgerId = nil }, missing, "ledger_id"},
		{"short ledger", func(st *tracev1.Statement) { st.LedgerId = make([]byte, 31) }, malformed, "ledger_id"},
		{"long ledger", func(st *tracev1.Statement) { st.LedgerId = make([]byte, 33) }, malformed, "ledger_id"},
		{"no salt", func(st *tracev1.Statement) { st.Salt = nil }, missing, "salt"},
		{"short salt", func(st *tracev1.Statement) { st.Salt = make([]byte, 15) }, malformed, "salt"},
		{"no id", func(st *tracev1.Statement) { st.StatementId = nil }, missing, "statement_id"},
		{"long id", func(st *tracev1.Statement) { st.StatementId = make([]byte, 17) }, malformed, "statement_id"},
		{"zero id", func(st *tracev1.Statement) { st.StatementId = make([]byte, 16) }, outOfRange, "statement_id"},
		{"no signer", func(st *tracev1.Statement) { st.Signer = "" }, missing, "signer"},
		{"signer in capitals", func(st *tracev1.Statement) { st.Signer = "Acme" }, malformed, "signer"},
		{"reserved signer", func(st *tracev1.Statement) { st.Signer = "authority" }, fine, ""},
		{"at the epoch", func(st *tracev1.Statement) { st.StatedAtMicros = 0 }, fine, ""},
		{"before the epoch", func(st *tracev1.Statement) { st.StatedAtMicros = -1 }, outOfRange, "stated_at_micros"},
		{"nothing stated", func(st *tracev1.Statement) { st.Stated = nil }, missing, "stated"},
		{"genesis of a ledger", func(st *tracev1.Statement) {
			st.Stated = &tracev1.Statement_Genesis{Genesis: validGenesis()}
		}, malformed, "ledger_id"},
		{"void without target", func(st *tracev1.Statement) { st.GetVoid().Target = nil }, missing, "void.target"},
		{"void with half a target", func(st *tracev1.Statement) { st.GetVoid().Target = make([]byte, 16) }, malformed, "void.target"},
		{"void without reason", func(st *tracev1.Statement) { st.GetVoid().Reason = "" }, missing, "void.reason"},
	})
}

func TestCheckStatementNil(t *testing.T) {
	refusal := custody.CheckStatement(nil, nil)
	if refusal == nil || refusal.Reason != missing {
		t.Fatalf("refusal %+v", refusal)
	}
	checkRefusal(t, refusal)
}

// TestViolationsInOrder checks that all faults are listed, the first first, and
// no more than 20.
func TestViolationsInOrder(t *testing.T) {
	tx := validTransaction()
	tx.TransactionDate = "yesterday"
	tx.Lines = nil
	for range 1000 {
		tx.Lines = append(tx.Lines, &tracev1.TransactionLine{})
	}
	st := transactionStatement(tx)
	st.Salt = make([]byte, 8)
	refusal := custody.CheckStatement(st, custody.DefaultRuleParameters())
	if refusal == nil || refusal.Reason != malformed || len(refusal.Violations) != 20 {
		t.Fatalf("refusal %+v", refusal)
	}
	checkRefusal(t, refusal)
	for i, want := range []string{"salt", "transaction.transaction_date", "transaction.lines[0].product_family",
		"transaction.lines[0].hs_code", "transaction.lines[0].net_mass_grams", "transaction.lines[1].product_family"} {
		if got := refusal.Violations[i].Field; got != want {
			t.Errorf("violation %d is of %s, want %s", i, got, want)
		}
	}
}

// TestListsOfFaults checks that no list makes more violations than are listed.
func TestListsOfFaults(t *testing.T) {
	const many = 100_000
	admission, right, tx := validAdmission(), validRight(), validTransaction()
	admission.Roles = make([]tracev1.Role, many)
	right.Sellers = make([]string, 1000)
	tx.Lines[0].Composition = make([]*tracev1.ElementFraction, many)
	named := validTransaction()
	named.Customer.Identifiers = make([]*tracev1.Identifier, many)
	for name, st := range map[string]*tracev1.Statement{
		"roles":       admissionStatement(admission),
		"sellers":     rightStatement(right),
		"composition": transactionStatement(tx),
		"identifiers": transactionStatement(named),
	} {
		refusal := custody.CheckStatement(st, custody.DefaultRuleParameters())
		if refusal == nil || len(refusal.Violations) != 20 {
			t.Fatalf("%s: %v", name, refusal)
		}
		checkRefusal(t, refusal)
	}
}

// TestNoAllocation holds CheckStatement to what it says it costs.
func TestNoAllocation(t *testing.T) {
	p := custody.DefaultRuleParameters()
	statements := validStatements()
	delete(statements, "reading_right_granted")
	for name, st := range statements {
		if n := testing.AllocsPerRun(10, func() { custody.CheckStatement(st, p) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzCheckStatement(f *testing.F) {
	for _, st := range validStatements() {
		payload, err := proto.Marshal(st)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	p := custody.DefaultRuleParameters()
	f.Fuzz(func(t *testing.T, payload []byte) {
		st := new(tracev1.Statement)
		if proto.Unmarshal(payload, st) != nil {
			return
		}
		if refusal := custody.CheckStatement(st, p); refusal != nil {
			checkRefusal(t, refusal)
		} else if tx := st.GetTransaction(); tx != nil && len(custody.CheckTransaction(tx, p)) > 0 {
			t.Errorf("the statement is fine, its transaction is not: %v", custody.CheckTransaction(tx, p))
		}
	})
}

func BenchmarkCheckStatement(b *testing.B) {
	p := custody.DefaultRuleParameters()
	one, thousand := validTransaction(), validTransaction()
	one.Lines = one.Lines[:1]
	for len(thousand.Lines) < 1000 {
		thousand.Lines = append(thousand.Lines, thousand.Lines[0])
	}
	for name, st := range map[string]*tracev1.Statement{
		"lines=1":    transactionStatement(one),
		"lines=1000": transactionStatement(thousand),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if refusal := custody.CheckStatement(st, p); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
