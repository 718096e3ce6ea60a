package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// maxEnvelopeBytes is the largest envelope that a message takes, with room for
// what goes around it.
const maxEnvelopeBytes = maxSendBytes - 1024

// ErrProtocol says that the server broke the rules of the stream, or that an
// envelope does not fit in a message.
var ErrProtocol = errors.New("submission stream")

// Outcome is what became of a statement. Either Recorded or Refusal is set.
type Outcome struct {
	// Position is that of the envelope in the source, from 0.
	Position uint64
	// Envelope is the statement.
	Envelope *tracev1.Envelope
	// Recorded is its place on the log, proved.
	Recorded *Recorded
	// Refusal is why it is not on the log. It is not one that is retryable.
	Refusal *RefusalError
}

// SubmitAll records many statements over one stream, a bounded window of them at
// a time. each is called with one outcome for every envelope of the source, in
// any order and never concurrently; it may block, which slows the stream down.
// Broken streams are resumed, and statements without an outcome are sent again,
// in the same bytes, as long as there is progress within the client's patience.
//
// When SubmitAll returns nil, every statement had its outcome, and all receipts
// stand in one history (see ProveHistory). After an error some may have had none,
// and are on record or not; it does no harm to submit everything again. The first
// error of the source or of each ends the submission and is returned; after one
// of the source, what was sent before still gets its outcomes. Wrong proofs end
// it with the errors of Submit.
//
// The source is read in another goroutine, which has ended when SubmitAll
// returns: a source that blocks must heed ctx, too.
func (c *Client) SubmitAll(ctx context.Context, source iter.Seq2[*tracev1.Envelope, error], each func(Outcome) error) error {
	s := &submission{
		client: c, each: each,
		slots: make(chan struct{}, c.window), fresh: make(chan *item, messageItems), waiting: make(map[uint64]*item),
	}
	feeding, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.feed(feeding, source) })
	err := s.run(ctx)
	stop()
	wg.Wait()
	if err == nil {
		err = s.sourceErr
	}
	if err != nil {
		return err
	}
	return c.ProveHistory(ctx)
}

// errUnanswered says that a stream ended as if everything were answered.
var errUnanswered = status.Error(codes.Unavailable, "the server ended the stream early")

// item is a statement on its way.
type item struct {
	position uint64
	envelope *tracev1.Envelope
	bytes    int
	floor    uint64 // size of the log that had been seen when it was last sent
}

// submission is one call of SubmitAll.
type submission struct {
	client *Client
	each   func(Outcome) error

	slots     chan struct{} // one for each item that has no outcome
	fresh     chan *item    // from the source, a message ahead; closed at its end
	sourceErr error         // set before fresh is closed

	mu      sync.Mutex
	waiting map[uint64]*item // sent, without an outcome, by position
}

// feed takes envelopes from the source as there are slots.
func (s *submission) feed(ctx context.Context, source iter.Seq2[*tracev1.Envelope, error]) {
	defer close(s.fresh)
	var position uint64
	for env, err := range source {
		size := proto.Size(env)
		if err == nil && size > maxEnvelopeBytes {
			err = fmt.Errorf("%w: statement %d has %d bytes, a message takes %d", ErrProtocol, position, size, maxEnvelopeBytes)
		}
		if err != nil {
			s.sourceErr = err
			return
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		select {
		case s.fresh <- &item{position: position, envelope: env, bytes: size}:
		case <-ctx.Done():
			return
		}
		position++
	}
}

// run opens one stream after another until every item has its outcome.
func (s *submission) run(ctx context.Context) error {
	p := &pace{client: s.client}
	for {
		over, err := s.stream(ctx, p)
		if over {
			return err
		}
		left := s.unanswered()
		if len(left) == 0 && errors.Is(err, errSilent) {
			p.progress() // nobody had anything to say
		}
		if err := p.wait(ctx, err); err != nil {
			return fmt.Errorf("submitting, %d statements under way: %w", len(left), err)
		}
		s.client.logger.LogAttrs(ctx, slog.LevelInfo, "resuming submission",
			slog.Int("unanswered", len(left)), slog.Any("error", err))
	}
}

// unanswered returns the items that were sent and have no outcome, in order.
func (s *submission) unanswered() []*item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]*item, 0, len(s.waiting))
	for _, it := range s.waiting {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *item) int { return cmp.Compare(a.position, b.position) })
	return items
}

// stream sends over one stream until it ends. over says that there is nothing
// left to send, or no point in it.
func (s *submission) stream(ctx context.Context, p *pace) (over bool, err error) {
	stream, w, err := open(ctx, s.client, func(ctx context.Context) (submitStream, error) {
		return s.client.Submissions().SubmitStream(ctx)
	})
	defer w.end()
	if err != nil {
		return false, s.client.explain(err)
	}
	out := &sender{submission: s, stream: stream, queue: s.unanswered(), pause: make(chan struct{})}
	var sending sync.WaitGroup
	sending.Go(func() { out.run(w.ctx) })
	in := &receiver{submission: s, pace: p}
	final, err := in.run(w, stream, out.pause)
	w.end()
	sending.Wait()
	switch {
	case final != nil:
		return true, final
	case err != nil:
		return false, s.client.explain(err)
	case in.refused != nil:
		return false, in.refused
	case out.ended && len(s.unanswered()) == 0:
		return true, nil
	}
	return false, errUnanswered
}
