package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// A message takes no more items when it has this many, or bytes.
const (
	messageItems = 256
	messageBytes = 1 << 20
)

// unprovedLimit is how many checkpoints SubmitAll leaves unproved. It is below
// historyLimit, so that none is forgotten unproved.
const unprovedLimit = historyLimit / 2

type submitStream = grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]

// sender is the sending half of a stream.
type sender struct {
	*submission
	stream submitStream
	queue  []*item       // to be sent before anything fresh
	pause  chan struct{} // closed when nothing more should be sent
	ended  bool          // the source did
}

// run sends until the source ends, the stream does or the receiver asks for a
// pause. What was gathered and not sent waits like what was sent.
func (s *sender) run(ctx context.Context) {
	for {
		items := s.gather(ctx)
		if len(items) == 0 {
			s.stream.CloseSend()
			return
		}
		if err := s.stream.Send(s.message(items)); err != nil {
			return // the receiver is told why
		}
	}
}

// gather returns the items of the next message: one as soon as there is one, and
// with it what there is without waiting.
func (s *sender) gather(ctx context.Context) []*item {
	var items []*item
	bytes := 0
	for len(items) < messageItems && bytes < messageBytes {
		it := s.next(ctx, len(items) == 0)
		if it == nil {
			break
		}
		if len(items) > 0 && bytes+it.bytes > messageBytes {
			s.queue = append([]*item{it}, s.queue...)
			break
		}
		items, bytes = append(items, it), bytes+it.bytes
	}
	return items
}

// next returns an item, or nil if there is none; it waits for one if wait is
// set. The item is among the waiting ones from then on.
func (s *sender) next(ctx context.Context, wait bool) *item {
	select {
	case <-s.pause:
		return nil
	default:
	}
	if len(s.queue) > 0 {
		it := s.queue[0]
		s.queue = s.queue[1:]
		return it
	}
	if !wait {
		select {
		case it, ok := <-s.fresh:
			return s.took(it, ok)
		default:
			return nil
		}
	}
	select {
	case it, ok := <-s.fresh:
		return s.took(it, ok)
	case <-s.pause:
	case <-ctx.Done():
	}
	return nil
}

