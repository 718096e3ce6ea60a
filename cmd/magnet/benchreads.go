package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// benchRead is a kind of read, with what it took.
type benchRead struct {
	name    string
	call    func(ctx context.Context, r *benchReader) error
	latency histogram
}

// readKinds returns reads by their names on the command line.
func readKinds(names []string) ([]*benchRead, error) {
	calls := map[string]func(context.Context, *benchReader) error{"volumes": readVolumes, "statement": readStatement, "receipt": readReceipt}
	if len(names) == 0 {
		return nil, errors.New("--reads: name one or more of volumes, statement, receipt")
	}
	kinds := make([]*benchRead, len(names))
	for i, name := range names {
		if calls[name] == nil {
			return nil, fmt.Errorf("--reads: %q is none of volumes, statement, receipt", name)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("--reads: %q is named twice", name)
		}
		kinds[i] = &benchRead{name: name, call: calls[name]}
	}
	return kinds, nil
}

// benchReader reads beside the producers.
type benchReader struct {
	*session
	kinds []*benchRead    // shared by all readers
	from  []*benchSession // whose statements it reads
	turn  int             // of from
}

// openReaders opens a connection for each reader: of the throw-away ledger's
// regulator, of the profile that was named, or of a producer.
func (b *bencher) openReaders() error {
	kinds, err := readKinds(b.opts.reads)
	if err != nil {
		return err
	}
	for i := range b.opts.readers {
		r := &benchReader{kinds: kinds, from: b.producers}
		p := b.producers[i%len(b.producers)]
		switch {
		case b.server != nil:
			r.session, err = b.reading(filepath.Join(b.server.dir, "reg", "profiles", "regulator.yaml"), b.server.address)
		case b.opts.readAs != "":
			r.session, err = b.reading(b.opts.readAs, "")
		default:
			r.from = oneOf(p)
			r.session, err = b.open(p.profile)
		}
		if err != nil {
			return err
		}
		b.readers = append(b.readers, r)
	}
	return nil
}

// reading opens a profile that need not be able to sign.
func (b *bencher) reading(path, address string) (*session, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	if address != "" {
		p.Address = address
	}
	return b.open(p)
}

// run reads until over is closed, from the first recorded statement of each
// producer on. Readers begin with different kinds.
func (r *benchReader) run(ctx context.Context, over <-chan struct{}, number int) error {
	for _, p := range r.from {
		select {
		case <-p.recent.begun():
		case <-over:
			return nil
		}
	}
	for i := number; ; i++ {
		kind := r.kinds[i%len(r.kinds)]
		began := time.Now()
		err := kind.call(ctx, r)
		took := time.Since(began)
		if status.Code(err) == codes.NotFound {
			return fmt.Errorf("reading %s as %q: %w; --read-as must name somebody who may read what the producers state", kind.name, r.profile.Participant, err)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", kind.name, err)
		}
		select {
		case <-over:
			return nil // this one was not beside writes to its end
		default:
			kind.latency.add(took)
		}
	}
}

// readVolumes asks for volumes by customer of a month of the last year.
func readVolumes(ctx context.Context, r *benchReader) error {
	today := time.Now()
	first := time.Date(today.Year(), today.Month()-time.Month(rand.IntN(12)), 1, 0, 0, 0, 0, time.UTC)
	_, _, err := r.volumes(ctx, &ledgerv1.QueryVolumesRequest{
		GroupBy: oneOf(ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER),
		Period:  &ledgerv1.Period{FirstDay: first.Format(time.DateOnly), LastDay: first.AddDate(0, 1, -1).Format(time.DateOnly)},
	})
	return err
}

func readStatement(ctx context.Context, r *benchReader) error {
	_, err := r.client.Queries().GetStatement(ctx, &ledgerv1.GetStatementRequest{
		By: &ledgerv1.GetStatementRequest_Index{Index: r.any()}, View: ledgerv1.StatementView_STATEMENT_VIEW_FULL,
	})
	return err
}

func readReceipt(ctx context.Context, r *benchReader) error {
	_, err := r.client.Audits().GetReceipt(ctx, &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Index{Index: r.any()}})
	return err
}

// any returns the index of a statement that was recorded lately.
func (r *benchReader) any() uint64 {
	r.turn++
	return r.from[r.turn%len(r.from)].recent.any()
}

// recent remembers where the last statements of a producer are. It is safe for
// concurrent use; the zero value is empty.
type recent struct {
	mu      sync.Mutex
	first   chan struct{} // closed when there is one
	indexes [1 << 14]uint64
	n       int
}

// begun returns a channel that is closed when there is something to read.
func (r *recent) begun() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.firstLocked()
}

func (r *recent) firstLocked() chan struct{} {
	if r.first == nil {
		r.first = make(chan struct{})
	}
	return r.first
}

// add remembers an entry.
func (r *recent) add(entry []byte) {
	e, err := verify.ParseEntry(entry)
	if err != nil {
		return // there is nothing to be read by it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[r.n%len(r.indexes)] = e.Index
	if r.n++; r.n == 1 {
		close(r.firstLocked())
	}
}

// any returns one of the last indexes; there must be one.
func (r *recent) any() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.indexes[rand.IntN(min(r.n, len(r.indexes)))]
}
