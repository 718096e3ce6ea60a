package custody

import (
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Refusal is the error of a statement that may not be recorded. It holds
// nothing of anybody but the signer.
type Refusal struct {
	// Reason is why, for programs.
	Reason tracev1.RefusalReason
	// Message is why, for people.
	Message string
	// Violations name the fields at fault, when fields are.
	Violations []Violation
	// Limit names the limit that was exceeded, when one was.
	Limit string
	// LimitValue is the value of that limit.
	LimitValue uint64
	// LatestHash is the statement hash of the latest version, when the target
	// is stale.
	LatestHash []byte
}

// Violation is one fault of one field.
type Violation struct {
	// Reason is VALUE_…, DATE_… or TOO_LARGE.
	Reason tracev1.RefusalReason
	// Field is the path within the message that was checked, for instance
	// "lines[2].hs_code".
	Field string
	// Description says what is wrong, and what would be right.
	Description string
}

func (r *Refusal) Error() string {
	if len(r.Violations) > 0 {
		v := r.Violations[0]
		return fmt.Sprintf("%s: %s: %s", r.Message, v.Field, v.Description)
	}
	return r.Message
}

// Proto returns the refusal in the form that goes over the wire.
func (r *Refusal) Proto() *tracev1.Refusal {
	m := &tracev1.Refusal{Reason: r.Reason, Message: r.Message, LatestHash: r.LatestHash}
	for _, v := range r.Violations {
		m.Violations = append(m.Violations, &tracev1.FieldViolation{Field: v.Field, Description: v.Description})
	}
	if r.Limit != "" {
		m.Limit = &tracev1.RefusalLimit{Name: r.Limit, Value: r.LimitValue}
	}
	return m
}

// refuse returns a refusal without violations.
func refuse(reason tracev1.RefusalReason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// refuseValue returns the refusal of a statement for the form of one value.
func refuseValue(field, description string) *Refusal {
	return &Refusal{Reason: valueMalformed, Message: "the statement holds values that cannot be recorded",
		Violations: []Violation{{Reason: valueMalformed, Field: field, Description: description}}}
}
