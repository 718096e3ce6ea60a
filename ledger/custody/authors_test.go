package custody_test

import (
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// TestAuthors has every sort of statement signed by everybody.
func TestAuthors(t *testing.T) {
	stated := validStatements()
	for _, signer := range []string{verify.RootID, verify.AuthorityID, verify.LedgerID, "acme", "buyer"} {
		for name, st := range stated {
			j := newJournal(t, "acme")
			j.record(j.made.Register("buyer", tracev1.Role_ROLE_CUSTOMER, tracev1.Role_ROLE_AUDITOR, tracev1.Role_ROLE_REGULATOR)...)
			want := tracev1.RefusalReason_REFUSAL_REASON_ROLE
			switch trade := st.GetTransaction() != nil || st.GetAmendment() != nil || st.GetVoid() != nil; {
			case name == "genesis":
				want = tracev1.RefusalReason_REFUSAL_REASON_GENESIS_EXISTS
			case trade && signer == "acme", !trade && signer == verify.AuthorityID:
				want = 0
			}
			err := j.admit(j.by(signer, &tracev1.Statement{Stated: st.GetStated()}))
			var refusal *custody.Refusal
			if errors.As(err, &refusal) && (refusal.Reason == tracev1.RefusalReason_REFUSAL_REASON_ROLE || want != 0) {
				if refusal.Reason != want {
					t.Errorf("%s by %s: %v, want %v", name, signer, refusal.Reason, want)
				}
			} else if want != 0 {
				t.Errorf("%s by %s: %v, want %v", name, signer, err, want)
			}
		}
	}
}

// TestTraders has transactions stated by every role alone.
func TestTraders(t *testing.T) {
	for value, name := range tracev1.Role_name {
		role := tracev1.Role(value)
		if role == 0 {
			continue
		}
		j := newJournal(t)
		j.record(j.made.Register("acme", role)...)
		switch role {
		case tracev1.Role_ROLE_CUSTOMER, tracev1.Role_ROLE_AUDITOR, tracev1.Role_ROLE_REGULATOR:
			j.refused(j.sale("acme", nil), tracev1.RefusalReason_REFUSAL_REASON_ROLE)
			j.record(j.roles("acme", role, tracev1.Role_ROLE_TRADER))
			j.record(j.sale("acme", nil))
		default:
			if err := j.admit(j.sale("acme", nil)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
