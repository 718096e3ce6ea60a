package custody_test

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func validGenesis() *tracev1.Genesis {
	key := func(b byte, size int) *tracev1.FoundingKey {
		return &tracev1.FoundingKey{Spki: bytes.Repeat([]byte{b}, size), Possession: make([]byte, 64)}
	}
	return &tracev1.Genesis{
		Origin:                    "ledger.example/magnets",
		CheckpointVkey:            "ledger.example/magnets+00000000+AQIDBA==",
		Root:                      key(1, 44),
		Authority:                 key(2, 91),
		Ledger:                    key(3, 44),
		RulesVersion:              1,
		RuleParameters:            custody.DefaultRuleParameters(),
		ReportingUtcOffsetSeconds: 28_800,
	}
}

func genesisStatement(m *tracev1.Genesis) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.LedgerId, st.Signer = nil, "root"
		st.Stated = &tracev1.Statement_Genesis{Genesis: m}
	})
}

func TestGenesis(t *testing.T) {
	origin := func(s string) func(*tracev1.Genesis) {
		return func(g *tracev1.Genesis) { g.Origin, g.CheckpointVkey = s, s+"+00000000+AQIDBA==" }
	}
	vkey := func(s string) func(*tracev1.Genesis) {
		return func(g *tracev1.Genesis) { g.CheckpointVkey = s }
	}
	runStatementCases(t, validGenesis, genesisStatement, []valueCase[*tracev1.Genesis]{
		{"as it is", func(g *tracev1.Genesis) {}, fine, ""},
		{"no origin", func(g *tracev1.Genesis) { g.Origin, g.CheckpointVkey = "", "+00000000+AQIDBA==" }, missing, "genesis.origin"},
		{"origin without path", origin("ledger.example"), fine, ""},
		{"origin with a long path", origin("ledger.example/magnets/e_2/0"), fine, ""},
		{"origin of 200 bytes", origin(strings.Repeat("a", 200)), fine, ""},
		{"origin of 201 bytes", origin(strings.Repeat("a", 201)), malformed, "genesis.origin"},
		{"origin in capitals", origin("Ledger.example"), malformed, "genesis.origin"},
		{"origin that ends with a slash", origin("ledger.example/"), malformed, "genesis.origin"},
		{"origin with two slashes", origin("ledger.example//a"), malformed, "genesis.origin"},
		{"origin that begins with a slash", origin("/a"), malformed, "genesis.origin"},
		{"origin with an underscore in the host", origin("ledger_example"), malformed, "genesis.origin"},
		{"origin with a scheme", origin("https://ledger.example"), malformed, "genesis.origin"},
		{"origin with a plus", origin("ledger.example/a+b"), malformed, "genesis.origin"},
		{"no verifier key", vkey(""), missing, "genesis.checkpoint_vkey"},
		{"verifier key of another name", vkey("other.example+00000000+AQIDBA=="), malformed, "genesis.checkpoint_vkey"},
		{"verifier key of a longer name", vkey("ledger.example/magnets2+00000000+AA=="), malformed, "genesis.checkpoint_vkey"},
		{"verifier key that is the name", vkey("ledger.example/magnets"), malformed, "genesis.checkpoint_vkey"},
		{"verifier key with a newline", vkey("ledger.example/magnets+00000000+AA==\n"), malformed, "genesis.checkpoint_vkey"},
		{"verifier key with a space", vkey("ledger.example/magnets+00000000+A A=="), malformed, "genesis.checkpoint_vkey"},
		{"verifier key with a delete", vkey("ledger.example/magnets+00000000+\x7f"), malformed, "genesis.checkpoint_vkey"},
		{"verifier key beyond ASCII", vkey("ledger.example/magnets+00000000+é"), malformed, "genesis.checkpoint_vkey"},
		{"verifier key of 400 bytes", vkey("ledger.example/magnets+" + strings.Repeat("A", 377)), fine, ""},
		{"verifier key of 401 bytes", vkey("ledger.example/magnets+" + strings.Repeat("A", 378)), malformed, "genesis.checkpoint_vkey"},
		{"no root", func(g *tracev1.Genesis) { g.Root = nil }, missing, "genesis.root"},
		{"no authority", func(g *tracev1.Genesis) { g.Authority = nil }, missing, "genesis.authority"},
		{"no ledger", func(g *tracev1.Genesis) { g.Ledger = nil }, missing, "genesis.ledger"},
		{"no key of root", func(g *tracev1.Genesis) { g.Root.Spki = nil }, missing, "genesis.root.spki"},
		{"short key", func(g *tracev1.Genesis) { g.Ledger.Spki = make([]byte, 43) }, malformed, "genesis.ledger.spki"},
		{"no possession", func(g *tracev1.Genesis) { g.Authority.Possession = nil }, missing, "genesis.authority.possession"},
		{"long possession", func(g *tracev1.Genesis) { g.Authority.Possession = make([]byte, 65) }, malformed, "genesis.authority.possession"},
		{"authority has the key of root", func(g *tracev1.Genesis) { g.Authority.Spki = g.Root.Spki }, repeated, "genesis.authority.spki"},
		{"ledger has the key of root", func(g *tracev1.Genesis) { g.Ledger.Spki = g.Root.Spki }, repeated, "genesis.ledger.spki"},
		{"ledger has the key of authority", func(g *tracev1.Genesis) { g.Ledger.Spki = g.Authority.Spki }, repeated, "genesis.ledger.spki"},
		{"no rules", func(g *tracev1.Genesis) { g.RulesVersion = 0 }, outOfRange, "genesis.rules_version"},
		{"later rules", func(g *tracev1.Genesis) { g.RulesVersion = 2 }, outOfRange, "genesis.rules_version"},
		{"no parameters", func(g *tracev1.Genesis) { g.RuleParameters = nil }, missing, "genesis.rule_parameters"},
		{"no lines", func(g *tracev1.Genesis) { g.RuleParameters.MaxTransactionLines = 0 }, outOfRange, "genesis.rule_parameters.max_transaction_lines"},
		{"offset of 14 hours", func(g *tracev1.Genesis) { g.ReportingUtcOffsetSeconds = -50_400 }, fine, ""},
		{"offset above 14 hours", func(g *tracev1.Genesis) { g.ReportingUtcOffsetSeconds = 50_401 }, outOfRange, "genesis.reporting_utc_offset_seconds"},
		{"offset below -14 hours", func(g *tracev1.Genesis) { g.ReportingUtcOffsetSeconds = -50_401 }, outOfRange, "genesis.reporting_utc_offset_seconds"},
	})
}

