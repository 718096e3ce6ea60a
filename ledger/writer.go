package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Errors of Submit.
var (
	// ErrQueueFull says that too much waits to be sequenced. Nothing of what
	// was submitted is recorded; it may be submitted again after a while.
	ErrQueueFull = errors.New("too much is waiting to be recorded")
	// ErrStopped says that the writer does not run. Nothing of what was
	// submitted is recorded, unless it was submitted before.
	ErrStopped = errors.New("the ledger takes no submissions")
	// ErrOutcomeUnknown says that a commit failed and only opening the ledger
	// again can tell whether it happened. The same bytes may be submitted then.
	ErrOutcomeUnknown = errors.New("the outcome of the commit is unknown")
	// ErrClock says that the clock is too far behind the last entry.
	ErrClock = errors.New("the clock is behind the log")
)

// Item is a statement whose form, ledger, signer, key and signature were
// checked. It is immutable.
type Item struct {
	envelope   *tracev1.Envelope
	submission *custody.Submission
	key        *verify.PublicKey
}

// Result is what became of an item.
type Result struct {
	// Err is nil if the statement is on record. Otherwise it is a
	// *custody.Refusal or one of the errors of Submit.
	Err error
	// Already says that the statement was on record before.
	Already bool
	// Index is where it is.
	Index uint64

	item   *Item
	entry  verify.Entry
	growth *growth // of the batch that recorded it; nil if that was before
	at     *verify.Checkpoint
}

// Item returns what the result is of.
func (r *Result) Item() *Item { return r.item }

// group is some items that were submitted together.
type group struct {
	items   []*Item
	results []Result
	bytes   int64
	open    atomic.Int64 // items without a result
	done    chan struct{}
}

// signingKey is a registered key, ready to verify with.
type signingKey struct {
	key   *verify.PublicKey
	owner string
}

// mostPreparedKeys bounds the keys that are made ready for many signatures, to
// 20 MiB; others take twice the time.
const mostPreparedKeys = 1024

// Check does what needs no order: the statement is canonical and within limits,
// made to this ledger by the caller, and its signature is true under a key
// registered for the caller. The error is a *custody.Refusal, or ErrDamaged.
// It costs a signature verification, and for all but the first statement of a
// batch about one hash instead.
func (l *Ledger) Check(env *tracev1.Envelope, caller string) (*Item, error) {
	sub, err := l.rules.ParseSubmission(env)
	if err != nil {
		return nil, err
	}
	signer := sub.Payload.Statement.GetSigner()
	if signer != caller {
		return nil, &custody.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_PEER_NOT_SIGNER,
			Message: fmt.Sprintf("the statement is signed by %.64q and was submitted by %q", signer, caller)}
	}
	key, err := l.signingKey(sub.KeyID, signer)
	if err != nil {
		return nil, err
	}
	if err := sub.Block.Verify(sub.Payload, key, l.batches); err != nil {
		return nil, &custody.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE, Message: err.Error()}
	}
	return &Item{envelope: env, submission: sub, key: key}, nil
}

// signingKey returns a key that is registered for a signer.
func (l *Ledger) signingKey(id verify.Hash, signer string) (*verify.PublicKey, error) {
	if k, ok := l.keys.Load(id); ok && k.(*signingKey).owner == signer {
		return k.(*signingKey).key, nil
	}
	v := l.View()
	defer v.Close()
	k, err := custody.KeyByID(v, id[:])
	if err != nil {
		return nil, err
	}
	if err := custody.CheckKey(k, signer); err != nil {
		return nil, err
	}
	return l.rememberKey(id, signer, k)
}

// rememberKey makes a registered key ready to verify with.
func (l *Ledger) rememberKey(id verify.Hash, signer string, k *tracev1.Key) (*verify.PublicKey, error) {
	key, err := verify.ParsePublicKey(k.GetSpki())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", custody.ErrState, err)
	}
	if l.preparedKeys.Add(1) <= mostPreparedKeys {
		key = key.Prepared()
	}
	l.keys.Store(id, &signingKey{key: key, owner: signer})
	return key, nil
}

func (v *View) signerSPKI(r Record) ([]byte, error) {
	k, err := custody.KeyByID(v, r.Envelope.GetKeyId())
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fmt.Errorf("key of entry %d: %w", r.Entry.Index, ErrDamaged)
	}
	return k.GetSpki(), nil
}

