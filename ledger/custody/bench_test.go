package custody_test

import (
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

// BenchmarkAdmit admits one-line transactions of one seller with one customer,
// each into the cell of those before.
func BenchmarkAdmit(b *testing.B) {
	j := newJournal(b, "acme")
	subs := make([]*custody.Submission, b.N)
	for n := range subs {
		var err error
		if subs[n], err = j.rules.ParseSubmission(j.sale("acme", nil)); err != nil {
			b.Fatal(err)
		}
	}
	state := &values{journal: j, values: j.values}
	b.ReportAllocs()
	b.ResetTimer()
	for n, sub := range subs {
		at := custody.Place{Index: uint64(3 + n), SequencedAtMicros: j.at.UnixMicro()}
		if err := j.rules.Admit(state, at, sub); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "statements/s")
}

// BenchmarkParseSubmission does what comes before, but for the signature.
func BenchmarkParseSubmission(b *testing.B) {
	j := newJournal(b, "acme")
	env := j.sale("acme", nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.rules.ParseSubmission(env); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "statements/s")
}

// values is the state of a journal without its notes.
type values struct {
	*journal
	values map[string][]byte
}

func (v *values) Get(key []byte) ([]byte, error) { return v.values[string(key)], nil }

func (v *values) Put(key, value []byte) { v.values[string(key)] = value }
