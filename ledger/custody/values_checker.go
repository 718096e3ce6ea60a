package custody

import (
	"fmt"
	"strconv"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// The reasons that a value is refused for. A value that is not one of an
// enumeration or a list, that is too long, or that stands where none may, is
// malformed; one that has the form of its field but cannot be is out of range.
const (
	valueMissing    = tracev1.RefusalReason_REFUSAL_REASON_VALUE_MISSING
	valueMalformed  = tracev1.RefusalReason_REFUSAL_REASON_VALUE_MALFORMED
	valueOutOfRange = tracev1.RefusalReason_REFUSAL_REASON_VALUE_OUT_OF_RANGE
	valueRepeated   = tracev1.RefusalReason_REFUSAL_REASON_VALUE_REPEATED
	dateMalformed   = tracev1.RefusalReason_REFUSAL_REASON_DATE_MALFORMED
	dateOutOfBounds = tracev1.RefusalReason_REFUSAL_REASON_DATE_OUT_OF_BOUNDS
	limitExceeded   = tracev1.RefusalReason_REFUSAL_REASON_TOO_LARGE
)

// Lengths of byte fields.
const (
	hashBytes        = 32
	saltBytes        = 16
	statementIDBytes = 16
	ed25519SPKIBytes = 44
	p256SPKIBytes    = 91
	signatureBytes   = 64
)

// Longest texts in bytes.
const (
	maxName     = 256
	maxNumber   = 64 // numbers and codes that a seller or an office gives
	maxReason   = 1024
	maxGrade    = 32
	maxCoating  = 64
	maxVerifier = 400
)

// maxViolations is how many violations a check lists. Whoever has more wrong
// has something wrong at large, and a long answer helps nobody.
const maxViolations = 20

// valueChecker gathers violations. The checks are its methods: each takes the
// path of the message that a field stands in, and the name of the field.
type valueChecker struct {
	violations []Violation
	// The first limit that was exceeded, when one was.
	limit      string
	limitValue uint64
}

// refusal returns what was found, nil if nothing was.
func (c *valueChecker) refusal() *Refusal {
	if len(c.violations) == 0 {
		return nil
	}
	return &Refusal{
		Reason:     c.violations[0].Reason,
		Message:    "the statement holds values that cannot be recorded",
		Violations: c.violations,
		Limit:      c.limit,
		LimitValue: c.limitValue,
	}
}

// full reports whether nothing more will be listed. Loops end on it, so that
// many faults cost no more than a few.
func (c *valueChecker) full() bool {
	return len(c.violations) >= maxViolations
}

// fail lists a fault of the field name in the message at; name is "" for that
// message, or repeated value, itself.
func (c *valueChecker) fail(reason tracev1.RefusalReason, at *fieldPath, name, description string) {
	if c.full() {
		return
	}
	field := at.String()
	if field != "" && name != "" {
		field += "."
	}
	c.violations = append(c.violations, Violation{Reason: reason, Field: field + name, Description: description})
}

// missing lists a required field that is not given.
func (c *valueChecker) missing(at *fieldPath, name string) {
	c.fail(valueMissing, at, name, "is required")
}

// exceeds lists a field that holds more values than a limit allows.
func (c *valueChecker) exceeds(at *fieldPath, name string, got int, limit string, value uint64) {
	c.fail(limitExceeded, at, name, fmt.Sprintf("has %d values, %s is %d", got, limit, value))
	if c.limit == "" {
		c.limit, c.limitValue = limit, value
	}
}

// length checks a required byte field of one length.
func (c *valueChecker) length(at *fieldPath, name string, value []byte, want int) {
	switch len(value) {
	case want:
	case 0:
		c.missing(at, name)
	default:
		c.fail(valueMalformed, at, name, fmt.Sprintf("must be %d bytes, is %d", want, len(value)))
	}
}

// spki checks the length of a required public key; its bytes are for those who
// parse it.
func (c *valueChecker) spki(at *fieldPath, name string, value []byte) {
	switch len(value) {
	case ed25519SPKIBytes, p256SPKIBytes:
	case 0:
		c.missing(at, name)
	default:
		c.fail(valueMalformed, at, name, fmt.Sprintf("must be %d bytes (Ed25519) or %d (P-256), is %d",
			ed25519SPKIBytes, p256SPKIBytes, len(value)))
	}
}

// requiredText checks a text that must be given.
func (c *valueChecker) requiredText(at *fieldPath, name, value string, longest int) {
	if value == "" {
		c.missing(at, name)
		return
	}
	c.text(at, name, value, longest)
}

// text checks a text that may be given, of at most longest bytes.
func (c *valueChecker) text(at *fieldPath, name, value string, longest int) {
	if len(value) > longest {
		c.fail(valueMalformed, at, name, fmt.Sprintf("must be at most %d bytes, is %d", longest, len(value)))
	} else if problem := textProblem(value); problem != "" {
		c.fail(valueMalformed, at, name, problem)
	}
}

// participantID checks the form of a required participant id.
func (c *valueChecker) participantID(at *fieldPath, name, value string) {
	if value == "" {
		c.missing(at, name)
	} else if !ValidParticipantID(value) {
		c.fail(valueMalformed, at, name, "must be a participant id, [a-z0-9][a-z0-9._-]{0,63}")
	}
}

// country checks a required country, which may be unknown where orUnknown says
// so.
func (c *valueChecker) country(at *fieldPath, name, value string, orUnknown bool) {
	switch {
	case value == "":
		c.missing(at, name)
	case KnownCountry(value), orUnknown && value == unknownCountry:
	case orUnknown:
		c.fail(valueMalformed, at, name, "must be an ISO 3166-1 alpha-2 code, or ZZ for unknown")
	default:
		c.fail(valueMalformed, at, name, "must be an ISO 3166-1 alpha-2 code")
	}
}

// requiredEnum checks a value of an enumeration that runs from 1 to last; 0
// means that it is missing.
func (c *valueChecker) requiredEnum(at *fieldPath, name string, value, last int32) {
	if value == 0 {
		c.missing(at, name)
		return
	}
	c.enum(at, name, value, last)
}

// enum checks a value of an enumeration that runs from 0, not given, to last.
func (c *valueChecker) enum(at *fieldPath, name string, value, last int32) {
	if value < 0 || value > last {
		c.fail(valueMalformed, at, name, fmt.Sprintf("has no value %d", value))
	}
}

// checkRange checks that a number is from low to high.
func checkRange[T int32 | int64 | uint32 | uint64](c *valueChecker, at *fieldPath, name string, value, low, high T) {
	if value < low || value > high {
		c.fail(valueOutOfRange, at, name, fmt.Sprintf("must be %d to %d, is %d", low, high, value))
	}
}

// fieldPath is the path of a message or of a repeated value. It is a chain of
// values on the stack of the checks, and a string only once something is wrong.
// The zero of it, nil, is the message that the check began with.
type fieldPath struct {
	parent *fieldPath
	name   string
	index  int // -1 for a field that is not repeated
}

// under returns the path of a field of the message that the check began with.
func under(name string) *fieldPath {
	return &fieldPath{name: name, index: -1}
}

// field returns the path of a field of the message p.
func (p *fieldPath) field(name string) *fieldPath {
	return &fieldPath{parent: p, name: name, index: -1}
}

// item returns the path of a value of a repeated field of the message p.
func (p *fieldPath) item(name string, index int) *fieldPath {
	return &fieldPath{parent: p, name: name, index: index}
}

// String returns the path as in "lines[2].composition[0]".
func (p *fieldPath) String() string {
	if p == nil {
		return ""
	}
	step := p.name
	if p.index >= 0 {
		step += "[" + strconv.Itoa(p.index) + "]"
	}
	if p.parent == nil {
		return step
	}
	return p.parent.String() + "." + step
}
