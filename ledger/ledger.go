package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Errors of Open.
var (
	// ErrBehindAnchor says that the store holds less than what was
	// acknowledged, or something else.
	ErrBehindAnchor = errors.New("the store does not hold what was acknowledged")
	// ErrOtherLedger says that the store holds another ledger than the genesis.
	ErrOtherLedger = errors.New("the store holds another ledger")
)

// Config is what a ledger is opened with.
type Config struct {
	// Store holds the ledger. The caller closes it after Run has returned.
	Store Store
	// Anchor remembers the last commit outside the store. The caller closes it.
	Anchor Anchor
	// Bootstrap begins with the genesis. If the store is empty the whole of it
	// is recorded; otherwise only the genesis is compared.
	Bootstrap *tracev1.Bootstrap
	// CheckpointSigner signs checkpoints; it is the one that the genesis names.
	CheckpointSigner note.Signer
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
	// Limits bound what waits; zero values stand for the defaults.
	Limits Limits
	// Logger takes what the operator should know; nil discards. Nothing
	// commercial is logged.
	Logger *slog.Logger
}

// Limits bound what waits and what one commit holds.
type Limits struct {
	// QueueStatements and QueueBytes bound what waits to be sequenced. The
	// defaults are 16,384 and 64 MiB.
	QueueStatements, QueueBytes int64
	// CommitStatements and CommitBytes are from where a commit takes no more.
	// The defaults are 2,048 and 1.5 MiB.
	CommitStatements, CommitBytes int
	// ClockBehind is how far the clock may be behind the last entry before
	// nothing is admitted. The default is 10 s.
	ClockBehind time.Duration
	// StateRows is from how many values on the state that follows from the
	// latest statements is stored; until then it is in memory, some 60 bytes
	// each, and statements are judged again when the ledger is opened. The
	// default is 262,144: some 80,000 statements, which takes a second.
	StateRows uint64
	// CacheBytes is how much of the state is kept in memory, roughly, beside its
	// filters, which take some 6 bytes for each statement. The default is 64 MiB;
	// less than 0 keeps nothing.
	CacheBytes int64
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.QueueStatements, 16_384)
	def(&l.QueueBytes, 64<<20)
	def(&l.CacheBytes, 64<<20)
	if l.StateRows == 0 {
		l.StateRows = 1 << 18
	}
	if l.CommitStatements == 0 {
		l.CommitStatements = 2048
	}
	if l.CommitBytes == 0 {
		l.CommitBytes = 3 << 19
	}
	if l.ClockBehind == 0 {
		l.ClockBehind = 10 * time.Second
	}
	return l
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	store   Store
	anchor  Anchor
	genesis *verify.Genesis
	rules   *custody.Rules
	signer  note.Signer
	now     func() time.Time
	limits  Limits
	logger  *slog.Logger

	keys         sync.Map     // verify.Hash of a key id -> *signingKey; keys never change
	preparedKeys atomic.Int64 // of those
	batches      *verify.BatchMemory

	cachedTiles  tileCache
	stateOptions *stateOptions
	lastRun      atomic.Uint64 // id of a run of the state

	queue            chan *group
	queuedStatements atomic.Int64
	queuedBytes      atomic.Int64

	latest  atomic.Pointer[published]
	doubt   atomic.Pointer[ReadOnlyError] // why it is read-only until it is opened again
	full    atomic.Pointer[ReadOnlyError] // why it is read-only until there is space
	stopped chan struct{}                 // closed when Run ends

	// Owned by the goroutine of Run.
	chain *verify.Chain
	tiles *edgeTiles
}