func TestRuleParameters(t *testing.T) {
	for _, test := range []struct {
		field     string
		set       func(p *tracev1.RuleParameters, n int64)
		low, high int64
	}{
		{"max_payload_bytes", func(p *tracev1.RuleParameters, n int64) { p.MaxPayloadBytes = uint32(n) }, 1024, 524_288},
		{"max_transaction_lines", func(p *tracev1.RuleParameters, n int64) { p.MaxTransactionLines = uint32(n) }, 1, 2000},
		{"max_batch_size", func(p *tracev1.RuleParameters, n int64) { p.MaxBatchSize = uint32(n) }, 1, 4096},
		{"max_days_ahead", func(p *tracev1.RuleParameters, n int64) { p.MaxDaysAhead = uint32(n) }, 0, 31},
		{"max_stated_ahead_micros", func(p *tracev1.RuleParameters, n int64) { p.MaxStatedAheadMicros = n }, 0, 86_400_000_000},
	} {
		t.Run(test.field, func(t *testing.T) {
			for _, n := range []int64{test.low, test.high} {
				p := custody.DefaultRuleParameters()
				test.set(p, n)
				if got := custody.CheckRuleParameters(p); len(got) != 0 {
					t.Errorf("%d: %v", n, got)
				}
			}
			for _, n := range []int64{test.low - 1, test.high + 1} { // -1 is a large unsigned number
				p := custody.DefaultRuleParameters()
				test.set(p, n)
				checkViolation(t, custody.CheckRuleParameters(p), outOfRange, test.field)
			}
		})
	}
	if got := custody.CheckRuleParameters(custody.DefaultRuleParameters()); len(got) != 0 {
		t.Errorf("the defaults: %v", got)
	}
	if got := custody.CheckRuleParameters(nil); len(got) != 3 {
		t.Errorf("nil: %v", got)
	}
}

func validAdmission() *tracev1.ParticipantAdmitted {
	return &tracev1.ParticipantAdmitted{
		ParticipantId: "acme",
		Name:          &tracev1.LegalName{Native: "某公司", Latin: "Acme"},
		Country:       "CN",
		Identifiers: []*tracev1.Identifier{
			{Scheme: uscc, Value: issuedUSCCs[0]},
			{Scheme: lei, Value: issuedLEIs[0]},
		},
		Roles: []tracev1.Role{tracev1.Role_ROLE_PRODUCER, tracev1.Role_ROLE_RECYCLER},
	}
}

func admissionStatement(m *tracev1.ParticipantAdmitted) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.Stated = &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: m}
	})
}

