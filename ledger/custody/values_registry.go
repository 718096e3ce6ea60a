package custody

import (
	"bytes"
	"fmt"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// rulesVersion is the only version of the rules that a genesis may name.
const rulesVersion = 1

// maxUTCOffset bounds the offset of reporting dates from UTC, in seconds: the
// furthest that clocks are from UTC is 14 hours.
const maxUTCOffset = 14 * 3600

// maxRightSellers is how many sellers a reading right may name.
const maxRightSellers = 1000

// Last values of the enumerations that rules version 1 knows.
const (
	lastRole   = int32(tracev1.Role_ROLE_REGULATOR)
	lastScheme = int32(tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT)
)

// CheckRuleParameters judges the numbers that a genesis gives its rules, with
// paths that start at the parameters: payloads 1 KiB to 512 KiB and 1 to 2,000
// lines (what one commit of a store can hold, with all that follows from it),
// batches 1 to 4,096 (what a signature block holds), 0 to 31 days ahead, 0 to 24
// hours ahead.
func CheckRuleParameters(p *tracev1.RuleParameters) []Violation {
	var c valueChecker
	c.ruleParameters(nil, p)
	return c.violations
}

// DefaultRuleParameters returns what a genesis names unless its founders choose
// otherwise: payloads of 256 KiB, 1,000 lines, batches of 4,096, dates one day
// ahead, claimed times five minutes ahead.
func DefaultRuleParameters() *tracev1.RuleParameters {
	return &tracev1.RuleParameters{
		MaxPayloadBytes:      256 << 10,
		MaxTransactionLines:  1000,
		MaxBatchSize:         4096,
		MaxDaysAhead:         1,
		MaxStatedAheadMicros: 5 * 60 * microsPerSecond,
	}
}

func (c *valueChecker) ruleParameters(at *fieldPath, p *tracev1.RuleParameters) {
	checkRange(c, at, "max_payload_bytes", p.GetMaxPayloadBytes(), 1<<10, 512<<10)
	checkRange(c, at, "max_transaction_lines", p.GetMaxTransactionLines(), 1, 2000)
	checkRange(c, at, "max_batch_size", p.GetMaxBatchSize(), 1, 4096)
	checkRange(c, at, "max_days_ahead", p.GetMaxDaysAhead(), 0, 31)
	checkRange(c, at, "max_stated_ahead_micros", p.GetMaxStatedAheadMicros(), 0, secondsPerDay*microsPerSecond)
}

func (c *valueChecker) genesis(at *fieldPath, g *tracev1.Genesis) {
	if g.GetOrigin() == "" {
		c.missing(at, "origin")
	} else if !validOrigin(g.GetOrigin()) {
		c.fail(valueMalformed, at, "origin", "must be [a-z0-9.-]+(/[a-z0-9._-]+)*, at most 200 bytes")
	}
	c.verifierKey(at, g)
	c.foundingKeys(at, g)
	if g.GetRulesVersion() != rulesVersion {
		c.fail(valueOutOfRange, at, "rules_version", fmt.Sprintf("must be %d", rulesVersion))
	}
	if g.GetRuleParameters() == nil {
		c.missing(at, "rule_parameters")
	} else {
		c.ruleParameters(at.field("rule_parameters"), g.GetRuleParameters())
	}
	checkRange(c, at, "reporting_utc_offset_seconds", g.GetReportingUtcOffsetSeconds(), -maxUTCOffset, maxUTCOffset)
}

// verifierKey checks what can be seen of the checkpoint verifier key without
// parsing it: visible ASCII that begins with the origin and a plus sign.
func (c *valueChecker) verifierKey(at *fieldPath, g *tracev1.Genesis) {
	vkey := g.GetCheckpointVkey()
	key, named := strings.CutPrefix(vkey, g.GetOrigin())
	switch {
	case vkey == "":
		c.missing(at, "checkpoint_vkey")
	case len(vkey) > maxVerifier:
		c.fail(valueMalformed, at, "checkpoint_vkey",
			fmt.Sprintf("must be at most %d bytes, is %d", maxVerifier, len(vkey)))
	case !isVisibleASCII(vkey):
		c.fail(valueMalformed, at, "checkpoint_vkey", "must be visible ASCII characters")
	case !named || key == "" || key[0] != '+':
		c.fail(valueMalformed, at, "checkpoint_vkey", "must be a verifier key whose name is the origin")
	}
}

// foundingKeys checks that three keys are named, and that they are three.
func (c *valueChecker) foundingKeys(at *fieldPath, g *tracev1.Genesis) {
	c.foundingKey(at, "root", g.GetRoot())
	c.foundingKey(at, "authority", g.GetAuthority())
	c.foundingKey(at, "ledger", g.GetLedger())
	root, authority, ledger := g.GetRoot().GetSpki(), g.GetAuthority().GetSpki(), g.GetLedger().GetSpki()
	if len(authority) > 0 && bytes.Equal(authority, root) {
		c.fail(valueRepeated, at, "authority.spki", "is the key of root")
	}
	if len(ledger) > 0 && (bytes.Equal(ledger, root) || bytes.Equal(ledger, authority)) {
		c.fail(valueRepeated, at, "ledger.spki", "is the key of root or authority")
	}
}

func (c *valueChecker) foundingKey(at *fieldPath, name string, k *tracev1.FoundingKey) {
	if k == nil {
		c.missing(at, name)
		return
	}
	key := at.field(name)
	c.spki(key, "spki", k.GetSpki())
	c.length(key, "possession", k.GetPossession(), signatureBytes)
}

func (c *valueChecker) participantAdmitted(at *fieldPath, m *tracev1.ParticipantAdmitted) {
	c.participantID(at, "participant_id", m.GetParticipantId())
	if ReservedParticipantID(m.GetParticipantId()) {
		c.fail(valueOutOfRange, at, "participant_id", "is reserved")
	}
	c.legalName(at.field("name"), m.GetName())
	c.country(at, "country", m.GetCountry(), false)
	c.identifiers(at, m.GetIdentifiers())
	c.roles(at, m.GetRoles())
}

func (c *valueChecker) rolesChanged(at *fieldPath, m *tracev1.RolesChanged) {
	c.participantID(at, "participant_id", m.GetParticipantId())
	c.roles(at, m.GetRoles())
}

func (c *valueChecker) participantAndReason(at *fieldPath, id, reason string) {
	c.participantID(at, "participant_id", id)
	c.requiredText(at, "reason", reason, maxReason)
}

func (c *valueChecker) keyRegistered(at *fieldPath, m *tracev1.KeyRegistered) {
	c.participantID(at, "participant_id", m.GetParticipantId())
	c.spki(at, "spki", m.GetSpki())
	c.length(at, "possession", m.GetPossession(), signatureBytes)
}

func (c *valueChecker) keyRevoked(at *fieldPath, m *tracev1.KeyRevoked) {
	c.length(at, "key_id", m.GetKeyId(), hashBytes)
	c.requiredText(at, "reason", m.GetReason(), maxReason)
	if m.GetCompromisedSinceMicros() < 0 {
		c.fail(valueOutOfRange, at, "compromised_since_micros", "must not be before 1970")
	}
}

func (c *valueChecker) readingRightGranted(at *fieldPath, m *tracev1.ReadingRightGranted) {
	c.participantID(at, "participant_id", m.GetParticipantId())
	sellers := m.GetSellers()
	switch {
	case len(sellers) == 0:
	case m.GetAllSellers():
		c.fail(valueMalformed, at, "sellers", "must be empty when all_sellers is set")
	case len(sellers) > maxRightSellers:
		c.exceeds(at, "sellers", len(sellers), "max_right_sellers", maxRightSellers)
	default:
		c.sellers(at, sellers)
	}
}

func (c *valueChecker) sellers(at *fieldPath, sellers []string) {
	seen := make(map[string]bool, len(sellers))
	for i, seller := range sellers {
		if c.full() {
			return
		}
		c.participantID(at.item("sellers", i), "", seller)
		if seen[seller] {
			c.fail(valueRepeated, at.item("sellers", i), "", "is named before")
		}
		seen[seller] = true
	}
}

// roles checks that there are some, and each once.
func (c *valueChecker) roles(at *fieldPath, roles []tracev1.Role) {
	if len(roles) == 0 {
		c.missing(at, "roles")
	}
	var seen valueSet
	for i, role := range roles {
		if c.full() {
			return
		}
		c.requiredEnum(at.item("roles", i), "", int32(role), lastRole)
		if seen.add(int32(role)) {
			c.fail(valueRepeated, at.item("roles", i), "", "is named before")
		}
	}
}

// legalName checks a required name. Its scripts are not judged: which letters a
// register takes is for the register to say.
func (c *valueChecker) legalName(at *fieldPath, m *tracev1.LegalName) {
	c.requiredText(at, "native", m.GetNative(), maxName)
	c.text(at, "latin", m.GetLatin(), maxName)
}

// identifiers checks identifiers of one party, of which each scheme gives one.
func (c *valueChecker) identifiers(at *fieldPath, ids []*tracev1.Identifier) {
	var seen valueSet
	for i, id := range ids {
		if c.full() {
			return
		}
		item := at.item("identifiers", i)
		c.identifier(item, id)
		if seen.add(int32(id.GetScheme())) {
			c.fail(valueRepeated, item, "scheme", "is named before")
		}
	}
}

func (c *valueChecker) identifier(at *fieldPath, id *tracev1.Identifier) {
	scheme := int32(id.GetScheme())
	c.requiredEnum(at, "scheme", scheme, lastScheme)
	if id.GetValue() == "" {
		c.missing(at, "value")
	} else if scheme > 0 && scheme <= lastScheme {
		if problem := CheckIdentifier(id); problem != "" {
			c.fail(valueMalformed, at, "value", problem)
		}
	}
}

// valueSet is a set of the values of a small enumeration.
type valueSet uint64

// add puts a value in and reports whether it was there. Values that no
// enumeration here has, and 0, not given, are never in.
func (s *valueSet) add(value int32) bool {
	if value <= 0 || value >= 64 {
		return false
	}
	bit := valueSet(1) << value
	was := *s&bit != 0
	*s |= bit
	return was
}

func isVisibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}