// Judge says what Submit would say of an item now, and records nothing: nil, a
// *custody.Recorded or a *custody.Refusal.
func (l *Ledger) Judge(item *Item) error {
	v := l.View()
	defer v.Close()
	scratch := &overlay{base: v.p, current: &batch{first: v.Size()}}
	at := custody.Place{Index: v.Size(), SequencedAtMicros: max(l.now().UnixMicro(), v.p.head.lastTime)}
	return l.rules.Admit(scratch, at, item.submission)
}

// Submit records items, which came from Check, in their order, and returns
// their results when all of them are decided and durable. The error is
// ErrQueueFull, ErrStopped, a *ReadOnlyError or that of the context, after which
// the items may still be recorded.
func (l *Ledger) Submit(ctx context.Context, items []*Item) ([]Result, error) {
	if len(items) == 0 {
		return nil, nil
	}
	select {
	case <-l.stopped: // nobody makes room in the queue any more
		return nil, l.stoppedFor()
	default:
	}
	if e := l.refusing(); e != nil {
		return nil, e
	}
	g := &group{items: items, results: make([]Result, len(items)), done: make(chan struct{})}
	g.open.Store(int64(len(items)))
	for _, it := range items {
		g.bytes += int64(len(it.envelope.GetPayload()) + len(it.envelope.GetSignatureBlock()))
	}
	if !l.enter(g) {
		return nil, ErrQueueFull
	}
	select {
	case l.queue <- g:
	case <-l.stopped:
		l.leave(g)
		return nil, ErrStopped
	case <-ctx.Done():
		l.leave(g)
		return nil, ctx.Err()
	}
	select {
	case <-g.done:
		return g.results, nil
	case <-l.stopped:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select { // Run decides every group that it took before it stops
	case <-g.done:
		return g.results, nil
	default:
		return nil, ErrStopped
	}
}

// enter takes room in the queue.
func (l *Ledger) enter(g *group) bool {
	n, b := int64(len(g.items)), g.bytes
	statements, bytes := l.queuedStatements.Add(n), l.queuedBytes.Add(b)
	if statements > l.limits.QueueStatements+n-1 || bytes > l.limits.QueueBytes+b-1 {
		l.leave(g)
		return false
	}
	return true
}

func (l *Ledger) leave(g *group) {
	l.queuedStatements.Add(-int64(len(g.items)))
	l.queuedBytes.Add(-g.bytes)
}

// Run judges and records what is submitted, until the context ends or a commit
// fails. Everything that it took is decided when it returns; what waits in the
// queue is refused with ErrStopped. It may be called once.
func (l *Ledger) Run(ctx context.Context) error {
	w := &writer{
		l: l, ctx: ctx, ready: make(chan struct{}), batches: make(chan *batch), merges: make(chan *mergeStep), undo: make(chan *ReadOnlyError),
		committed: make(chan struct{}, 1), admitted: make(chan struct{}), over: make(chan struct{}), failed: make(chan struct{}),
	}
	committing, merging := make(chan error, 1), make(chan error, 1)
	go func() { committing <- w.commitAll() }()
	go func() { merging <- w.mergeAll() }()
	err := w.admitAll()
	close(w.admitted)
	err = errors.Join(err, <-merging)
	close(w.over)
	err = errors.Join(err, <-committing)
	switch {
	case errors.Is(err, ErrDamaged), errors.Is(err, custody.ErrState):
		l.turnReadOnly(Damaged, err)
	case err != nil:
		l.turnReadOnly(CommitFailed, err)
	}
	close(l.stopped)
	return err
}

// stoppedFor says why Run has returned: ErrStopped, or more.
func (l *Ledger) stoppedFor() error {
	if e := l.doubt.Load(); e != nil {
		return errors.Join(e, ErrStopped)
	}
	return ErrStopped
}

// Stopped is closed when Run has returned.
func (l *Ledger) Stopped() <-chan struct{} { return l.stopped }

// writer is one run of the writer: a goroutine that admits, one that commits and
// one that merges the runs of the state. The committer says that it is ready, then
// takes a batch; so a batch grows while the one before it is made durable.
type writer struct {
	l       *Ledger
	ctx     context.Context
	ready   chan struct{}   // from the committer; unbuffered
	batches chan *batch     // to the committer; unbuffered
	merges  chan *mergeStep // to the committer; unbuffered
	// undo tells the admitting goroutine that the batch it handed over was not
	// written, and will not be. Until it has taken that, no batch is taken.
	undo      chan *ReadOnlyError
	committed chan struct{} // has a value after a commit
	admitted  chan struct{} // closed when nothing more is admitted
	over      chan struct{} // closed when neither batch nor step will follow
	failed    chan struct{} // closed when a commit failed, or a merge
	failing   sync.Once

	// Owned by the admitting goroutine.
	state *overlay

	// Owned by the committing goroutine.
	again <-chan time.Time // when the store refused to write; else nil
}

// admitAll builds a batch from what waits, until the committer is ready for it.
func (w *writer) admitAll() error {
	base := w.l.View().p
	w.state = &overlay{base: base, cache: newStateCache(cachedValues), current: newBatch(w.l.chain, nil)}
	defer func() { w.state.base.release() }()
	for {
		queue, ready := w.l.queue, w.ready
		if len(w.state.current.waiting) == 0 {
			ready = nil
		}
		if w.full() {
			queue = nil
		}
		select {
		case g := <-queue:
			if err := w.admit(g); err != nil {
				w.fail(w.state.current, ErrStopped)
				return err
			}
		case <-ready:
			w.handOver()
		case e := <-w.undo:
			if err := w.rollBack(e); err != nil {
				return err
			}
		case <-w.failed:
			w.fail(w.state.current, ErrStopped)
			return nil // the committer tells why
		case <-w.ctx.Done():
			return w.last()
		}
	}
}

// cachedValues is how many state values each of the two generations of the
// writer's cache holds, about 200 bytes each.
const cachedValues = 1 << 16

// batchStateBytes is from where on a batch takes no more for what follows from it,
// which stays in memory.
const batchStateBytes = 8 << 20

func (w *writer) full() bool {
	b, limits := w.state.current, &w.l.limits
	return len(b.records) >= limits.CommitStatements || b.bytes >= limits.CommitBytes || b.stateBytes >= batchStateBytes ||
		len(b.waiting) >= 2*limits.CommitStatements
}

// handOver gives the current batch to the committer, which is ready and has
// therefore published the one before, and begins a new one.
func (w *writer) handOver() {
	b := w.state.current
	w.l.seal(b)
	w.batches <- b
	w.state.base.release()
	w.state = w.state.next(w.l.View().p, newBatch(w.l.chain, b))
}

// last hands over what was admitted before the context ended.
func (w *writer) last() error {
	if len(w.state.current.waiting) == 0 {
		return nil
	}
	select {
	case <-w.ready:
		w.handOver()
	case e := <-w.undo:
		return w.rollBack(e)
	case <-w.failed:
		w.fail(w.state.current, ErrStopped)
	}
	return nil
}

// rollBack goes back to what is published, after a batch that was not written. All
// that was judged since is refused: it may have followed from what is not there.
func (w *writer) rollBack(e *ReadOnlyError) (err error) {
	l := w.l
	w.fail(w.state.current, e)
	base := l.View().p
	w.state.base.release()
	// The cache holds nothing of batches that are not published.
	w.state = &overlay{base: base, cache: w.state.cache, current: &batch{first: base.head.size}}
	if l.chain, err = base.head.chain(); err != nil {
		return err
	}
	if l.tiles, err = loadEdgeTiles(base.snapshot, base.head.size); err != nil {
		return err
	}
	w.state.current = newBatch(l.chain, nil)
	return nil
}

// admit judges the items of a group. An error is one of the state and stops the
// writer.
func (w *writer) admit(g *group) error {
	now := w.l.now().UnixMicro()
	for i, item := range g.items {
		if w.full() {
			select {
			case <-w.ready:
				w.handOver()
			case e := <-w.undo:
				if err := w.rollBack(e); err != nil {
					w.refuseFrom(g, i, ErrStopped)
					return err
				}
			case <-w.failed:
				w.refuseFrom(g, i, ErrStopped)
				return nil
			}
		}
		w.state.current.waiting = append(w.state.current.waiting, waiter{g, i})
		if err := w.admitItem(item, &g.results[i], now); err != nil {
			w.refuseFrom(g, i+1, ErrStopped)
			return err
		}
	}
	return nil
}

// refuseFrom gives the items from i on to the current batch, with an error.
func (w *writer) refuseFrom(g *group, i int, err error) {
	for ; i < len(g.items); i++ {
		g.results[i].Err = err
		w.state.current.waiting = append(w.state.current.waiting, waiter{g, i})
	}
}

func (w *writer) admitItem(item *Item, result *Result, now int64) error {
	l, b := w.l, w.state.current
	result.item = item
	if e := l.refusing(); e != nil {
		result.Err = e
		return nil
	}
	if now < l.chain.LastTime()-l.limits.ClockBehind.Microseconds() {
		result.Err = ErrClock
		return nil
	}
	e := l.chain.Next(item.submission.Hash, now)
	err := l.rules.Admit(w.state, custody.Place{Index: e.Index, SequencedAtMicros: e.SequencedAtMicros}, item.submission)
	var recorded *custody.Recorded
	var refusal *custody.Refusal
	switch {
	case err == nil:
		result.entry, result.Index, result.growth = e, e.Index, b.growth
		return l.sequence(b, e, item.envelope)
	case errors.As(err, &recorded):
		result.Already, result.Index = true, recorded.Index
	case errors.As(err, &refusal):
		result.Err = refusal
	default:
		result.Err = ErrStopped
		return fmt.Errorf("admitting entry %d: %w", e.Index, err)
	}
	return nil
}

// sequence appends an admitted statement to the log and to its batch.
func (l *Ledger) sequence(b *batch, e verify.Entry, env *tracev1.Envelope) error {
	err := l.chain.Append(e, func(level uint, index uint64, hash verify.Hash) {
		b.growth.add(level, index, hash)
		l.tiles.add(level, index, hash, func(t Write) { b.tiles = append(b.tiles, t) })
	})
	if err != nil {
		return err
	}
	b.records = append(b.records, Record{Entry: e, Envelope: env})
	b.bytes += len(env.GetPayload()) + len(env.GetSignatureBlock()) + 64
	return nil
}

// seal completes a batch: the tiles at the edge and the head that it leads to.
func (l *Ledger) seal(b *batch) {
	l.tiles.flush(func(t Write) { b.tiles = append(b.tiles, t) })
	if len(b.records) > 0 {
		b.growth.finish()
	}
	b.head = headOf(l.chain)
}

// commitAll makes batch after batch durable, until there are no more or one
// fails.
func (w *writer) commitAll() error {
	for {
		select {
		case <-w.again:
			if err := w.probe(); err != nil {
				w.breakOff()
				return err
			}
		case w.ready <- struct{}{}:
			b := <-w.batches
			err := w.commit(b)
			if errors.Is(err, ErrTryAgain) {
				e := w.fillUp(err)
				w.fail(b, e)
				select {
				case w.undo <- e:
				case <-w.admitted:
				}
				continue
			}
			if err != nil {
				w.fail(b, ErrOutcomeUnknown)
				w.breakOff()
				return err
			}
			select {
			case w.committed <- struct{}{}:
			default:
			}
		case step := <-w.merges:
			err := w.l.commitStep(context.WithoutCancel(w.ctx), step)
			if errors.Is(err, ErrTryAgain) {
				w.fillUp(err)
				step.done <- err
				continue
			}
			step.done <- err
			if err != nil {
				w.breakOff()
				return err
			}
		case <-w.over:
			return nil
		}
	}
}

// probeInterval is how often a store that refused to write is asked again.
const probeInterval = time.Second

// fillUp notes that the store refused a commit, and has it asked again later.
func (w *writer) fillUp(err error) *ReadOnlyError {
	w.again = time.After(probeInterval)
	return w.l.fillUp(err)
}

// probe asks the store whether it writes again, by the head that it has.
func (w *writer) probe() error {
	w.again = nil
	head := w.l.latest.Load().head.bytes()
	err := w.l.store.Commit(context.WithoutCancel(w.ctx), head, []Write{{Key: HeadKey, Value: head}})
	switch {
	case err == nil:
		w.l.makeRoom()
	case errors.Is(err, ErrTryAgain):
		w.fillUp(err)
	default:
		return fmt.Errorf("committing the head: %w", err)
	}
	return nil
}

// breakOff ends the writer after a failure.
func (w *writer) breakOff() { w.failing.Do(func() { close(w.failed) }) }

func (w *writer) commit(b *batch) error {
	if len(b.records) > 0 {
		before := w.l.latest.Load()
		if err := w.l.commit(context.WithoutCancel(w.ctx), before, before.state, b); err != nil {
			return err
		}
	}
	cp := w.l.latest.Load().checkpoint
	for _, x := range b.waiting {
		x.group.results[x.item].at = cp
		w.decided(x)
	}
	return nil
}

// fail decides every item of a batch alike: even a refusal may have followed
// from what is not recorded.
func (w *writer) fail(b *batch, err error) {
	for _, x := range b.waiting {
		x.group.results[x.item] = Result{Err: err}
		w.decided(x)
	}
	b.waiting = nil
}

func (w *writer) decided(x waiter) {
	if x.group.open.Add(-1) == 0 {
		w.l.leave(x.group)
		close(x.group.done)
	}
}

// commit makes a batch durable and publishes it. before is what was published
// last, nil if nothing was.
func (l *Ledger) commit(ctx context.Context, before *published, state *state, b *batch) error {
	state = state.with(b)
	writes := append(b.writes(), Write{Key: HeadKey, Value: b.head.bytes()})
	var expected []byte
	if before != nil {
		expected = before.head.bytes()
		writes = append(writes, Write{Key: checkpointKey(before.head.size), Value: before.checkpoint.Note})
	}
	if err := l.store.Commit(ctx, expected, writes); err != nil {
		return fmt.Errorf("committing %d entries: %w", len(b.records), err)
	}
	if err := l.anchor.Append(b.head.anchorPoint()); err != nil {
		return err
	}
	s, err := l.store.Snapshot()
	if err != nil {
		return err
	}
	if err := l.publish(s, b.head, state); err != nil {
		s.Close()
		return err
	}
	return nil
}

// Prove returns what is on record for a result without an error, and its receipt:
// under the checkpoint of the commit that recorded it, or under the latest if
// that was before. The statement may bear another signature than the item, if it
// was on record before. The hashing is done in the caller's goroutine.
func (l *Ledger) Prove(r *Result) (*tracev1.ProvenStatement, error) {
	if r.growth == nil {
		v := l.View()
		defer v.Close()
		record, err := v.Record(r.Index)
		if err != nil {
			return nil, err
		}
		receipt, err := v.Receipt(record)
		return &tracev1.ProvenStatement{Envelope: record.Envelope, Receipt: receipt}, err
	}
	path, err := r.growth.inclusionPath(r.Index, r.at.Size)
	if err != nil {
		return nil, err
	}
	return &tracev1.ProvenStatement{Envelope: r.item.envelope, Receipt: &tracev1.Receipt{
		Entry: r.entry.Bytes(), InclusionPath: path, Checkpoint: r.at.Note, SignerSpki: r.item.key.SPKI(),
	}}, nil
}

// Run is what one commit recorded, entry after entry, of statements that one key
// signed: a receipt for all.
type Run struct {
	verify.Run
	// Checkpoint is that of the commit.
	Checkpoint []byte
}

// ProveRun returns the longest run that results begin with, and how many it is
// of. All must be of statements that were recorded and had not been before; there
// is at least one. Beside its entries a run costs a few hashes to send, and none
// to make.
func ProveRun(results []*Result) (run *Run, n int, err error) {
	first, key := results[0], results[0].item.key
	for n < len(results) && results[n].growth == first.growth &&
		results[n].Index == first.Index+uint64(n) && results[n].item.key.ID() == key.ID() {
		n++
	}
	proof, err := first.growth.rangeProof(first.Index, uint64(n), first.at.Size)
	if err != nil {
		return nil, 0, err
	}
	entries := make([]byte, 0, n*verify.EntrySize)
	for _, r := range results[:n] {
		entries = r.entry.AppendBytes(entries)
	}
	return &Run{verify.Run{Entries: entries, Proof: proof, SignerSPKI: key.SPKI()}, first.at.Note}, n, nil
}

// Receipt returns the receipt that Prove returns.
func (l *Ledger) Receipt(r *Result) (*tracev1.Receipt, error) {
	p, err := l.Prove(r)
	return p.GetReceipt(), err
}

// Signed reports whether an envelope is the one that the item was made from.
func (it *Item) Signed(env *tracev1.Envelope) bool {
	return bytes.Equal(it.envelope.GetSignatureBlock(), env.GetSignatureBlock()) && bytes.Equal(it.envelope.GetKeyId(), env.GetKeyId())
}