func TestParticipantAdmitted(t *testing.T) {
	const at = "participant_admitted."
	type message = tracev1.ParticipantAdmitted
	runStatementCases(t, validAdmission, admissionStatement, []valueCase[*message]{
		{"no id", func(m *message) { m.ParticipantId = "" }, missing, at + "participant_id"},
		{"id with a slash", func(m *message) { m.ParticipantId = "ac/me" }, malformed, at + "participant_id"},
		{"reserved id", func(m *message) { m.ParticipantId = "ledger" }, outOfRange, at + "participant_id"},
		{"no name", func(m *message) { m.Name = nil }, missing, at + "name.native"},
		{"only a Latin name", func(m *message) { m.Name.Native = "" }, missing, at + "name.native"},
		{"only a native name", func(m *message) { m.Name.Latin = "" }, fine, ""},
		{"long name", func(m *message) { m.Name.Native = strings.Repeat("司", 86) }, malformed, at + "name.native"},
		{"long Latin name", func(m *message) { m.Name.Latin = strings.Repeat("a", 257) }, malformed, at + "name.latin"},
		{"no country", func(m *message) { m.Country = "" }, missing, at + "country"},
		{"unknown country", func(m *message) { m.Country = "ZZ" }, malformed, at + "country"},
		{"country in small letters", func(m *message) { m.Country = "cn" }, malformed, at + "country"},
		{"Namibia", func(m *message) { m.Country = "NA" }, fine, ""},
		{"no identifiers", func(m *message) { m.Identifiers = nil }, fine, ""},
		{"no scheme", func(m *message) { m.Identifiers[0].Scheme = 0 }, missing, at + "identifiers[0].scheme"},
		{"unknown scheme", func(m *message) { m.Identifiers[0].Scheme = 6 }, malformed, at + "identifiers[0].scheme"},
		{"huge scheme", func(m *message) { m.Identifiers[0].Scheme = math.MaxInt32 }, malformed, at + "identifiers[0].scheme"},
		{"negative scheme", func(m *message) { m.Identifiers[0].Scheme = math.MinInt32 }, malformed, at + "identifiers[0].scheme"},
		{"no identifier", func(m *message) { m.Identifiers[1].Value = "" }, missing, at + "identifiers[1].value"},
		{"wrong identifier", func(m *message) { m.Identifiers[1].Value = "HWUPKR0MPOU8FGXBT395" }, malformed, at + "identifiers[1].value"},
		{"wrong identifier of the last scheme", func(m *message) {
			m.Identifiers[1] = &tracev1.Identifier{Scheme: vat, Value: "1"}
		}, malformed, at + "identifiers[1].value"},
		{"suspicious identifier", func(m *message) { m.Identifiers[0].Value = "91350100M000100Y44" }, fine, ""},
		{"two of one scheme", func(m *message) {
			m.Identifiers[0] = &tracev1.Identifier{Scheme: lei, Value: issuedLEIs[1]}
		}, repeated, at + "identifiers[1].scheme"},
		{"no roles", func(m *message) { m.Roles = nil }, missing, at + "roles"},
		{"a role not given", func(m *message) { m.Roles[1] = 0 }, missing, at + "roles[1]"},
		{"an unknown role", func(m *message) { m.Roles[1] = 11 }, malformed, at + "roles[1]"},
		{"a negative role", func(m *message) { m.Roles[1] = -1 }, malformed, at + "roles[1]"},
		{"a role twice", func(m *message) { m.Roles[1] = m.Roles[0] }, repeated, at + "roles[1]"},
		{"all roles", func(m *message) {
			m.Roles = nil
			for role := range len(tracev1.Role_name) - 1 {
				m.Roles = append(m.Roles, tracev1.Role(role+1))
			}
		}, fine, ""},
	})
}

func TestParticipantActs(t *testing.T) {
	valid := func(name string) func() *tracev1.Statement {
		return func() *tracev1.Statement { return validStatements()[name] }
	}
	itself := func(st *tracev1.Statement) *tracev1.Statement { return st }
	type statement = tracev1.Statement
	runStatementCases(t, valid("participant_suspended"), itself, []valueCase[*statement]{
		{"suspend nobody", func(st *statement) { st.GetParticipantSuspended().ParticipantId = "" }, missing, "participant_suspended.participant_id"},
		{"suspend for nothing", func(st *statement) { st.GetParticipantSuspended().Reason = "" }, missing, "participant_suspended.reason"},
		{"suspend at length", func(st *statement) { st.GetParticipantSuspended().Reason = strings.Repeat("a", 1024) }, fine, ""},
		{"suspend at great length", func(st *statement) { st.GetParticipantSuspended().Reason = strings.Repeat("a", 1025) }, malformed, "participant_suspended.reason"},
	})
	runStatementCases(t, valid("participant_reinstated"), itself, []valueCase[*statement]{
		{"reinstate who cannot be", func(st *statement) { st.GetParticipantReinstated().ParticipantId = "A" }, malformed, "participant_reinstated.participant_id"},
		{"reinstate for nothing", func(st *statement) { st.GetParticipantReinstated().Reason = "" }, missing, "participant_reinstated.reason"},
		{"reinstate for a blank", func(st *statement) { st.GetParticipantReinstated().Reason = " " }, malformed, "participant_reinstated.reason"},
	})
	runStatementCases(t, valid("roles_changed"), itself, []valueCase[*statement]{
		{"change nobody", func(st *statement) { st.GetRolesChanged().ParticipantId = "" }, missing, "roles_changed.participant_id"},
		{"change to nothing", func(st *statement) { st.GetRolesChanged().Roles = nil }, missing, "roles_changed.roles"},
	})
}

