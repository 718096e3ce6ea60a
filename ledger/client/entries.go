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

// latest returns the latest checkpoint, whatever was seen before.
func (c *Client) latest(ctx context.Context) (*verify.Checkpoint, error) {
	resp, err := c.Audits().GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{})
	if err != nil {
		return nil, err
	}
	return c.log.OpenCheckpoint(resp.GetCheckpoint())
}

// Entries calls visit with the entries from start up to, not including, end, in
// order, with the statements that the caller may read; the others are nil. It goes
// on when the connection breaks. It may end early without an error if the server
// shows no more, and checks nothing: who visits hashes the entries, and compares
// them with a checkpoint.
func (c *Client) Entries(ctx context.Context, start, end uint64, visit func(entry []byte, env *tracev1.Envelope) error) error {
	next := start
	return c.readEntries(ctx, entryRange{
		next: func() uint64 { return next }, end: end, view: ledgerv1.StatementView_STATEMENT_VIEW_FULL,
		visit: func(logged *ledgerv1.LoggedEntry) error {
			next++
			return visit(logged.GetEntry(), logged.GetEnvelope())
		},
		pause: func() {},
	})
}

// entryRange is a part of the log to be read.
type entryRange struct {
	// next is the index to go on from. visit moves it.
	next func() uint64
	end  uint64
	view ledgerv1.StatementView
	// visit is called with entry after entry, until it returns an error.
	visit func(*ledgerv1.LoggedEntry) error
	// pause is called between messages.
	pause func()
}

// readEntries reads a range in order, and resumes it when the stream breaks. It
// returns nil before the end of the range if the server says that there is no
// more.
func (c *Client) readEntries(ctx context.Context, r entryRange) error {
	p := &pace{client: c}
	for r.next() < r.end {
		before := r.next()
		over, err := c.readStream(ctx, r)
		if over {
			return err
		}
		if r.next() > before {
			p.progress()
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// ReadEntries calls visit for the entries from start up to, not including, end, in
// order, until it returns an error, which is returned. The entries are not judged;
// the error is that of an entry that has no form, or that of the call.
func (c *Client) ReadEntries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	next := start
	err := c.readEntries(ctx, entryRange{
		next: func() uint64 { return next }, end: end, view: ledgerv1.StatementView_STATEMENT_VIEW_ENTRY, pause: func() {},
		visit: func(logged *ledgerv1.LoggedEntry) error {
			e, err := verify.ParseEntry(logged.GetEntry())
			if err != nil {
				return err
			}
			next++
			return visit(e)
		},
	})
	if err == nil && next != end {
		return fmt.Errorf("entries %d to %d: the server ended at %d", start, end, next)
	}
	return err
}

// readStream reads from one stream. over says that there is no point in another.
func (c *Client) readStream(ctx context.Context, r entryRange) (over bool, err error) {
	stream, w, err := open(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[ledgerv1.ReadEntriesResponse], error) {
		return c.Audits().ReadEntries(ctx, &ledgerv1.ReadEntriesRequest{StartIndex: r.next(), EndIndex: r.end, View: r.view})
	})
	defer w.end()
	if err != nil {
		return false, c.explain(err)
	}
	for {
		resp, err := receive(w, stream.Recv)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, c.explain(err)
		}
		for _, e := range resp.GetEntries() {
			if r.next() == r.end {
				return true, nil
			}
			if err := r.visit(e); err != nil {
				return true, err
			}
		}
		r.pause()
	}
}

// Difference is where the log is not what an auditor has read.
type Difference struct {
	// Index is that of the first entry that differs.
	Index uint64
	// Kept is the leaf hash of the entry that the auditor read.
	Kept verify.Hash
	// Shown is the entry that the server shows now, 82 bytes; nil if it shows
	// none.
	Shown []byte
}

// Locate reads the log again from the beginning and compares it with what an
// auditor kept of it. It returns the first difference, or nil if the log begins
// with what was kept. It takes constant memory.
func (c *Client) Locate(ctx context.Context, leaves *LeafFile) (*Difference, error) {
	cp, err := c.latest(ctx)
	if err != nil {
		return nil, err
	}
	var next uint64
	var shown []byte
	err = c.readEntries(ctx, entryRange{
		next: func() uint64 { return next }, end: min(cp.Size, leaves.Len()),
		view: ledgerv1.StatementView_STATEMENT_VIEW_ENTRY,
		visit: func(logged *ledgerv1.LoggedEntry) error {
			kept, err := leaves.At(next)
			if err != nil {
				return err
			}
			if e, err := verify.ParseEntry(logged.GetEntry()); err != nil || e.LeafHash() != kept {
				shown = logged.GetEntry()
				return errDiffers
			}
			next++
			return nil
		},
		pause: func() {},
	})
	switch {
	case err != nil && !errors.Is(err, errDiffers):
		return nil, err
	case next == leaves.Len():
		return nil, nil
	}
	kept, err := leaves.At(next)
	return &Difference{Index: next, Kept: kept, Shown: shown}, err
}

// errDiffers ends the reading of entries at the first difference.
var errDiffers = errors.New("the entry differs")
