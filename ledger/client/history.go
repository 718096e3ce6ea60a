package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

const (
	// historyLimit is how many checkpoints of different sizes are remembered.
	historyLimit = 1024
	// proofsAtOnce is how many proofs are asked for at a time.
	proofsAtOnce = 16
)

// history is what the client has seen of the log: checkpoints that were
// accepted. It is safe for concurrent use.
type history struct {
	log *verify.Log

	mu     sync.Mutex
	opened map[string]*verify.Checkpoint // by note: each is verified once
	seen   []*seenCheckpoint             // of different sizes, ascending
}

// seenCheckpoint is a checkpoint that was accepted. If two in a row are proved,
// the second extends the first.
type seenCheckpoint struct {
	*verify.Checkpoint
	proved bool
}

func newHistory(log *verify.Log) *history {
	return &history{log: log, opened: make(map[string]*verify.Checkpoint)}
}

// size returns the largest size that was seen. Whatever is asked from now on
// must be answered with a checkpoint that is not smaller: the log never shrinks,
// and the statements of a commit are answered with the checkpoint after it.
func (h *history) size() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest().size()
}

func (h *history) latest() *seenCheckpoint {
	if len(h.seen) == 0 {
		return nil
	}
	return h.seen[len(h.seen)-1]
}

func (s *seenCheckpoint) size() uint64 {
	if s == nil {
		return 0
	}
	return s.Size
}

// accept opens a checkpoint that answers what was asked when size was floor. The
// error wraps verify.ErrCheckpoint or is a *ForkError.
func (h *history) accept(signed []byte, floor uint64) (*verify.Checkpoint, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cp := h.opened[string(signed)]
	if cp == nil {
		var err error
		if cp, err = h.log.OpenCheckpoint(signed); err != nil {
			return nil, err
		}
		if err := h.add(cp); err != nil {
			return nil, err
		}
	}
	if cp.Size < floor {
		return nil, &ForkError{Kept: h.latest().Checkpoint, Shown: cp, Detail: "the later checkpoint is of a smaller log"}
	}
	return cp, nil
}

// add remembers a checkpoint, and forgets the smallest when there are too many.
func (h *history) add(cp *verify.Checkpoint) error {
	at, found := slices.BinarySearchFunc(h.seen, cp.Size, func(s *seenCheckpoint, size uint64) int { return cmp.Compare(s.Size, size) })
	if found && h.seen[at].Root != cp.Root {
		return &ForkError{Kept: h.seen[at].Checkpoint, Shown: cp, Detail: "two roots at one size"}
	}
	if len(h.opened) >= 2*historyLimit {
		clear(h.opened)
	}
	h.opened[string(cp.Note)] = cp
	if found {
		return nil
	}
	h.seen = slices.Insert(h.seen, at, &seenCheckpoint{Checkpoint: cp})
	if len(h.seen) > historyLimit {
		h.seen = slices.Delete(h.seen, 0, 1)
	}
	return nil
}

// unproved returns how many checkpoints are not proved.
func (h *history) unproved() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seen {
		if !s.proved {
			n++
		}
	}
	return n
}

// Checkpoint returns the latest checkpoint of the log. The error wraps
// verify.ErrCheckpoint, is a *ForkError or that of the call.
func (c *Client) Checkpoint(ctx context.Context) (*verify.Checkpoint, error) {
	floor := c.history.size()
	resp, err := c.Audits().GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{})
	if err != nil {
		return nil, err
	}
	return c.history.accept(resp.GetCheckpoint(), floor)
}

// ProveHistory proves that all checkpoints that this client accepted, of the
// last 1,024 sizes, stand in one history: each extends the one before. It costs
// a call for each that was not proved before. The error is a *ForkError, whose
// checkpoints prove nothing to others unless they are of one size, or that of a
// call.
func (c *Client) ProveHistory(ctx context.Context) error {
	c.history.mu.Lock()
	seen := slices.Clone(c.history.seen)
	proved := make([]bool, len(seen))
	for i, s := range seen {
		proved[i] = s.proved
	}
	c.history.mu.Unlock()
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(proofsAtOnce)
	for i := 1; i < len(seen); i++ {
		if !proved[i-1] || !proved[i] {
			calls.Go(func() error { return c.Extends(ctx, seen[i-1].Checkpoint, seen[i].Checkpoint) })
		}
	}
	if err := calls.Wait(); err != nil {
		return err
	}
	c.history.mu.Lock()
	defer c.history.mu.Unlock()
	for _, s := range seen {
		s.proved = true
	}
	return nil
}

// Extends proves that the log of a newer checkpoint extends that of an older
// one. Both were opened by Log. The error is a *ForkError if the server's proof
// does not show it, or the server denies that the log is that large; else that
// of the call.
func (c *Client) Extends(ctx context.Context, older, newer *verify.Checkpoint) error {
	if older.Size > newer.Size {
		return &ForkError{Kept: newer, Shown: older, Detail: "the later checkpoint is of a smaller log"}
	}
	var path [][]byte
	if 0 < older.Size && older.Size < newer.Size {
		resp, err := c.Audits().GetConsistencyProof(ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: older.Size, ToSize: newer.Size})
		if status.Code(err) == codes.OutOfRange {
			return &ForkError{Kept: older, Shown: newer, Detail: "the server denies to have a log of that size"}
		}
		if err != nil {
			return fmt.Errorf("proving that size %d extends %d: %w", newer.Size, older.Size, err)
		}
		path = resp.GetPath()
	}
	err := verify.VerifyConsistency(older, newer, path)
	if errors.Is(err, verify.ErrProof) {
		return &ForkError{Kept: older, Shown: newer, Detail: "the second is not shown to extend the first"}
	}
	return err
}
