package rpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

type submissionService struct {
	ledgerv1.UnimplementedSubmissionServiceServer
	*Server
}

// Submit implements ledgerv1.SubmissionServiceServer.
func (s submissionService) Submit(ctx context.Context, req *ledgerv1.SubmitRequest) (*ledgerv1.SubmitResponse, error) {
	item, err := s.ledger.Check(req.GetEnvelope(), callerID(ctx))
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	if req.GetValidateOnly() {
		return s.validate(ctx, item)
	}
	results, err := s.ledger.Submit(ctx, []*ledger.Item{item})
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	if results[0].Err != nil {
		return nil, s.toStatus(ctx, results[0].Err)
	}
	return s.respond(ctx, item, &results[0])
}

// respond proves what is on record for an item.
func (s submissionService) respond(ctx context.Context, item *ledger.Item, r *ledger.Result) (*ledgerv1.SubmitResponse, error) {
	proven, err := s.ledger.Prove(r)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	return &ledgerv1.SubmitResponse{
		Receipt: proven.GetReceipt(), AlreadyRecorded: r.Already, RecordedEnvelope: other(item, proven.GetEnvelope()),
	}, nil
}

// other returns the envelope on record, if it bears another signature than the
// item that was submitted.
func other(item *ledger.Item, recorded *tracev1.Envelope) *tracev1.Envelope {
	if item.Signed(recorded) {
		return nil
	}
	return recorded
}

// validate judges an item and records nothing.
func (s submissionService) validate(ctx context.Context, item *ledger.Item) (*ledgerv1.SubmitResponse, error) {
	err := s.ledger.Judge(item)
	var recorded *custody.Recorded
	if !errors.As(err, &recorded) {
		return &ledgerv1.SubmitResponse{}, s.toStatus(ctx, err)
	}
	return s.respond(ctx, item, &ledger.Result{Index: recorded.Index, Already: true})
}

// SubmitStream implements ledgerv1.SubmissionServiceServer. Each message is
// checked on all cores, submitted as a group, and answered when it is durable;
// some messages are under way at once. When the room in flight is used up it
// reads no more, which slows the client down.
func (s submissionService) SubmitStream(stream grpc.BidiStreamingServer[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]) error {
	st := &submitStream{server: s.Server, stream: stream, caller: callerID(stream.Context()), room: s.limits.StreamInFlight}
	st.changed.L = &st.mu
	return s.toStatus(stream.Context(), st.run())
}

type submitStream struct {
	server *Server
	stream grpc.BidiStreamingServer[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]
	caller string

	mu      sync.Mutex
	changed sync.Cond
	room    int  // statements that may still be taken
	ended   bool // the stream failed; nobody should wait for room

	send sync.Mutex // one sender at a time
}

// maxItems is how many items a message may carry, as its schema says.
const maxItems = 4096

func (st *submitStream) run() error {
	work, ctx := errgroup.WithContext(st.stream.Context())
	stop := context.AfterFunc(ctx, st.end)
	defer stop()
	messages := st.receive(ctx)
	for {
		select {
		case m := <-messages:
			if m.err != nil {
				return cmp.Or(work.Wait(), m.ended())
			}
			n := len(m.items)
			if !st.take(n) {
				return cmp.Or(work.Wait(), ctx.Err())
			}
			work.Go(func() error {
				defer st.give(n)
				return st.server.guarded(ctx, func() error { return st.process(ctx, m.items) })
			})
		case <-ctx.Done(): // a message failed, or the client is gone
			return cmp.Or(work.Wait(), ctx.Err())
		}
	}
}

// message is what the client sent, or why nothing more comes.
type message struct {
	items []*ledgerv1.SubmitItem
	err   error
}

// ended returns the error of a stream that the client did not end itself.
func (m message) ended() error {
	if errors.Is(m.err, io.EOF) {
		return nil
	}
	return m.err
}

// receive reads messages in a goroutine of its own, so that a stream that failed
// does not wait for a client who waits for it. The goroutine ends with the call.
func (st *submitStream) receive(ctx context.Context) <-chan message {
	messages := make(chan message)
	go func() {
		for ended := false; !ended; {
			var m message
			m.err = st.server.guarded(ctx, func() error {
				req, err := st.stream.Recv()
				m.items = req.GetItems()
				return err
			})
			if m.err == nil && len(m.items) > maxItems {
				m.err = status.Errorf(codes.InvalidArgument, "items: a message carries at most %d", maxItems)
			}
			ended = m.err != nil
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return messages
}

// take waits for room for n statements. One message is always let in.
func (st *submitStream) take(n int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.room < n && st.room < st.server.limits.StreamInFlight && !st.ended {
		st.changed.Wait()
	}
	st.room -= n
	return !st.ended
}

func (st *submitStream) give(n int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.room += n
	st.changed.Broadcast()
}

func (st *submitStream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ended = true
	st.changed.Broadcast()
}

// process answers one message: first what was refused at once, then what went
// through the writer.
func (st *submitStream) process(ctx context.Context, items []*ledgerv1.SubmitItem) error {
	checked, refused, err := st.check(ctx, items)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		if err := st.answer(&ledgerv1.SubmitStreamResponse{Outcomes: refused}); err != nil {
			return err
		}
	}
	var batch []*ledger.Item
	var sequences []uint64
	for i, item := range checked {
		if item != nil {
			batch, sequences = append(batch, item), append(sequences, items[i].GetSequence())
		}
	}
	results, err := st.server.ledger.Submit(ctx, batch)
	if err != nil {
		results = make([]ledger.Result, len(batch))
		for i := range results {
			results[i].Err = err
		}
	}
	return st.report(sequences, results)
}

// check checks the items of a message on as many cores as there are.
func (st *submitStream) check(ctx context.Context, items []*ledgerv1.SubmitItem) (checked []*ledger.Item, refused []*ledgerv1.SubmitOutcome, err error) {
	checked, errs := make([]*ledger.Item, len(items)), make([]error, len(items))
	workers := min(runtime.GOMAXPROCS(0), (len(items)+31)/32)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(items); i += workers {
				errs[i] = st.server.guarded(ctx, func() (err error) {
					checked[i], err = st.server.ledger.Check(items[i].GetEnvelope(), st.caller)
					return err
				})
			}
		})
	}
	wg.Wait()
	for i, e := range errs {
		if e == nil {
			continue
		}
		outcome, err := st.refusal(items[i].GetSequence(), e)
		if err != nil {
			return nil, nil, err
		}
		refused = append(refused, outcome)
	}
	return checked, refused, ctx.Err()
}

