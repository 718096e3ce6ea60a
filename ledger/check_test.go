package ledger_test

import (
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestCheck checks statements that are not what they should be, twice: the
// second time the keys are known from the first.
func TestCheck(t *testing.T) {
	s := newSite(t, "acme", "zeta")
	l := s.mustOpen()
	defer l.Close()
	acme, zeta := verifytest.Key("acme"), verifytest.Key("zeta")
	st := s.made.TransactionStatement("acme", 1)
	batch := transactions(s.made, "acme", 5)
	moved, altered, forged := cloned(batch[1]), cloned(batch[1]), cloned(batch[1])
	moved.SignatureBlock = batch[2].GetSignatureBlock()
	altered.Payload[len(altered.Payload)-1] ^= 1
	forged.SignatureBlock[20] ^= 1
	single := s.made.Sign(acme, st)
	single.SignatureBlock[20] ^= 1
	other := s.made.Sign(acme, st)
	id := zeta.Public().ID()
	other.KeyId = id[:]
	elsewhere := verifytest.NewLedgerAt(t, "other.test/2026", s.made.Now)
	for range 2 {
		for _, test := range []struct {
			name   string
			env    *tracev1.Envelope
			caller string
			want   tracev1.RefusalReason // 0 if it passes
		}{
			{"sound", s.made.Sign(acme, st), "acme", 0},
			{"sound, of another", s.made.Transaction("zeta", 1), "zeta", 0},
			{"sound, of a batch", batch[1], "acme", 0},
			{"another caller", s.made.Sign(acme, st), "zeta", tracev1.RefusalReason_REFUSAL_REASON_PEER_NOT_SIGNER},
			{"no caller", s.made.Sign(acme, st), "", tracev1.RefusalReason_REFUSAL_REASON_PEER_NOT_SIGNER},
			{"another's key", s.made.Sign(zeta, st), "acme", tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS},
			{"unknown key", s.made.Sign(verifytest.Key("nobody"), st), "acme", tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN},
			{"key id of another", other, "acme", tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS},
			{"signature", single, "acme", tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE},
			{"signature of a batch", forged, "acme", tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE},
			{"place in a batch", moved, "acme", tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE},
			{"payload in a batch", altered, "acme", tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE},
			{"another ledger", elsewhere.Transaction("acme", 1), "acme", tracev1.RefusalReason_REFUSAL_REASON_WRONG_LEDGER},
			{"nothing", nil, "acme", tracev1.RefusalReason_REFUSAL_REASON_MALFORMED},
		} {
			item, err := l.Check(test.env, test.caller)
			var refusal *custody.Refusal
			switch {
			case test.want == 0:
				if err != nil || item == nil {
					t.Errorf("%s: %v", test.name, err)
				}
			case !errors.As(err, &refusal) || refusal.Reason != test.want || item != nil:
				t.Errorf("%s: %v, %v, want %v", test.name, item, err, test.want)
			}
		}
	}
}

// TestCheckedBefore submits what was checked before something came between: the
// writer judges what is true then.
func TestCheckedBefore(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	defer i.close()
	items := i.check(s.made.Transaction("acme", 1))
	i.record(s.made.RevokeKey(verifytest.Key("acme").Public()))
	results, err := i.Submit(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *custody.Refusal
	if !errors.As(results[0].Err, &refusal) || refusal.Reason != tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED {
		t.Errorf("%+v", results[0])
	}
	s.wantSize(i.Ledger, s.founded()+1)
}
