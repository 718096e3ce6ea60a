package custody_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestFound judges founding statements.
func TestFound(t *testing.T) {
	made := verifytest.NewLedger(t)
	g, err := verify.OpenGenesis(made.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{t: t, values: make(map[string][]byte)}
	g.Payload.Statement.Salt = nil
	var refusal *custody.Refusal
	if err := custody.Found(j, g); !errors.As(err, &refusal) || refusal.Reason != missing {
		t.Errorf("without salt: %v", err)
	}
	if len(j.puts) > 0 {
		t.Errorf("%d values were put", len(j.puts))
	}

	// Rules that this program does not have.
	g.Statement.RulesVersion = 2
	if _, err := custody.NewRules(g); err == nil || !strings.Contains(err.Error(), "rules version 2") {
		t.Errorf("rules of version 2: %v", err)
	}
}

// TestRules tests that rules are those of the genesis.
func TestRules(t *testing.T) {
	j := newJournal(t)
	if got := j.rules.Parameters(); got.GetMaxPayloadBytes() != 256<<10 || got.GetMaxTransactionLines() != 1000 {
		t.Errorf("parameters %v", got)
	}
	if got := j.rules.ReportingUTCOffset(); got != 28_800 {
		t.Errorf("offset %d", got)
	}
}

// TestDamagedState reads values that these rules do not leave behind.
func TestDamagedState(t *testing.T) {
	for _, test := range []struct {
		name  string
		key   string // how it begins
		value string
	}{
		{"participant", "pacme", "\xff"},
		{"key", "k", "\xff"},
		{"statement", "sacme", "short"},
		{"listing", "tacme", "xx"},
		{"cell", "vacme", "\xff"},
		{"identifier", "ilei", "short"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJournal(t, "acme")
			j.record(j.admission("buyer", identifier(lei, issuedLEIs[0])), j.sale("acme", nil))
			sold, hash := j.statements[j.size()-1], j.last()
			for key := range j.values {
				if strings.HasPrefix(key, test.key) {
					j.values[key] = []byte(test.value)
				}
			}
			again := j.sale("acme", func(tx *tracev1.Transaction) {
				tx.Customer.Identifiers = []*tracev1.Identifier{identifier(lei, issuedLEIs[0])}
			})
			var found []error
			for _, env := range []*tracev1.Envelope{sold, again, j.amendment("acme", hash, nil)} {
				_, err := j.judge(env)
				found = append(found, err)
			}
			_, err := custody.QueryVolumes(j, custody.Scope{All: true}, custody.NewFilter(), nil)
			found = append(found, err, custody.Participants(j, "", func(*tracev1.Participant) bool { return true }))
			state := 0
			for _, err := range found {
				var refusal *custody.Refusal
				if errors.As(err, &refusal) {
					t.Errorf("the statement is at fault: %v", err)
				}
				if errors.Is(err, custody.ErrState) {
					state++
				}
			}
			if state == 0 {
				t.Errorf("not found: %v", found)
			}
		})
	}
}
