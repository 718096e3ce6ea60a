package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// liar changes what the server answers, in unary calls and streams alike.
func liar(change func(reply any)) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			err := next(ctx, method, req, reply, cc, opts...)
			if err == nil {
				change(reply)
			}
			return err
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := next(ctx, desc, cc, method, opts...)
			return &lyingStream{s, change}, err
		}),
	}
}

type lyingStream struct {
	grpc.ClientStream
	change func(reply any)
}

func (s *lyingStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.change(m)
	}
	return err
}

// queueFull is the status of a full queue.
func queueFull(t *testing.T) error {
	t.Helper()
	st, err := status.New(codes.ResourceExhausted, "too much is waiting").WithDetails(
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: "QUEUE_FULL", Domain: "magnet.ledger"}),
		protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)}))
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

// unroll answers the items of a run one by one, as a server may.
func unroll(reply any) {
	m, ok := reply.(*ledgerv1.SubmitStreamResponse)
	if !ok || m.GetRun() == nil {
		return
	}
	run := m.GetRun()
	for i, r := range verifytest.Receipts(parts(run), m.GetCheckpoint()) {
		m.Outcomes = append(m.GetOutcomes(), &ledgerv1.SubmitOutcome{Sequence: run.GetSequences()[i], Outcome: &ledgerv1.SubmitOutcome_Recorded{
			Recorded: &ledgerv1.Recorded{Entry: r.GetEntry(), InclusionPath: r.GetInclusionPath(), SignerSpki: r.GetSignerSpki()},
		}})
	}
	m.Run = nil
}

func parts(run *ledgerv1.RecordedRun) *verify.Run {
	return &verify.Run{Entries: run.GetEntries(), Proof: run.GetRangeProof(), SignerSPKI: run.GetSignerSpki()}
}

// receiptParts are the parts of a receipt, in a unary answer or in a stream.
type receiptParts struct {
	entry, spki, checkpoint *[]byte
	path                    *[][]byte
}

// receiptIn returns the first receipt of an answer, or nil.
func receiptIn(reply any) *receiptParts {
	switch m := reply.(type) {
	case *ledgerv1.SubmitResponse:
		if r := m.GetReceipt(); r != nil {
			return &receiptParts{&r.Entry, &r.SignerSpki, &r.Checkpoint, &r.InclusionPath}
		}
	case *ledgerv1.SubmitStreamResponse:
		for _, o := range m.GetOutcomes() {
			if r := o.GetRecorded(); r != nil {
				return &receiptParts{&r.Entry, &r.SignerSpki, &m.Checkpoint, &r.InclusionPath}
			}
		}
	}
	return nil
}

// Every part of a receipt that the server changes is seen.
func TestWrongReceipts(t *testing.T) {
	w := newWorld(t)
	honest := w.dial("acme", nil)
	other, err := honest.Submit(t.Context(), w.envelope("OTHER"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		lie  func(r *receiptParts)
		want error
	}{
		{"of another statement", func(r *receiptParts) {
			*r.entry, *r.path, *r.checkpoint = other.Receipt.GetEntry(), other.Receipt.GetInclusionPath(), other.Receipt.GetCheckpoint()
		}, verify.ErrReceipt},
		{"other index", func(r *receiptParts) { (*r.entry)[9] ^= 1 }, verify.ErrReceipt},
		{"other time", func(r *receiptParts) { (*r.entry)[17] ^= 1 }, verify.ErrReceipt},
		{"other hash", func(r *receiptParts) { (*r.entry)[81] ^= 1 }, verify.ErrReceipt},
		{"short entry", func(r *receiptParts) { *r.entry = (*r.entry)[:81] }, verify.ErrReceipt},
		{"other path", func(r *receiptParts) { (*r.path)[0][0] ^= 1 }, verify.ErrReceipt},
		{"short path", func(r *receiptParts) { *r.path = (*r.path)[1:] }, verify.ErrReceipt},
		{"other key", func(r *receiptParts) { *r.spki = verifytest.Key("buyer").Public().SPKI() }, verify.ErrReceipt},
		{"no key", func(r *receiptParts) { *r.spki = nil }, verify.ErrReceipt},
		{"no checkpoint", func(r *receiptParts) { *r.checkpoint = nil }, verify.ErrCheckpoint},
		{"checkpoint of another key", func(r *receiptParts) {
			cp, err := verify.SignCheckpoint(verifytest.CheckpointSigner("other.test"), 10, verify.Hash{})
			if err != nil {
				t.Error(err)
			}
			*r.checkpoint = cp.Note
		}, verify.ErrCheckpoint},
		{"signature of the checkpoint", func(r *receiptParts) { (*r.checkpoint)[len(*r.checkpoint)-10] ^= 1 }, verify.ErrCheckpoint},
		{"other root", func(r *receiptParts) { *r.checkpoint = w.checkpoint(1000, verify.Hash{1}).Note }, verify.ErrReceipt},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.dial("acme", lies(liar(func(reply any) {
				unroll(reply)
				if r := receiptIn(reply); r != nil {
					test.lie(r)
				}
			})...))
			env := w.envelope(test.name)
			if _, err := c.Submit(t.Context(), env); !errors.Is(err, test.want) {
				t.Errorf("unary: got %v, want %v", err, test.want)
			}
			if err := c.SubmitAll(t.Context(), from([]*tracev1.Envelope{env}), fails(t)); !errors.Is(err, test.want) {
				t.Errorf("stream: got %v, want %v", err, test.want)
			}
		})
	}
}

