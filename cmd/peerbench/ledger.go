package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

const (
	messageStatements = 256  // statements in one message of a stream
	windowStatements  = 4096 // statements of a producer that await their outcome
	unaryInFlight     = 256  // unary calls under way, over all producers
)

// serveLedger is the child process: a server as magnetd is, which prints its
// address when it is ready.
func serveLedger(ctx context.Context, config string) error {
	cfg, err := node.ReadConfig(config)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Open(ctx, cfg, nil, logger)
	if err != nil {
		return err
	}
	fmt.Println(n.Addr())
	return n.Serve(ctx)
}

// ledgerServer is a ledger that is being served, and a connection of each
// producer to it.
type ledgerServer struct {
	child   *child
	clients []*client.Client
}

// openLedger serves the ledger in a directory; a new one if it is empty. The
// connections stand when it returns.
func (f *founding) openLedger(ctx context.Context, dir string) (*ledgerServer, error) {
	config := dir + "/magnetd.yaml"
	if _, err := os.Stat(config); err != nil {
		if config, err = f.configure(dir); err != nil {
			return nil, err
		}
	}
	c, address, err := startSelf(ctx, "serve", config)
	if err != nil {
		return nil, err
	}
	s := &ledgerServer{child: c}
	for i := range f.producers {
		if err := s.connect(ctx, f, i, address); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	return s, nil
}

func (s *ledgerServer) connect(ctx context.Context, f *founding, i int, address string) error {
	c, err := client.Dial(client.Config{Card: f.card, Certificate: f.tls[i], Address: address, Patience: 5 * time.Second})
	if err != nil {
		return err
	}
	s.clients = append(s.clients, c)
	_, err = c.Queries().GetParticipant(ctx, &ledgerv1.GetParticipantRequest{ParticipantId: f.producers[i].id})
	return err
}

// stop closes the connections and stops the server.
func (s *ledgerServer) stop() error {
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, s.child.stop())...)
}

// withLedger calls do with a ledger that is new.
func (b *bench) withLedger(ctx context.Context, do func(*ledgerServer) (sample, error)) (out sample, err error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := b.founding.openLedger(ctx, dir)
	if err != nil {
		return sample{}, err
	}
	out, err = do(s)
	return out, errors.Join(err, s.stop())
}

// measureStream streams statements by all producers.
func measureStream(f form) measure {
	return func(ctx context.Context, b *bench) (sample, error) {
		return b.withLedger(ctx, func(s *ledgerServer) (sample, error) {
			return s.streamAll(ctx, b.statements, f, b.opts.limit)
		})
	}
}