// Open opens the ledger that a store holds, or founds it in an empty one. It
// re-derives the end of the log from what is stored and compares it with the
// anchor, reads the filters of the state, some 6 bytes for each statement, and
// judges those statements again that the stored state does not cover: none after a
// clean stop, otherwise about as many as Limits.StateRows allows. It starts no
// goroutine: Run does the writing.
//
// The error is ErrBehindAnchor if the store lost or changed acknowledged
// entries, ErrDamaged if its end is not sound, ErrOtherLedger if the genesis is
// not that of the bootstrap.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if len(cfg.Bootstrap.GetEnvelopes()) == 0 {
		return nil, errors.New("opening ledger: the bootstrap holds no genesis")
	}
	genesis, err := verify.OpenGenesis(cfg.Bootstrap.GetEnvelopes()[0])
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	rules, err := custody.NewRules(genesis)
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	l := &Ledger{
		store: cfg.Store, anchor: cfg.Anchor, genesis: genesis, rules: rules, signer: cfg.CheckpointSigner,
		now: cfg.Now, limits: cfg.Limits.withDefaults(), logger: cfg.Logger,
		batches: verify.NewBatchMemory(4096), stopped: make(chan struct{}),
	}
	l.stateOptions = newStateOptions(l.limits.CacheBytes)
	l.queue = make(chan *group, l.limits.QueueStatements)
	if l.now == nil {
		l.now = time.Now
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.signer.Name() != genesis.Log.Origin() {
		return nil, fmt.Errorf("opening ledger: the checkpoint key is named %q, the genesis wants %q", l.signer.Name(), genesis.Log.Origin())
	}
	if err := l.open(ctx, cfg.Bootstrap); err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context, bootstrap *tracev1.Bootstrap) error {
	s, err := l.store.Snapshot()
	if err != nil {
		return err
	}
	h, err := l.restore(s, uint64(len(bootstrap.GetEnvelopes())))
	if errors.Is(err, ErrNotFound) {
		s.Close()
		return l.found(ctx, bootstrap)
	}
	if err != nil {
		s.Close()
		return err
	}
	state, lastRun, err := loadState(l.stateOptions, s, h.size)
	if err != nil {
		s.Close()
		return err
	}
	l.lastRun.Store(lastRun)
	if state, err = l.recover(ctx, s, &h, state); err != nil {
		s.Close()
		return err
	}
	if err := l.publish(s, h, state); err != nil {
		s.Close()
		return err
	}
	if err := l.removeOrphans(ctx); err != nil {
		l.Close()
		return err
	}
	return nil
}

// recover judges the statements again that the stored state does not cover.
func (l *Ledger) recover(ctx context.Context, s Snapshot, h *head, state *state) (*state, error) {
	v := l.viewOf(s, h)
	v.p.state = state
	b := &batch{first: h.size}
	o := &overlay{base: v.p, current: b}
	settle := func() {
		v.p.state = v.p.state.with(b)
		b.values, b.figures = table[[]byte]{}, table[custody.Figures]{}
	}
	err := v.Records(ctx, state.covered, h.size, func(r Record) error {
		if len(b.values.rows) >= 1<<13 {
			settle()
		}
		if err := l.judgeAgain(o, r); err != nil {
			return fmt.Errorf("state: entry %d cannot follow from those before it: %w: %w", r.Entry.Index, ErrDamaged, err)
		}
		return nil
	})
	settle()
	return v.p.state, err
}

// judgeAgain puts what follows from a statement on record.
func (l *Ledger) judgeAgain(o *overlay, r Record) error {
	if r.Entry.Index == 0 {
		return custody.Found(o, l.genesis)
	}
	sub, err := l.rules.ParseSubmission(r.Envelope)
	if err != nil {
		return err
	}
	return l.rules.Admit(o, custody.Place{Index: r.Entry.Index, SequencedAtMicros: r.Entry.SequencedAtMicros}, sub)
}

// newRun returns an id that no run of the state had.
func (l *Ledger) newRun() uint64 { return l.lastRun.Add(1) }