// Every part of a run that the server changes is seen, and none is an index that
// leads out of bounds.
func TestWrongRuns(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name string
		lie  func(m *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun)
		want error
	}{
		{"other index", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) { run.Entries[9] ^= 1 }, verify.ErrReceipt},
		{"index far off", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			for i := 2; i < len(run.GetEntries()); i += verify.EntrySize {
				binary.BigEndian.PutUint64(run.Entries[i:], math.MaxUint64-4+uint64(i/verify.EntrySize))
			}
		}, verify.ErrReceipt},
		{"other time", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Entries[verify.EntrySize+17] ^= 1
		}, verify.ErrReceipt},
		{"other hash", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Entries[len(run.Entries)-1] ^= 1
		}, verify.ErrReceipt},
		{"an entry less", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Entries = run.GetEntries()[verify.EntrySize:]
		}, verify.ErrReceipt},
		{"a byte more", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Entries = append(run.Entries, 0)
		}, verify.ErrReceipt},
		{"nothing", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Sequences, run.Entries = nil, nil
		}, verify.ErrReceipt},
		{"entries in another order", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) { slices.Reverse(run.GetSequences()) }, verify.ErrReceipt},
		{"other node", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) { run.RangeProof[0][31] ^= 1 }, verify.ErrReceipt},
		{"node cut short", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.RangeProof[0] = run.GetRangeProof()[0][:31]
		}, verify.ErrReceipt},
		{"a node less", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.RangeProof = run.GetRangeProof()[1:]
		}, verify.ErrReceipt},
		{"a node more", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.RangeProof = append(run.GetRangeProof(), make([]byte, 32))
		}, verify.ErrReceipt},
		{"other key", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.SignerSpki = verifytest.Key("buyer").Public().SPKI()
		}, verify.ErrReceipt},
		{"no checkpoint", func(m *ledgerv1.SubmitStreamResponse, _ *ledgerv1.RecordedRun) { m.Checkpoint = nil }, verify.ErrCheckpoint},
		{"other root", func(m *ledgerv1.SubmitStreamResponse, _ *ledgerv1.RecordedRun) {
			m.Checkpoint = w.checkpoint(1000, verify.Hash{1}).Note
		}, verify.ErrReceipt},
		{"a statement twice", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) {
			run.Sequences[1] = run.GetSequences()[0]
		}, client.ErrProtocol},
		{"a statement that was not sent", func(_ *ledgerv1.SubmitStreamResponse, run *ledgerv1.RecordedRun) { run.Sequences[1] = 99 }, client.ErrProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.dial("acme", lies(liar(func(reply any) {
				if m, ok := reply.(*ledgerv1.SubmitStreamResponse); ok && len(m.GetRun().GetSequences()) > 1 {
					test.lie(m, m.GetRun())
				}
			})...))
			// Some have a message to themselves, so one comes in a run of more.
			err := c.SubmitAll(t.Context(), from(w.envelopes(test.name, 40, 40)), func(client.Outcome) error { return nil })
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// fails is told of outcomes that must not be.
func fails(t *testing.T) func(client.Outcome) error {
	return func(o client.Outcome) error {
		t.Errorf("outcome %+v", o)
		return nil
	}
}

// checkpoint signs a checkpoint with the ledger's key: what the operator of a
// forked log can do.
func (w *world) checkpoint(size uint64, root verify.Hash) *verify.Checkpoint {
	w.t.Helper()
	cp, err := verify.SignCheckpoint(w.book.Checkpoints, size, root)
	if err != nil {
		w.t.Fatal(err)
	}
	return cp
}

// A server that goes back, or shows two logs, is seen; both checkpoints are
// handed over.
func TestForks(t *testing.T) {
	w := newWorld(t)
	size := uint64(1 + len(w.acts))
	for _, test := range []struct {
		name  string
		shown *verify.Checkpoint
		ask   func(c *client.Client) error
	}{
		{"cut back", w.checkpoint(size-1, verify.Hash{1}), nil},
		{"other root", w.checkpoint(size, verify.Hash{1}), nil},
		{"not extended", w.checkpoint(size+1, verify.Hash{1}), func(c *client.Client) error { return c.ProveHistory(t.Context()) }},
		{"beyond the end", w.checkpoint(size+9, verify.Hash{1}), func(c *client.Client) error { return c.ProveHistory(t.Context()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			lying := false
			c := w.dial("acme", lies(liar(func(reply any) {
				switch m := reply.(type) {
				case *ledgerv1.GetCheckpointResponse:
					if lying {
						m.Checkpoint = test.shown.Note
					}
				case *ledgerv1.GetConsistencyProofResponse:
					m.Path = [][]byte{make([]byte, 32)}
				}
			})...))
			kept, err := c.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.ProveHistory(t.Context()); err != nil {
				t.Fatal(err)
			}
			lying = true
			_, err = c.Checkpoint(t.Context())
			if test.ask != nil && err == nil {
				// So that the server has a proof to give, which is then wrong.
				if _, err := w.dial("acme", nil).Submit(t.Context(), w.envelope(test.name)); err != nil {
					t.Fatal(err)
				}
				err = test.ask(c)
			}
			var fork *client.ForkError
			if !errors.As(err, &fork) || fork.Kept.Size != kept.Size || fork.Kept.Root != kept.Root || fork.Shown.Root != test.shown.Root {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A forked log that gives good receipts is seen at the end of SubmitAll, by the
// proof that there cannot be.
func TestForkWithGoodReceipts(t *testing.T) {
	w := newWorld(t)
	lying := false
	forked := w.envelope("FORK")
	fork := w.book.NewHistory(append(w.acts, forked)...)
	fork.Record(w.envelopes("MORE", 20, 20)...)
	c := w.dial("acme", lies(liar(func(reply any) {
		m, ok := reply.(*ledgerv1.SubmitStreamResponse)
		if !ok || !lying {
			return
		}
		unroll(m)
		r := fork.Receipt(uint64(1+len(w.acts)), fork.Size())
		m.Outcomes[0].Outcome = &ledgerv1.SubmitOutcome_Recorded{Recorded: &ledgerv1.Recorded{
			Entry: r.GetEntry(), InclusionPath: r.GetInclusionPath(), SignerSpki: r.GetSignerSpki(),
		}}
		m.Checkpoint = r.GetCheckpoint()
	})...))
	submitAll(t, c, w.envelopes("INV", 3, 1))
	lying = true
	delivered := 0
	err := c.SubmitAll(t.Context(), from([]*tracev1.Envelope{forked}), func(client.Outcome) error { delivered++; return nil })
	var fe *client.ForkError
	if !errors.As(err, &fe) || fe.Shown.Size != fork.Size() || delivered != 1 {
		t.Errorf("got %v, delivered %d", err, delivered)
	}
}

// An outcome for what waits for none ends the submission.
func TestOutcomeWithoutStatement(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(m *ledgerv1.SubmitStreamResponse){
		"twice":   func(m *ledgerv1.SubmitStreamResponse) { m.Outcomes = append(m.GetOutcomes(), m.GetOutcomes()[0]) },
		"unknown": func(m *ledgerv1.SubmitStreamResponse) { m.Outcomes[0].Sequence = 99 },
		"empty":   func(m *ledgerv1.SubmitStreamResponse) { m.Outcomes[0].Outcome = nil },
	} {
		c := w.dial("acme", lies(liar(func(reply any) {
			if m, ok := reply.(*ledgerv1.SubmitStreamResponse); ok {
				unroll(m)
				change(m)
			}
		})...))
		err := c.SubmitAll(t.Context(), from([]*tracev1.Envelope{w.envelope(name)}), func(client.Outcome) error { return nil })
		if !errors.Is(err, client.ErrProtocol) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
