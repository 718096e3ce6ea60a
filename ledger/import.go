package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrNotLog says that records which were to be imported are not the log of the
// ledger: the rules refuse one of them, a signature is false, or they do not add up
// to a checkpoint.
var ErrNotLog = errors.New("the records are not the log of the ledger")

// ImportConfig is what an import is made with.
type ImportConfig struct {
	// Store takes the ledger. It is empty. The caller closes it.
	Store Store
	// Log is the ledger that is expected, got out of band.
	Log *verify.Log
	// Limits of the commits and of the state; zero values stand for the defaults.
	Limits Limits
	// Logger as that of Config.
	Logger *slog.Logger
}

// Import builds a ledger in an empty store from its records, the first of which is
// the genesis: those of a backup, or of another copy. It believes none of them.
// Each is judged by the rules as it was when it was submitted, its signature is
// verified under the key that the records before it register, and it gets the time
// that it had, so that it becomes the same entry; what follows from it is made
// anew.
//
// It signs nothing, and has no anchor: when Finish has returned, the caller gives
// the anchor its point, and Open opens the store. A store whose import ended
// before that holds the beginning of a log and must not be served: make it anew.
//
// An Import belongs to one goroutine.
type Import struct {
	l        *Ledger
	log      *verify.Log
	state    *overlay
	proved   *verify.Checkpoint // the last one that was kept; covers all but the latest records
	unstored []*verify.Checkpoint
}

// NewImport begins an import. The error wraps ErrDamaged if the store is not empty.
func NewImport(cfg ImportConfig) (*Import, error) {
	l := &Ledger{
		store: cfg.Store, limits: cfg.Limits.withDefaults(), logger: cfg.Logger,
		batches: verify.NewBatchMemory(4096), chain: verify.NewChain(), tiles: new(edgeTiles),
	}
	l.stateOptions = newStateOptions(l.limits.CacheBytes)
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	empty, err := cfg.Store.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("importing: %w", err)
	}
	if err := checkEmpty(empty); err != nil {
		empty.Close()
		return nil, fmt.Errorf("importing: %w", err)
	}
	l.swap(&published{snapshot: empty, state: newState(l.stateOptions)})
	im := &Import{l: l, log: cfg.Log}
	im.begin(newStateCache(cachedValues))
	return im, nil
}

// Size returns how many records were added.
func (im *Import) Size() uint64 { return im.l.chain.Size() }

// Point returns where the log ends that was added so far.
func (im *Import) Point() AnchorPoint {
	h := headOf(im.l.chain)
	return h.anchorPoint()
}

// Add adds the next record, which was recorded at a time. The error wraps
// ErrNotLog if it cannot be the next one of the log; else it is that of the store,
// or ErrDamaged. After an error the import is over. Records are durable when Finish
// has returned.
func (im *Import) Add(ctx context.Context, timeMicros int64, env *tracev1.Envelope) error {
	if err := im.judge(timeMicros, env); err != nil {
		return fmt.Errorf("importing entry %d: %w", im.Size(), err)
	}
	b, limits := im.state.current, &im.l.limits
	if len(b.records) < limits.CommitStatements && b.bytes < limits.CommitBytes && b.stateBytes < batchStateBytes {
		return nil
	}
	return im.commit(ctx)
}

func (im *Import) judge(timeMicros int64, env *tracev1.Envelope) error {
	if im.Size() == 0 {
		return im.found(timeMicros, env)
	}
	sub, err := im.l.rules.ParseSubmission(env)
	if err != nil {
		return notLog(err)
	}
	key, err := im.signingKey(sub)
	if err != nil {
		return notLog(err)
	}
	if err := sub.Block.Verify(sub.Payload, key, im.l.batches); err != nil {
		return notLog(err)
	}
	e, err := im.entry(sub.Hash, timeMicros)
	if err != nil {
		return err
	}
	if err := im.l.rules.Admit(im.state, custody.Place{Index: e.Index, SequencedAtMicros: e.SequencedAtMicros}, sub); err != nil {
		return notLog(err)
	}
	return im.l.sequence(im.state.current, e, env)
}

// signingKey returns the key of a submission, if it is registered for its signer.
func (im *Import) signingKey(sub *custody.Submission) (*verify.PublicKey, error) {
	signer := sub.Payload.Statement.GetSigner()
	if k, ok := im.l.keys.Load(sub.KeyID); ok && k.(*signingKey).owner == signer {
		return k.(*signingKey).key, nil
	}
	k, err := custody.KeyByID(im.state, sub.KeyID[:])
	if err != nil {
		return nil, err
	}
	if err := custody.CheckKey(k, signer); err != nil {
		return nil, err
	}
	return im.l.rememberKey(sub.KeyID, signer, k)
}

// entry returns the entry of the next statement, if it can have that time.
func (im *Import) entry(statement verify.Hash, timeMicros int64) (verify.Entry, error) {
	e := im.l.chain.Next(statement, timeMicros)
	if timeMicros < 0 || e.SequencedAtMicros != timeMicros {
		return verify.Entry{}, fmt.Errorf("%w: its time is before that of the entry before it", ErrNotLog)
	}
	return e, nil
}