// restore reads the head of a snapshot, or returns ErrNotFound if there is
// none, and checks it. founded is the size that founding leaves.
func (l *Ledger) restore(s Snapshot, founded uint64) (head, error) {
	point, anchored := l.anchor.Last()
	b, err := s.Get(HeadKey)
	if errors.Is(err, ErrNotFound) && anchored {
		return head{}, fmt.Errorf("%w: the store is empty, the anchor says %d entries; restore the store from a backup, or correct data_dir", ErrBehindAnchor, point.Size)
	}
	if err != nil {
		return head{}, err
	}
	h, err := parseHead(b)
	if err != nil {
		return head{}, err
	}
	if l.chain, err = h.chain(); err != nil {
		return head{}, err
	}
	if err := l.checkEnd(s, &h); err != nil {
		return head{}, err
	}
	// A crash while founding may leave no anchor; nobody was answered then.
	if anchored || h.size > founded {
		if err := checkAnchor(l.viewOf(s, &h), point, anchored); err != nil {
			return head{}, err
		}
	}
	if point != h.anchorPoint() {
		// The last commit was durable and never acknowledged.
		if err := l.anchor.Append(h.anchorPoint()); err != nil {
			return head{}, err
		}
	}
	l.tiles, err = loadEdgeTiles(s, h.size)
	return h, err
}

// checkEnd re-derives the head from records and tiles: the first record is the
// genesis, the last one hashes to the last link, nothing comes after it, and
// both are in the tree.
func (l *Ledger) checkEnd(s Snapshot, h *head) error {
	v := l.viewOf(s, h)
	first, err := v.Record(0)
	if err != nil {
		return err
	}
	if id := l.genesis.Log.ID(); first.Entry.StatementHash != id {
		return fmt.Errorf("%w: its id is %s, the genesis founds %s", ErrOtherLedger, first.Entry.StatementHash, id)
	}
	last, err := v.Record(h.size - 1)
	if err != nil {
		return err
	}
	if last.Entry.LeafHash() != h.last || last.Entry.SequencedAtMicros != h.lastTime {
		return fmt.Errorf("last entry: %w", ErrDamaged)
	}
	beyond := false
	err = s.Scan(recordKey(h.size), []byte{recordKeys + 1}, func(_, _ []byte) bool {
		beyond = true
		return false
	})
	if err == nil && beyond {
		return fmt.Errorf("records beyond the head: %w", ErrDamaged)
	}
	return err
}

// viewOf returns a view of a head that was not published yet.
func (l *Ledger) viewOf(s Snapshot, h *head) *View {
	return &View{&published{snapshot: s, head: *h, tree: newTreeReader(s, h, &l.cachedTiles)}}
}

// checkAnchor proves that the log extends what was acknowledged.
func checkAnchor(v *View, point AnchorPoint, anchored bool) error {
	if !anchored {
		return fmt.Errorf("%w: the store has %d entries, the anchor is missing; put the anchor file back beside the store", ErrBehindAnchor, v.Size())
	}
	if v.Size() < point.Size {
		return fmt.Errorf("%w: the store has %d entries, the anchor says %d; restore the store from a backup that is not older", ErrBehindAnchor, v.Size(), point.Size)
	}
	r, err := v.Record(point.Size - 1)
	if err != nil {
		return err
	}
	path, err := v.InclusionPath(point.Size-1, point.Size)
	if err != nil {
		return err
	}
	if r.Entry.LeafHash() != point.Last || verify.VerifyInclusion(point.Last, point.Size-1, point.Size, path, point.Root) != nil {
		return fmt.Errorf("%w: entry %d is not the one that was acknowledged", ErrBehindAnchor, point.Size-1)
	}
	return nil
}

// found records the bootstrap in an empty store, in one commit.
func (l *Ledger) found(ctx context.Context, bootstrap *tracev1.Bootstrap) error {
	empty, err := l.store.Snapshot()
	if err != nil {
		return err
	}
	base := &published{snapshot: empty, state: newState(l.stateOptions)}
	base.users.Store(1)
	defer base.release()
	if err := checkEmpty(empty); err != nil {
		return err
	}
	l.chain, l.tiles = verify.NewChain(), new(edgeTiles)
	b := newBatch(l.chain, nil)
	state := &overlay{base: base, current: b}
	now := l.now().UnixMicro()
	for i, env := range bootstrap.GetEnvelopes() {
		if i == 0 {
			err = custody.Found(state, l.genesis)
			if err == nil {
				err = l.sequence(b, l.chain.Next(l.genesis.Log.ID(), now), env)
			}
		} else {
			err = l.bootstrap(state, env, now)
		}
		if err != nil {
			return fmt.Errorf("bootstrap statement %d: %w", i, err)
		}
	}
	l.seal(b)
	return l.commit(ctx, nil, base.state, b)
}