// streamAll streams statements by all producers at once until there are no more
// or the time is over.
func (s *ledgerServer) streamAll(ctx context.Context, statements []statement, f form, limit time.Duration) (sample, error) {
	envelopes := make([][]*tracev1.Envelope, len(s.clients))
	for p := range s.clients {
		envelopes[p] = envelopesOf(statements, p, f)
	}
	recorded := make([]int, len(s.clients))
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for p, c := range s.clients {
		group.Go(func() (err error) {
			recorded[p], err = stream(ctx, c, envelopes[p], newFeed(len(envelopes[p]), limit))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return sample{}, err
	}
	total := 0
	for _, n := range recorded {
		total += n
	}
	return rate(total, began), nil
}

// stream streams the envelopes of one producer and returns how many were
// recorded. It counts outcomes and does not check proofs: what is measured is
// the ledger.
func stream(ctx context.Context, c *client.Client, envelopes []*tracev1.Envelope, work *feed) (recorded int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	calls, err := c.Submissions().SubmitStream(ctx)
	if err != nil {
		return 0, err
	}
	window := make(chan struct{}, windowStatements/messageStatements)
	group.Go(func() error {
		for {
			from, to := work.take(messageStatements)
			if from == to {
				return calls.CloseSend()
			}
			select {
			case window <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := calls.Send(message(envelopes, from, to)); err != nil && !errors.Is(err, io.EOF) {
				return err // an io.EOF: the receiver learns why
			}
		}
	})
	group.Go(func() (err error) {
		recorded, err = outcomes(calls, window)
		return err
	})
	err = group.Wait()
	if err == nil && recorded != work.taken() {
		err = fmt.Errorf("%d outcomes of %d statements", recorded, work.taken())
	}
	return recorded, err
}

func message(envelopes []*tracev1.Envelope, from, to int) *ledgerv1.SubmitStreamRequest {
	items := make([]*ledgerv1.SubmitItem, 0, to-from)
	for i := from; i < to; i++ {
		items = append(items, &ledgerv1.SubmitItem{Sequence: uint64(i), Envelope: envelopes[i]})
	}
	return &ledgerv1.SubmitStreamRequest{Items: items}
}

// outcomes counts until the stream ends. Each must be a new record.
func outcomes(calls ledgerv1.SubmissionService_SubmitStreamClient, window <-chan struct{}) (recorded int, err error) {
	for {
		resp, err := calls.Recv()
		if errors.Is(err, io.EOF) {
			return recorded, nil
		}
		if err != nil {
			return recorded, err
		}
		for _, o := range resp.GetOutcomes() {
			return recorded, fmt.Errorf("statement %d is no new record: %v", o.GetSequence(), o.GetRefusal())
		}
		for range resp.GetRun().GetSequences() {
			if recorded++; recorded%messageStatements == 0 {
				<-window
			}
		}
	}
}

// measureUnary submits by calls of one statement each, many of them under way.
func measureUnary(ctx context.Context, b *bench) (sample, error) {
	return b.withLedger(ctx, func(s *ledgerServer) (sample, error) {
		return s.unaryAll(ctx, b.statements, b.opts.limit)
	})
}

// unaryAll submits by calls of all producers at once, each with its share of the
// callers.
func (s *ledgerServer) unaryAll(ctx context.Context, statements []statement, limit time.Duration) (sample, error) {
	envelopes, work := make([][]*tracev1.Envelope, len(s.clients)), make([]*feed, len(s.clients))
	for p := range s.clients {
		envelopes[p] = envelopesOf(statements, p, singleSigned)
	}
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for p, c := range s.clients {
		work[p] = newFeed(len(envelopes[p]), limit)
		for range unaryInFlight / len(s.clients) {
			group.Go(func() error { return unary(ctx, c, envelopes[p], work[p]) })
		}
	}
	err := group.Wait()
	total := 0
	for _, own := range work {
		total += own.taken()
	}
	return rate(total, began), err
}

// unary is one caller.
func unary(ctx context.Context, c *client.Client, envelopes []*tracev1.Envelope, work *feed) error {
	for {
		i, to := work.take(1)
		if i == to {
			return nil
		}
		if err := submit(ctx, c, envelopes[i]); err != nil {
			return err
		}
	}
}

func submit(ctx context.Context, c *client.Client, e *tracev1.Envelope) error {
	resp, err := c.Submissions().Submit(ctx, &ledgerv1.SubmitRequest{Envelope: e})
	if err == nil && (resp.GetReceipt() == nil || resp.GetAlreadyRecorded()) {
		err = errors.New("a statement is no new record")
	}
	return err
}

// measureAlone submits the statements of one producer, one after the other.
func measureAlone(ctx context.Context, b *bench) (sample, error) {
	return b.withLedger(ctx, func(s *ledgerServer) (sample, error) {
		envelopes := envelopesOf(b.statements, 0, singleSigned)
		work, watch := newFeed(len(envelopes), b.opts.limit), newStopwatch()
		for {
			i, to := work.take(1)
			if i == to {
				return watch.p50(), nil
			}
			if err := watch.lap(func() error { return submit(ctx, s.clients[0], envelopes[i]) }); err != nil {
				return sample{}, err
			}
		}
	})
}
