package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// What a message of a stream carries at most: statements by its schema, and bytes
// below the 4 MiB that a server takes.
const (
	benchMessageItems = 4096
	benchMessageBytes = 3 << 20
)

// streamAge is for how long a stream is used. A server ends connections that are
// old, but lets a stream come to its end first if that takes no longer than 30 s.
const streamAge = 20 * time.Second

// turnedAwayPause is for how long a message that found the queue full keeps its
// place in the window, so that a server that has too much is not asked harder.
const turnedAwayPause = 50 * time.Millisecond

// tally is what came back. It is safe for concurrent use.
type tally struct {
	latency    histogram
	recorded   atomic.Int64
	turnedAway atomic.Int64

	mu      sync.Mutex
	commits map[uint64]struct{} // hashes of checkpoints
}

var checkpointSeed = maphash.MakeSeed()

// commit notes a commit by its checkpoint: all that a commit records is proved
// under the checkpoint that closes it.
func (t *tally) commit(checkpoint []byte) {
	h := maphash.Bytes(checkpointSeed, checkpoint)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commits[h] = struct{}{}
}

// outcome notes a recorded statement.
func (b *bencher) outcome(p *benchSession, entry []byte, took time.Duration) {
	b.tally.latency.add(took)
	b.tally.recorded.Add(1)
	if len(b.readers) > 0 {
		p.recent.add(entry)
	}
}

// unary submits by calls, some at a time.
func (b *bencher) unary(ctx context.Context, p *benchSession) error {
	work, ctx := errgroup.WithContext(ctx)
	for range b.opts.inFlight {
		work.Go(func() error {
			for {
				envs := p.supply.take(1, benchMessageBytes)
				if len(envs) == 0 {
					return nil
				}
				began := time.Now()
				resp, err := p.client.Submissions().Submit(ctx, &ledgerv1.SubmitRequest{Envelope: envs[0]})
				if err != nil {
					return err
				}
				b.outcome(p, resp.GetReceipt().GetEntry(), time.Since(began))
				b.tally.commit(resp.GetReceipt().GetCheckpoint())
				_ = b.bar.Add(1)
			}
		})
	}
	return work.Wait()
}

type submitStream = grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]

// streaming is a producer that submits by streams, one after another. It counts
// outcomes and does not verify them: what is measured is the ledger.
type streaming struct {
	*bencher
	producer *benchSession
	window   chan struct{} // holds one for each message under way
	streams  int
	sent     uint64 // messages

	mu     sync.Mutex
	flight map[uint64]*flight // messages under way, by number
}

// flight is a message under way.
type flight struct {
	stream     int
	sent       time.Time
	open       int // statements without an outcome
	turnedAway bool
}

func (b *bencher) stream(ctx context.Context, p *benchSession) error {
	s := &streaming{
		bencher: b, producer: p, flight: make(map[uint64]*flight),
		window: make(chan struct{}, max(1, b.opts.inFlight/b.opts.message)),
	}
	work, ctx := errgroup.WithContext(ctx)
	for more := true; more; {
		stream, err := p.client.Submissions().SubmitStream(ctx)
		if err != nil {
			work.Go(func() error { return err })
			break
		}
		// The outcomes of a stream come while the next one is sent.
		s.streams++
		number := s.streams
		work.Go(func() error { return s.receive(stream, number) })
		if more, err = s.send(ctx, stream); err != nil {
			work.Go(func() error { return err })
		}
	}
	return cmp.Or(work.Wait(), s.answered(func(*flight) bool { return true }))
}

// send sends messages as the window allows, until the stream is old or, then more
// is false, there is nothing left. A stream that broke is for receive to tell.
func (s *streaming) send(ctx context.Context, stream submitStream) (more bool, err error) {
	for end := time.Now().Add(streamAge); time.Now().Before(end); {
		select {
		case s.window <- struct{}{}:
		case <-ctx.Done():
			return false, nil
		}
		envs := s.producer.supply.take(s.opts.message, benchMessageBytes)
		if len(envs) == 0 {
			return false, stream.CloseSend()
		}
		if err := stream.Send(s.message(envs)); err != nil {
			if errors.Is(err, io.EOF) {
				return false, nil
			}
			return false, err
		}
	}
	return true, stream.CloseSend()
}

// message numbers its items by the message and the place in it.
func (s *streaming) message(envs []*tracev1.Envelope) *ledgerv1.SubmitStreamRequest {
	req := &ledgerv1.SubmitStreamRequest{Items: make([]*ledgerv1.SubmitItem, len(envs))}
	number := s.sent
	s.sent++
	for i, env := range envs {
		req.Items[i] = &ledgerv1.SubmitItem{Sequence: number*benchMessageItems + uint64(i), Envelope: env}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight[number] = &flight{stream: s.streams, sent: time.Now(), open: len(envs)}
	return req
}

func (s *streaming) receive(stream submitStream, number int) error {
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return s.answered(func(f *flight) bool { return f.stream == number })
		}
		if err != nil {
			return err
		}
		if err := s.outcomes(resp, time.Now()); err != nil {
			return err
		}
	}
}

// answered checks that of some messages none is without an outcome.
func (s *streaming) answered(which func(*flight) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flight {
		if which(f) {
			return fmt.Errorf("%w: the server ended a stream and left statements without an outcome", client.ErrProtocol)
		}
	}
	return nil
}

// outcomes counts the outcomes of a message, and makes room in the window.
func (s *streaming) outcomes(resp *ledgerv1.SubmitStreamResponse, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	recorded := 0
	run := resp.GetRun()
	if len(run.GetEntries()) != verify.EntrySize*len(run.GetSequences()) {
		return fmt.Errorf("%w: a run of %d statements with %d bytes of entries", client.ErrProtocol, len(run.GetSequences()), len(run.GetEntries()))
	}
	for i, sequence := range run.GetSequences() {
		if err := s.arrived(sequence, nil, run.GetEntries()[i*verify.EntrySize:][:verify.EntrySize], now); err != nil {
			return err
		}
		recorded++
	}
	for _, o := range resp.GetOutcomes() {
		if err := s.arrived(o.GetSequence(), o.GetRefusal(), o.GetRecorded().GetEntry(), now); err != nil {
			return err
		}
		if o.GetRefusal() == nil {
			recorded++
		}
	}
	if recorded > 0 {
		s.tally.commit(resp.GetCheckpoint())
	}
	_ = s.bar.Add(len(run.GetSequences()) + len(resp.GetOutcomes()))
	return nil
}

// arrived counts the outcome of one statement.
func (s *streaming) arrived(sequence uint64, refusal *tracev1.Refusal, entry []byte, now time.Time) error {
	number := sequence / benchMessageItems
	f := s.flight[number]
	if f == nil {
		return fmt.Errorf("%w: the server answered statement %d, which waits for no answer", client.ErrProtocol, sequence)
	}
	switch {
	case refusal.GetReason() == tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL:
		s.tally.turnedAway.Add(1)
		f.turnedAway = true
	case refusal != nil:
		return &client.RefusalError{Refusal: refusal}
	default:
		s.outcome(s.producer, entry, now.Sub(f.sent))
	}
	if f.open--; f.open == 0 {
		delete(s.flight, number)
		s.land(f)
	}
	return nil
}

// land gives the place of a message in the window to another.
func (s *streaming) land(f *flight) {
	if !f.turnedAway {
		<-s.window
		return
	}
	time.AfterFunc(turnedAwayPause, func() { <-s.window })
}