// checkEmpty checks that a store without a head holds nothing else either: it
// would be a ledger that lost its head.
func checkEmpty(s Snapshot) error {
	empty := true
	err := s.Scan(nil, nil, func(_, _ []byte) bool {
		empty = false
		return false
	})
	if err == nil && !empty {
		return fmt.Errorf("the store has values and no head: %w", ErrDamaged)
	}
	return err
}

// bootstrap admits a statement that is recorded together with the genesis.
func (l *Ledger) bootstrap(state *overlay, env *tracev1.Envelope, now int64) error {
	sub, err := l.rules.ParseSubmission(env)
	if err != nil {
		return err
	}
	k, err := custody.KeyByID(state, sub.KeyID[:])
	if err != nil {
		return err
	}
	if err := custody.CheckKey(k, sub.Payload.Statement.GetSigner()); err != nil {
		return err
	}
	key, err := verify.ParsePublicKey(k.GetSpki())
	if err != nil {
		return err
	}
	if err := verify.VerifySignature(sub.Payload, key, env.GetSignatureBlock(), nil); err != nil {
		return err
	}
	e := l.chain.Next(sub.Hash, now)
	if err := l.rules.Admit(state, custody.Place{Index: e.Index, SequencedAtMicros: e.SequencedAtMicros}, sub); err != nil {
		return err
	}
	return l.sequence(state.current, e, env)
}

// Genesis returns the genesis of the ledger.
func (l *Ledger) Genesis() *verify.Genesis { return l.genesis }

// Rules returns the rules that judge statements.
func (l *Ledger) Rules() *custody.Rules { return l.rules }

// View returns the ledger as of the latest checkpoint. The caller closes it. After
// Close it is one that answers nothing but ErrClosed.
func (l *Ledger) View() *View {
	for {
		if p := l.latest.Load(); p.acquire() {
			return &View{p}
		}
	}
}

// ErrClosed is what is answered from a ledger that was closed.
var ErrClosed = errors.New("the ledger is closed")

// closedSnapshot is that of a ledger that was closed.
type closedSnapshot struct{}

func (closedSnapshot) Get([]byte) ([]byte, error) { return nil, ErrClosed }

func (closedSnapshot) Scan(_, _ []byte, _ func(key, value []byte) bool) error { return ErrClosed }

func (closedSnapshot) Close() {}

// Close releases the latest view. Call it after Run has returned and before
// the store is closed.
func (l *Ledger) Close() {
	last := l.latest.Load()
	l.swap(&published{snapshot: closedSnapshot{}, head: last.head, checkpoint: last.checkpoint, state: last.state})
}

// publish signs the checkpoint of a head and makes it what View returns. The
// snapshot is the ledger's from then on.
func (l *Ledger) publish(s Snapshot, h head, state *state) error {
	cp, err := verify.SignCheckpoint(l.signer, h.size, h.root)
	if err != nil {
		return err
	}
	if l.latest.Load() == nil { // later ones are of the same key
		if _, err := l.genesis.Log.OpenCheckpoint(cp.Note); err != nil {
			return fmt.Errorf("the checkpoint key is not the one that the genesis names: %w", err)
		}
	}
	l.swap(&published{snapshot: s, head: h, checkpoint: cp, state: state})
	return nil
}

// replace makes what was committed, under a checkpoint that was published before,
// what View returns.
func (l *Ledger) replace(p *published) (err error) {
	if p.snapshot, err = l.store.Snapshot(); err == nil {
		l.swap(p)
	}
	return err
}

func (l *Ledger) swap(p *published) {
	p.tree = newTreeReader(p.snapshot, &p.head, &l.cachedTiles)
	p.users.Store(1)
	if old := l.latest.Swap(p); old != nil {
		old.release()
	}
}