func validKey() *tracev1.KeyRegistered {
	return &tracev1.KeyRegistered{ParticipantId: "acme", Spki: make([]byte, 91), Possession: make([]byte, 64)}
}

func keyStatement(m *tracev1.KeyRegistered) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.Stated = &tracev1.Statement_KeyRegistered{KeyRegistered: m}
	})
}

func TestKeyRegistered(t *testing.T) {
	type message = tracev1.KeyRegistered
	runStatementCases(t, validKey, keyStatement, []valueCase[*message]{
		{"of nobody", func(m *message) { m.ParticipantId = "" }, missing, "key_registered.participant_id"},
		{"of who cannot be", func(m *message) { m.ParticipantId = "acme/2" }, malformed, "key_registered.participant_id"},
		{"Ed25519", func(m *message) { m.Spki = make([]byte, 44) }, fine, ""},
		{"no key", func(m *message) { m.Spki = nil }, missing, "key_registered.spki"},
		{"bare key", func(m *message) { m.Spki = make([]byte, 32) }, malformed, "key_registered.spki"},
		{"no possession", func(m *message) { m.Possession = nil }, missing, "key_registered.possession"},
		{"DER possession", func(m *message) { m.Possession = make([]byte, 70) }, malformed, "key_registered.possession"},
	})
}

func validRevocation() *tracev1.KeyRevoked {
	return &tracev1.KeyRevoked{KeyId: make([]byte, 32), Reason: "lost", CompromisedSinceMicros: 1}
}

func revocationStatement(m *tracev1.KeyRevoked) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.Stated = &tracev1.Statement_KeyRevoked{KeyRevoked: m}
	})
}

func TestKeyRevoked(t *testing.T) {
	type message = tracev1.KeyRevoked
	runStatementCases(t, validRevocation, revocationStatement, []valueCase[*message]{
		{"no key", func(m *message) { m.KeyId = nil }, missing, "key_revoked.key_id"},
		{"long key id", func(m *message) { m.KeyId = make([]byte, 44) }, malformed, "key_revoked.key_id"},
		{"no reason", func(m *message) { m.Reason = "" }, missing, "key_revoked.reason"},
		{"never in other hands", func(m *message) { m.CompromisedSinceMicros = 0 }, fine, ""},
		{"before the epoch", func(m *message) { m.CompromisedSinceMicros = -1 }, outOfRange, "key_revoked.compromised_since_micros"},
	})
}

func validRight() *tracev1.ReadingRightGranted {
	return &tracev1.ReadingRightGranted{ParticipantId: "auditor-1", Sellers: []string{"acme", "acme-2"}}
}

func rightStatement(m *tracev1.ReadingRightGranted) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.Stated = &tracev1.Statement_ReadingRightGranted{ReadingRightGranted: m}
	})
}

func sellers(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "acme-" + strconv.Itoa(i)
	}
	return ids
}

func TestReadingRightGranted(t *testing.T) {
	const at = "reading_right_granted."
	type message = tracev1.ReadingRightGranted
	runStatementCases(t, validRight, rightStatement, []valueCase[*message]{
		{"to nobody", func(m *message) { m.ParticipantId = "" }, missing, at + "participant_id"},
		{"withdrawn", func(m *message) { m.Sellers = nil }, fine, ""},
		{"of everything", func(m *message) { m.Sellers, m.AllSellers = nil, true }, fine, ""},
		{"of everything and some", func(m *message) { m.AllSellers = true }, malformed, at + "sellers"},
		{"of an empty id", func(m *message) { m.Sellers[1] = "" }, missing, at + "sellers[1]"},
		{"of who cannot be", func(m *message) { m.Sellers[1] = "ACME" }, malformed, at + "sellers[1]"},
		{"of one twice", func(m *message) { m.Sellers[1] = "acme" }, repeated, at + "sellers[1]"},
		{"of 1,000", func(m *message) { m.Sellers = sellers(1000) }, fine, ""},
		{"of 1,001", func(m *message) { m.Sellers = sellers(1001) }, tooLarge, at + "sellers"},
	})
	refusal := custody.CheckStatement(rightStatement(&message{ParticipantId: "auditor-1", Sellers: sellers(1001)}), nil)
	if refusal.Limit != "max_right_sellers" || refusal.LimitValue != 1000 {
		t.Errorf("limit %q, %d", refusal.Limit, refusal.LimitValue)
	}
}
