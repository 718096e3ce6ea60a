package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// bencher is one run of bench.
type bencher struct {
	*app
	opts      benchOptions
	mark      string          // begins all numbers and codes; empty on a throw-away ledger
	address   string          // of the server
	server    *throwAway      // nil: the server was running before
	producers []*benchSession // who submit
	readers   []*benchReader
	tally     tally
	bar       *progressbar.ProgressBar
}

// benchSession is a producer under load.
type benchSession struct {
	*session
	supply *supply
	recent recent
}

func (a *app) bench(ctx context.Context, o benchOptions) error {
	b := &bencher{app: a, opts: o}
	b.tally.commits = make(map[uint64]struct{})
	report, err := b.measure(ctx)
	closed := b.close()
	if ctx.Err() != nil {
		return errors.Join(b.interrupted(), closed)
	}
	err = errors.Join(err, closed)
	if n := b.tally.recorded.Load(); err != nil && o.running && n > 0 {
		return fmt.Errorf("%w; %s statements or some more are on record", err, grouped(fmt.Sprint(n)))
	}
	if err != nil {
		return err
	}
	return b.print(report)
}

func (b *bencher) interrupted() error {
	n := grouped(fmt.Sprint(b.tally.recorded.Load()))
	switch {
	case b.opts.running:
		return no("interrupted: %s statements or some more are on record", n)
	case b.opts.dir != "":
		return no("interrupted after %s statements; the ledger is in %s", n, b.opts.dir)
	}
	return no("interrupted after %s statements; nothing is left of the throw-away ledger", n)
}

// measure prepares, loads and stops the throw-away server, which close removes.
func (b *bencher) measure(ctx context.Context) (*benchReport, error) {
	open := b.openThrowAway
	if b.opts.running {
		open = b.openRunning
	}
	if err := open(ctx); err != nil {
		return nil, err
	}
	if err := b.openReaders(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signing, err := b.prepare(ctx)
	if err != nil {
		return nil, err
	}
	report, err := b.load(ctx)
	cancel()
	if err := errors.Join(signing.Wait(), err); err != nil {
		return nil, err
	}
	b.supplied(report)
	if b.server == nil {
		return report, nil
	}
	return report, b.left(report)
}

// close ends connections and the server, and removes what is thrown away.
func (b *bencher) close() error {
	for _, p := range b.producers {
		p.Close()
	}
	for _, r := range b.readers {
		r.Close()
	}
	if b.server == nil {
		return nil
	}
	return b.server.remove()
}

// load runs producers and readers, and measures. Readers end when the last
// producer has all its outcomes.
func (b *bencher) load(ctx context.Context) (*benchReport, error) {
	before := b.costs()
	what, total := "submitting", b.opts.count
	if b.opts.duration > 0 {
		what, total = fmt.Sprintf("submitting for %v", b.opts.duration), -1
	}
	b.bar = b.progress(what, total)
	defer b.bar.Close()
	written := make(chan struct{})
	work, ctx := errgroup.WithContext(ctx)
	writers, writing := errgroup.WithContext(ctx)
	submitting, over := writing, context.CancelFunc(func() {})
	if b.opts.duration > 0 {
		submitting, over = context.WithTimeout(writing, b.opts.duration)
	}
	defer over()
	began := time.Now()
	for _, p := range b.producers {
		p.supply.over = submitting.Done()
		writers.Go(func() error {
			if b.opts.unary {
				return b.unary(writing, p)
			}
			return b.stream(writing, p)
		})
	}
	for i, r := range b.readers {
		work.Go(func() error { return r.run(ctx, written, i) })
	}
	var seconds float64
	work.Go(func() error {
		defer close(written)
		err := writers.Wait()
		seconds = time.Since(began).Seconds()
		return err
	})
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return b.reported(seconds, before, b.costs())
}

// costs is what processes have used so far; a nil is not known.
type costs struct {
	client, signer, server *time.Duration // of CPU; the client's includes the signer's
	written                *int64         // bytes, by the server
}

func (b *bencher) costs() costs {
	c := costs{client: processTime()}
	if b.opts.duration > 0 {
		c.signer = b.signerCPU()
	}
	if b.server != nil {
		c.server, c.written = processCPU(b.server.pid()), processWritten(b.server.pid())
	}
	return c
}

// openRunning opens the profiles of the command line, if the person means it and
// there is a server.
func (b *bencher) openRunning(ctx context.Context) error {
	if err := b.meant(); err != nil {
		return err
	}
	for _, path := range append(oneOf(b.app.profile), b.opts.also...) {
		s, err := b.as(path, "")
		if err != nil {
			return err
		}
		b.producers = append(b.producers, &benchSession{session: s})
		if s.author.Log.ID() != b.producers[0].author.Log.ID() {
			return fmt.Errorf("--also: %s is of another ledger than %s", path, b.app.profile)
		}
	}
	first := b.producers[0]
	resp, err := first.client.Audits().GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{})
	if err != nil {
		return err
	}
	if _, err := first.author.Log.OpenCheckpoint(resp.GetCheckpoint()); err != nil {
		return err
	}
	b.say("Putting %s on record in the ledger %s, for good; their numbers begin with %s.", b.opts.amount(), first.author.Log.Origin(), b.mark)
	return nil
}

// meant refuses to load a running server, before any key is asked for, unless
// --on-record says that the consequence is known.
func (b *bencher) meant() error {
	p, err := b.loadProfile()
	if err != nil {
		return err
	}
	card, log, err := p.ledger()
	if err != nil {
		return err
	}
	if !b.opts.onRecord {
		return fmt.Errorf("this would put %s of %q on record in the ledger %s, for good: nothing takes them out again. If that is meant, add --on-record; without -p the load goes to a throw-away ledger",
			b.opts.amount(), p.Participant, log.Origin())
	}
	b.address = cmp.Or(p.Address, card.GetAddress())
	id := make([]byte, 4)
	rand.Read(id) // never fails
	b.mark = fmt.Sprintf("BENCH-%x-", id)
	return nil
}

// as opens a profile. An address takes the place of the profile's.
func (b *bencher) as(path, address string) (*session, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	if address != "" {
		p.Address = address
	}
	author, err := b.author(p)
	if err != nil {
		return nil, err
	}
	s, err := b.open(p)
	if err == nil {
		s.author = author
	}
	return s, err
}