func (s *sender) took(it *item, ok bool) *item {
	if !ok {
		s.ended = true
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[it.position] = it
	return it
}

func (s *sender) message(items []*item) *ledgerv1.SubmitStreamRequest {
	floor := s.client.history.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	req := &ledgerv1.SubmitStreamRequest{Items: make([]*ledgerv1.SubmitItem, len(items))}
	for i, it := range items {
		it.floor = floor
		req.Items[i] = &ledgerv1.SubmitItem{Sequence: it.position, Envelope: it.envelope}
	}
	return req
}

// receiver is the receiving half of a stream.
type receiver struct {
	*submission
	pace    *pace
	refused *RefusalError // the last retryable refusal
}

// run delivers outcomes until the stream ends. final is an error that ends the
// submission; err is how the stream ended, nil if the server ended it well.
func (r *receiver) run(w *watch, stream submitStream, pause chan struct{}) (final, err error) {
	for {
		resp, err := receive(w, stream.Recv)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		before := r.refused
		if err := r.take(resp); err != nil {
			return err, nil
		}
		if before == nil && r.refused != nil {
			// Too much, or nothing works: all that is under way comes to its
			// end before the rest is sent again.
			close(pause)
		}
		if r.client.history.unproved() > unprovedLimit {
			if err := r.client.ProveHistory(w.ctx); err != nil {
				return err, nil
			}
		}
	}
}

// take delivers the outcomes of a message.
func (r *receiver) take(resp *ledgerv1.SubmitStreamResponse) error {
	if run := resp.GetRun(); run != nil {
		if err := r.takeRun(run, resp.GetCheckpoint()); err != nil {
			return err
		}
	}
	for _, o := range resp.GetOutcomes() {
		it, floor := r.sent(o.GetSequence())
		if it == nil {
			return answeredUnasked(o.GetSequence())
		}
		outcome, err := r.outcome(it, floor, o, resp.GetCheckpoint())
		if err != nil {
			return fmt.Errorf("statement %d: %w", it.position, err)
		}
		if outcome.Refusal != nil && outcome.Refusal.Retryable() {
			r.refused = outcome.Refusal
			continue
		}
		r.mu.Lock()
		delete(r.waiting, it.position)
		r.mu.Unlock()
		if err := r.deliver(outcome); err != nil {
			return err
		}
	}
	return nil
}

func answeredUnasked(sequence uint64) error {
	return fmt.Errorf("%w: the server answered statement %d, which waits for no answer", ErrProtocol, sequence)
}

// takeRun delivers the outcomes of a run, proved.
func (r *receiver) takeRun(run *ledgerv1.RecordedRun, checkpoint []byte) error {
	items, floor, err := r.claim(run.GetSequences())
	if err != nil {
		return err
	}
	cp, err := r.client.history.accept(checkpoint, floor)
	if err != nil {
		return fmt.Errorf("a run of %d statements: %w", len(items), err)
	}
	envelopes := make([]*tracev1.Envelope, len(items))
	for i, it := range items {
		envelopes[i] = it.envelope
	}
	receipts, entries, err := verify.VerifyRun(envelopes, &verify.Run{
		Entries: run.GetEntries(), Proof: run.GetRangeProof(), SignerSPKI: run.GetSignerSpki(),
	}, cp)
	if err != nil {
		return fmt.Errorf("a run of %d statements: %w", len(items), err)
	}
	for i, it := range items {
		recorded := &Recorded{Receipt: receipts[i], Envelope: it.envelope, Entry: entries[i]}
		if err := r.deliver(Outcome{Position: it.position, Envelope: it.envelope, Recorded: recorded}); err != nil {
			return err
		}
	}
	return nil
}

// claim returns the items of a run, which wait no more, and the largest of their
// floors. Nobody is answered twice.
func (r *receiver) claim(sequences []uint64) (items []*item, floor uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	items = make([]*item, len(sequences))
	for i, position := range sequences {
		it := r.waiting[position]
		if it == nil {
			return nil, 0, answeredUnasked(position)
		}
		delete(r.waiting, position)
		items[i], floor = it, max(floor, it.floor)
	}
	return items, floor, nil
}

func (r *receiver) sent(position uint64) (it *item, floor uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if it = r.waiting[position]; it != nil {
		floor = it.floor
	}
	return it, floor
}

// outcome returns the outcome of an item, proved if it is recorded.
func (r *receiver) outcome(it *item, floor uint64, o *ledgerv1.SubmitOutcome, checkpoint []byte) (Outcome, error) {
	out := Outcome{Position: it.position, Envelope: it.envelope}
	var err error
	switch what := o.GetOutcome().(type) {
	case *ledgerv1.SubmitOutcome_Recorded:
		receipt := &tracev1.Receipt{
			Entry: what.Recorded.GetEntry(), InclusionPath: what.Recorded.GetInclusionPath(),
			Checkpoint: checkpoint, SignerSpki: what.Recorded.GetSignerSpki(),
		}
		out.Recorded, err = r.client.recorded(recordedEnvelope{it.envelope, what.Recorded.GetRecordedEnvelope()}, receipt, floor)
		if err == nil {
			out.Recorded.Already = what.Recorded.GetAlreadyRecorded()
		}
	case *ledgerv1.SubmitOutcome_Refusal:
		out.Refusal = &RefusalError{Refusal: what.Refusal}
	default:
		err = fmt.Errorf("%w: the outcome is neither recorded nor refused", ErrProtocol)
	}
	return out, err
}

// deliver hands on the outcome of an item that waits no more.
func (r *receiver) deliver(o Outcome) error {
	r.pace.progress()
	err := r.each(o)
	<-r.slots
	return err
}
