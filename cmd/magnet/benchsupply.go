package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// supply is the signed statements of a producer, in chunks of whole batches. It
// is safe for concurrent use.
type supply struct {
	chunks chan []*tracev1.Envelope // closed after the last
	over   <-chan struct{}          // closed when nothing more should be submitted

	signer atomic.Int64 // the thread that signs beside the load

	mu       sync.Mutex
	rest     []*tracev1.Envelope // of the current chunk
	waited   time.Duration       // for chunks
	taken    int
	payload  int // bytes taken
	envelope int
}

// take returns up to n statements of together up to some bytes, at least one, or
// none if there are no more or the time is over.
func (s *supply) take(n, bytes int) []*tracev1.Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.refill() {
		return nil
	}
	end, size := 0, 0
	for end < min(n, len(s.rest)) {
		payload, envelope := len(s.rest[end].GetPayload()), envelopeBytes(s.rest[end])
		if size += envelope; end > 0 && size > bytes {
			break
		}
		s.payload, s.envelope = s.payload+payload, s.envelope+envelope
		end++
	}
	s.taken += end
	taken := s.rest[:end:end]
	s.rest = s.rest[end:]
	return taken
}

// refill waits for a chunk if there is none. It returns false if none will come.
func (s *supply) refill() bool {
	select {
	case <-s.over:
		return false
	default:
	}
	if len(s.rest) > 0 {
		return true
	}
	began := time.Now()
	defer func() { s.waited += time.Since(began) }()
	var more bool
	select {
	case s.rest, more = <-s.chunks:
		return more
	case <-s.over:
		return false
	}
}

func envelopeBytes(e *tracev1.Envelope) int {
	return len(e.GetPayload()) + len(e.GetKeyId()) + len(e.GetSignatureBlock())
}

// chunkStatements is about how many statements are signed in one go, and
// chunksAhead how many times that before they are needed.
const (
	chunkStatements = 4096
	chunksAhead     = 4
)

// supplyLimit bounds the memory for statements that wait to be submitted.
const supplyLimit = 4 << 30

// prepare signs what a count asks for. For a duration it begins to sign and
// returns when some statements of each producer are ready; the group ends with
// the context.
func (b *bencher) prepare(ctx context.Context) (*errgroup.Group, error) {
	signing := new(errgroup.Group)
	chunk := max(1, chunkStatements/b.opts.batch) * b.opts.batch
	if b.opts.duration == 0 {
		chunk = min(chunk, b.opts.count)
	}
	if err := b.checkSupply(chunk); err != nil {
		return nil, err
	}
	bar := b.progress("signing", b.opts.count)
	defer bar.Close()
	for i, p := range b.producers {
		maker, err := b.statements(p)
		if err != nil {
			return nil, err
		}
		if b.opts.duration > 0 {
			p.supply = &supply{chunks: make(chan []*tracev1.Envelope, chunksAhead)}
			if err := b.signAhead(ctx, signing, p, maker, chunk); err != nil {
				return nil, err
			}
			continue
		}
		n := b.opts.count / len(b.producers)
		if i < b.opts.count%len(b.producers) {
			n++
		}
		p.supply = &supply{chunks: make(chan []*tracev1.Envelope, n/chunk+1)}
		for start := 0; start < n; start += chunk {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			envs, err := maker.sign(start, min(chunk, n-start), b.opts.batch, runtime.NumCPU())
			if err != nil {
				return nil, err
			}
			p.supply.chunks <- envs
			_ = bar.Add(len(envs))
		}
		close(p.supply.chunks)
	}
	return signing, nil
}

// checkSupply refuses what does not fit into memory.
func (b *bencher) checkSupply(chunk int) error {
	each := max(1024, b.opts.size+256, b.opts.lines*100)
	if b.opts.duration == 0 && b.opts.count > supplyLimit/each {
		return fmt.Errorf("--count: %s statements of about %s bytes do not fit into the memory that bench takes, which holds %s; they are all signed before the clock starts. Use --duration, or lower one of them",
			grouped(fmt.Sprint(b.opts.count)), grouped(fmt.Sprint(each)), grouped(fmt.Sprint(supplyLimit/each)))
	}
	if ahead := (chunksAhead + 2) * chunk * len(b.producers); b.opts.duration > 0 && ahead > supplyLimit/each {
		return fmt.Errorf("--duration: the %s statements of about %s bytes that are signed ahead do not fit into memory: lower --batch, the size or the number of producers",
			grouped(fmt.Sprint(ahead)), grouped(fmt.Sprint(each)))
	}
	return nil
}

// signAhead signs in a goroutine until the context ends, and returns when as much
// is ready as may be.
func (b *bencher) signAhead(ctx context.Context, signing *errgroup.Group, p *benchSession, maker *statements, chunk int) error {
	full := make(chan struct{})
	ready := sync.OnceFunc(func() { close(full) })
	signing.Go(func() error {
		// A thread of its own, which ends with the goroutine: so its CPU can be
		// told from that of the load.
		runtime.LockOSThread()
		p.supply.signer.Store(int64(syscall.Gettid()))
		defer close(p.supply.chunks)
		defer ready()
		for n := 0; ctx.Err() == nil; n++ {
			envs, err := maker.sign(n*chunk, chunk, b.opts.batch, 1)
			if err != nil {
				return err
			}
			if n == chunksAhead {
				ready()
			}
			select {
			case p.supply.chunks <- envs:
			case <-ctx.Done():
			}
		}
		return nil
	})
	select {
	case <-full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signerCPU returns the CPU time of those who sign beside the load.
func (b *bencher) signerCPU() *time.Duration {
	var total time.Duration
	for _, p := range b.producers {
		cpu := threadCPU(p.supply.signer.Load())
		if cpu == nil {
			return nil
		}
		total += *cpu
	}
	return &total
}

// sign makes and signs n statements of a producer from number first on, on some
// cores; on one of them in the thread of the caller.
func (m *statements) sign(first, n, batch, cores int) ([]*tracev1.Envelope, error) {
	payloads := make([]*verify.Payload, n)
	makeFrom := func(start int) (err error) {
		for i := start; i < n && err == nil; i += cores {
			payloads[i], err = m.author.Payload(m.statement(first+i), client.StatementID{}, time.Now())
		}
		return err
	}
	var others errgroup.Group
	for core := 1; core < cores; core++ {
		others.Go(func() error { return makeFrom(core) })
	}
	if err := cmp.Or(makeFrom(0), others.Wait()); err != nil {
		return nil, err
	}
	return m.author.SignAll(payloads, batch)
}
