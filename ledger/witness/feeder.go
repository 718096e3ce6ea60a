package witness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/ledger/durable"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// FeederConfig is what a Feeder is made of.
type FeederConfig struct {
	// Log is whose checkpoints are cosigned, Policy by whom. Witnesses without a
	// URL are not asked.
	Log    *verify.Log
	Policy *verify.Policy
	// Latest returns the latest checkpoint of the ledger.
	Latest func() *verify.Checkpoint
	// Consistency returns the proof that one size extends another, at least 1.
	Consistency func(from, to uint64) ([][]byte, error)
	// Path is the file that keeps the newest cosigned checkpoint.
	Path string
	// Ahead is told of a checkpoint of this ledger that a witness has, with the
	// ledger's own signature, and that the ledger does not have: it was rolled back.
	// Nil is told nothing.
	Ahead func(*verify.Checkpoint)
	// Client asks the witnesses; nil stands for one of its own.
	Client *http.Client
	// Interval is how often the ledger is looked at for a new checkpoint; 1 s if 0.
	Interval time.Duration
	// Timeout is how long a witness may take to answer; 10 s if 0.
	Timeout time.Duration
	// Patience is how long a checkpoint waits for its quorum before it is published
	// without, and a newer one is tried; 10 s if 0.
	Patience time.Duration
	// Backoff is how long a witness is left alone after a failure, doubled each time
	// up to 256-fold; 1 s if 0.
	Backoff time.Duration
	// Logger takes what the operator should know; nil discards.
	Logger *slog.Logger
}

func (c FeederConfig) withDefaults() FeederConfig {
	for _, d := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&c.Interval, time.Second}, {&c.Timeout, 10 * time.Second}, {&c.Patience, 10 * time.Second}, {&c.Backoff, time.Second}} {
		if *d.of == 0 {
			*d.of = d.otherwise
		}
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// ErrRolledBack says that the ledger does not extend a checkpoint of its own that
// witnesses have cosigned.
var ErrRolledBack = errors.New("the ledger does not extend what witnesses have cosigned")

// Feeder asks witnesses to cosign the checkpoints of a ledger. Its methods are safe
// for concurrent use.
//
// All witnesses are asked for the same checkpoint, the target, so that a quorum can
// come together on one. When it has its quorum, or when that takes too long, the
// latest checkpoint becomes the next target.
type Feeder struct {
	cfg FeederConfig

	mu        sync.Mutex
	targets   []*verify.Checkpoint // the last few, oldest first, with the cosignatures so far
	since     time.Time            // when the last of them became the target
	cosigned  *verify.Checkpoint   // the newest with a quorum; nil if there is none
	published *verify.Checkpoint
	changed   chan struct{} // closed when there is a new target
}

// keptTargets is for how many targets cosignatures are taken that come late.
const keptTargets = 8

// NewFeeder returns a feeder that goes on with what its file keeps, if there is one.
// The error wraps ErrRolledBack if the ledger does not extend that, or
// verify.ErrCheckpoint if it is another log's.
func NewFeeder(cfg FeederConfig) (*Feeder, error) {
	f := &Feeder{cfg: cfg.withDefaults(), changed: make(chan struct{})}
	latest := f.cfg.Latest()
	f.published = latest
	if err := f.load(latest); err != nil {
		return nil, fmt.Errorf("reading %s, which keeps the cosigned checkpoint: %w", f.cfg.Path, err)
	}
	f.aim(f.published)
	return f, nil
}

// load reads the file, if there is one. The ledger must extend what it keeps.
func (f *Feeder) load(latest *verify.Checkpoint) error {
	b, err := os.ReadFile(f.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	kept, err := f.cfg.Log.OpenCheckpoint(b)
	if err != nil {
		return err
	}
	if kept.Size > latest.Size {
		return fmt.Errorf("%w: it has %d entries, the ledger %d", ErrRolledBack, kept.Size, latest.Size)
	}
	var path [][]byte
	if 0 < kept.Size && kept.Size < latest.Size {
		if path, err = f.cfg.Consistency(kept.Size, latest.Size); err != nil {
			return err
		}
	}
	if err := verify.VerifyConsistency(kept, latest, path); err != nil {
		return fmt.Errorf("%w: %w", ErrRolledBack, err)
	}
	if kept.Size == latest.Size {
		f.published = kept
	}
	if f.cfg.Policy.Check(f.cfg.Log, kept) == nil { // the policy may be another than then
		f.cosigned = kept
	}
	return nil
}

// Cosigned returns the newest checkpoint that satisfied the policy, with its
// cosignatures; nil if there is none.
func (f *Feeder) Cosigned() *verify.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cosigned
}

// Published returns the checkpoint to publish: the newest that satisfied the
// policy or, if that is late, one with the cosignatures that there are. Its size
// never falls.
func (f *Feeder) Published() *verify.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published
}

// Run asks witnesses until the context ends. It is called once.
func (f *Feeder) Run(ctx context.Context) error {
	var witnesses errgroup.Group
	for _, w := range f.cfg.Policy.Witnesses() {
		if w.URL != "" {
			asker := &asker{feeder: f, witness: w, logger: f.cfg.Logger.With(slog.String("witness", w.Name))}
			witnesses.Go(func() error { asker.run(ctx); return nil })
		}
	}
	tick := time.NewTicker(f.cfg.Interval)
	defer tick.Stop()
	for {
		f.advance()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return witnesses.Wait()
		}
	}
}

// advance takes a new target when the last one is done with.
func (f *Feeder) advance() {
	latest := f.cfg.Latest()
	f.mu.Lock()
	defer f.mu.Unlock()
	target := f.targets[len(f.targets)-1]
	done := f.cfg.Policy.Check(f.cfg.Log, target) == nil
	if done {
		f.settle(target)
	}
	if !done && time.Since(f.since) < f.cfg.Patience {
		return
	}
	if target.Size > f.published.Size {
		f.published = target // late, without its quorum
	}
	if latest.Size > target.Size {
		f.aim(latest)
	}
}

// aim makes a checkpoint the target. mu is held, or nobody else has f yet.
func (f *Feeder) aim(cp *verify.Checkpoint) {
	f.targets = append(f.targets, cp)
	if len(f.targets) > keptTargets {
		f.targets = f.targets[1:]
	}
	f.since = time.Now()
	close(f.changed)
	f.changed = make(chan struct{})
}

// target returns the target, and what is closed when there is another.
func (f *Feeder) target() (*verify.Checkpoint, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.targets[len(f.targets)-1], f.changed
}

// take takes the answer of a witness to a target. The error wraps
// verify.ErrCosignature.
func (f *Feeder) take(size uint64, w verify.Witness, answer []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, target := range f.targets {
		if target.Size != size {
			continue
		}
		with, err := f.cfg.Policy.Cosign(f.cfg.Log, target, w, answer)
		if err != nil {
			return err
		}
		f.targets[i] = with
		if f.cfg.Policy.Check(f.cfg.Log, with) == nil {
			f.settle(with)
		}
		return nil
	}
	return nil // it comes too late
}

// settle keeps a checkpoint that has its quorum. mu is held.
func (f *Feeder) settle(cp *verify.Checkpoint) {
	if cp.Size >= f.published.Size {
		f.published = cp
	}
	if f.cosigned != nil && (cp.Size < f.cosigned.Size || string(cp.Note) == string(f.cosigned.Note)) {
		return
	}
	f.cosigned = cp
	if err := durable.Write(f.cfg.Path, cp.Note, 0o600); err != nil {
		f.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "the cosigned checkpoint was not kept; witnesses are asked again after a restart", slog.Any("error", err))
	}
}