// found adds the genesis.
func (im *Import) found(timeMicros int64, env *tracev1.Envelope) error {
	genesis, err := verify.OpenGenesis(env)
	if err != nil {
		return notLog(err)
	}
	if genesis.Log.ID() != im.log.ID() || genesis.Log.CheckpointVKey() != im.log.CheckpointVKey() {
		return fmt.Errorf("%w: it founds %s, expected is %s", ErrOtherLedger, genesis.Log.ID(), im.log.ID())
	}
	if im.l.rules, err = custody.NewRules(genesis); err != nil {
		return err
	}
	im.l.genesis = genesis
	e, err := im.entry(genesis.Log.ID(), timeMicros)
	if err != nil {
		return err
	}
	if err := custody.Found(im.state, genesis); err != nil {
		return err
	}
	return im.l.sequence(im.state.current, e, env)
}

// notLog says ErrNotLog of what the rules, or the form, refuse. What is wrong with
// the state is no fault of the record.
func notLog(err error) error {
	if errors.Is(err, custody.ErrState) || errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotLog, err)
}

// Prove takes a checkpoint of the records that were added so far, which the caller
// has opened with Log, and keeps it with them as evidence. The error wraps
// ErrNotLog if they do not have its size and root.
func (im *Import) Prove(cp *verify.Checkpoint) error {
	if cp.Size != im.Size() {
		return fmt.Errorf("importing: %w: there are %d, a checkpoint is of %d", ErrNotLog, im.Size(), cp.Size)
	}
	if cp.Root != im.l.chain.Root() {
		return fmt.Errorf("importing: %w: the first %d do not have the root of the signed checkpoint", ErrNotLog, cp.Size)
	}
	im.proved, im.unstored = cp, append(im.unstored, cp)
	return nil
}

// Finish makes what was added durable, with the state that follows from it, and
// returns what the anchor is to keep. The last record must be covered by a
// checkpoint that was proved.
func (im *Import) Finish(ctx context.Context) (AnchorPoint, error) {
	if im.proved == nil || im.proved.Size != im.Size() {
		return AnchorPoint{}, fmt.Errorf("importing: %w: no checkpoint covers the last of %d", ErrNotLog, im.Size())
	}
	if len(im.state.current.records) > 0 {
		if err := im.commit(ctx); err != nil {
			return AnchorPoint{}, err
		}
	}
	if err := im.serve(ctx, (*writer).flushLast); err != nil {
		return AnchorPoint{}, fmt.Errorf("importing: %w", err)
	}
	if err := im.storeCheckpoints(ctx); err != nil {
		return AnchorPoint{}, fmt.Errorf("importing: %w", err)
	}
	return im.Point(), nil
}

func (im *Import) storeCheckpoints(ctx context.Context) error {
	for part := range slices.Chunk(im.unstored, 1024) {
		step := new(mergeStep)
		for _, cp := range part {
			step.writes = append(step.writes, Write{Key: checkpointKey(cp.Size), Value: cp.Note})
		}
		if err := im.l.commitStep(ctx, step); err != nil {
			return err
		}
	}
	im.unstored = nil
	return nil
}

// Close releases what the import holds of the store, before that is closed.
func (im *Import) Close() {
	im.state.base.release()
	im.l.Close()
}

// begin begins a batch over what is committed.
func (im *Import) begin(cache *stateCache) {
	im.state = &overlay{base: im.l.View().p, cache: cache, current: newBatch(im.l.chain, nil)}
}

// commit makes a batch durable, and merges what is due.
func (im *Import) commit(ctx context.Context) error {
	l, b := im.l, im.state.current
	l.seal(b)
	before := l.latest.Load()
	next := &published{head: b.head, state: before.state.with(b)}
	var expected []byte
	if before.head.size > 0 {
		expected = before.head.bytes()
	}
	if err := l.store.Commit(ctx, expected, append(b.writes(), Write{Key: HeadKey, Value: b.head.bytes()})); err != nil {
		return fmt.Errorf("importing: committing %d entries: %w", len(b.records), err)
	}
	if err := l.replace(next); err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	im.state.cache.update(&b.values)
	im.state.base.release()
	err := im.serve(ctx, func(w *writer) error {
		for {
			if merged, err := w.mergeOnce(); !merged || err != nil {
				return err
			}
		}
	})
	im.begin(im.state.cache)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	return ctx.Err()
}

// serve has a merge done, and commits its steps, as the committer of a running
// ledger does.
func (im *Import) serve(ctx context.Context, merge func(*writer) error) error {
	w := &writer{l: im.l, merges: make(chan *mergeStep)}
	merged := make(chan error, 1)
	go func() { merged <- merge(w) }()
	var failed error
	for {
		select {
		case step := <-w.merges:
			err := im.l.commitStep(ctx, step)
			failed = errors.Join(failed, err)
			step.done <- err
		case err := <-merged:
			if failed != nil {
				return failed // which err says that it ended
			}
			return err
		}
	}
}