// refusal returns the outcome of a refused item, or the error if it is not one
// of the item.
func (st *submitStream) refusal(sequence uint64, err error) (*ledgerv1.SubmitOutcome, error) {
	r := refusalOf(err)
	if r == nil {
		return nil, err
	}
	return &ledgerv1.SubmitOutcome{Sequence: sequence, Outcome: &ledgerv1.SubmitOutcome_Refusal{Refusal: r}}, nil
}

// report answers results: what was recorded now in runs, the rest one by one.
func (st *submitStream) report(sequences []uint64, results []ledger.Result) error {
	var others []int
	recorded, numbers := make([]*ledger.Result, 0, len(results)), make([]uint64, 0, len(results))
	for i := range results {
		if r := &results[i]; r.Err == nil && !r.Already {
			recorded, numbers = append(recorded, r), append(numbers, sequences[i])
		} else {
			others = append(others, i)
		}
	}
	if err := st.reportRuns(numbers, recorded); err != nil {
		return err
	}
	return st.reportSingly(others, sequences, results)
}

func (st *submitStream) reportRuns(sequences []uint64, results []*ledger.Result) error {
	for len(results) > 0 {
		run, n, err := ledger.ProveRun(results)
		if err != nil {
			return err
		}
		err = st.answer(&ledgerv1.SubmitStreamResponse{Checkpoint: run.Checkpoint, Run: &ledgerv1.RecordedRun{
			Sequences: sequences[:n], Entries: run.Entries, RangeProof: run.Proof, SignerSpki: run.SignerSPKI,
		}})
		if err != nil {
			return err
		}
		sequences, results = sequences[n:], results[n:]
	}
	return nil
}

// reportSingly answers the results at some positions. Outcomes that share a
// checkpoint share a message.
func (st *submitStream) reportSingly(positions []int, sequences []uint64, results []ledger.Result) error {
	answer, size := new(ledgerv1.SubmitStreamResponse), 0
	flush := func() error {
		if len(answer.GetOutcomes()) == 0 {
			return nil
		}
		err := st.answer(answer)
		answer, size = new(ledgerv1.SubmitStreamResponse), 0
		return err
	}
	for _, i := range positions {
		outcome, checkpoint, err := st.outcome(sequences[i], &results[i])
		if err != nil {
			return err
		}
		if checkpoint != nil && answer.Checkpoint != nil && string(checkpoint) != string(answer.GetCheckpoint()) {
			if err := flush(); err != nil {
				return err
			}
		}
		if checkpoint != nil {
			answer.Checkpoint = checkpoint
		}
		answer.Outcomes = append(answer.GetOutcomes(), outcome)
		if size += proto.Size(outcome); size >= answerBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// answerBytes is how large a message of outcomes grows: some thousand receipts,
// fewer if statements come back with them.
const answerBytes = 1 << 20

func (st *submitStream) outcome(sequence uint64, r *ledger.Result) (o *ledgerv1.SubmitOutcome, checkpoint []byte, err error) {
	if r.Err != nil {
		o, err = st.refusal(sequence, r.Err)
		return o, nil, err
	}
	proven, err := st.server.ledger.Prove(r)
	if err != nil {
		return nil, nil, err
	}
	receipt := proven.GetReceipt()
	return &ledgerv1.SubmitOutcome{Sequence: sequence, Outcome: &ledgerv1.SubmitOutcome_Recorded{Recorded: &ledgerv1.Recorded{
		Entry: receipt.GetEntry(), InclusionPath: receipt.GetInclusionPath(), SignerSpki: receipt.GetSignerSpki(),
		AlreadyRecorded: r.Already, RecordedEnvelope: other(r.Item(), proven.GetEnvelope()),
	}}}, receipt.GetCheckpoint(), nil
}

func (st *submitStream) answer(m *ledgerv1.SubmitStreamResponse) error {
	st.send.Lock()
	defer st.send.Unlock()
	return st.stream.Send(m)
}
