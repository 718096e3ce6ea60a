package rpc_test

import (
	"slices"
	"testing"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// TestRun: what a message puts on record comes as one run, whatever stands
// between its items; what is refused or was on record before comes by itself. The
// proof is that of the range, and small.
func TestRun(t *testing.T) {
	w := newWorld(t)
	before := w.signed(w.sale("acme"))
	w.record(before)
	var envs []*tracev1.Envelope
	for range 100 {
		envs = append(envs, w.signed(w.sale("acme")))
	}
	envs[10], envs[20] = before, &tracev1.Envelope{Payload: []byte("none")}
	s := w.peer("acme").stream()
	send(t, s, 0, envs...)
	var run *ledgerv1.RecordedRun
	var checkpoint []byte
	single := make(map[uint64]*ledgerv1.SubmitOutcome)
	for answered := 0; answered < len(envs); {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range m.GetOutcomes() {
			single[o.GetSequence()] = o
		}
		if m.GetRun() != nil {
			if run != nil {
				t.Error("there are two runs")
			}
			run, checkpoint = m.GetRun(), m.GetCheckpoint()
		}
		answered += len(m.GetOutcomes()) + len(m.GetRun().GetSequences())
	}
	finish(t, s)
	if len(single) != 2 || !single[10].GetRecorded().GetAlreadyRecorded() || single[20].GetRefusal() == nil {
		t.Errorf("outcomes by themselves: %v", single)
	}
	if len(run.GetRangeProof()) > 16 {
		t.Errorf("the proof has %d hashes", len(run.GetRangeProof()))
	}
	cp, err := w.Log.OpenCheckpoint(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	var recorded []*tracev1.Envelope
	for _, sequence := range run.GetSequences() {
		recorded = append(recorded, envs[sequence])
	}
	if !slices.IsSorted(run.GetSequences()) || len(recorded) != 98 {
		t.Errorf("the run is of %v", run.GetSequences())
	}
	common := verify.Run{Entries: run.GetEntries(), Proof: run.GetRangeProof(), SignerSPKI: run.GetSignerSpki()}
	receipts, _, err := verify.VerifyRun(recorded, &common, cp)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		w.prove(recorded[i], r)
	}
}
