package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

var (
	kills = flag.Int("kills", 3, "how often the server is killed while it records")
	seed  = flag.Uint64("seed", rand.Uint64(), "when it is killed")
)

// foundingKills is how often the server is killed while it founds the ledger.
const foundingKills = 2

// acknowledged is a statement whose receipt a producer holds.
type acknowledged struct {
	envelope *tracev1.Envelope
	*client.Recorded
}

// producer streams statements, whatever happens to the server.
type producer struct {
	client *client.Client
	author *client.Author
	stop   chan struct{}

	acks  atomic.Int64
	acked []acknowledged // owned by submit until it returns
}

// submit streams until the producer is told to stop and all that it sent is
// acknowledged.
func (p *producer) submit(ctx context.Context) error {
	return p.client.SubmitAll(ctx, p.source(), func(o client.Outcome) error {
		if o.Refusal != nil {
			return o.Refusal
		}
		p.acked = append(p.acked, acknowledged{o.Envelope, o.Recorded})
		p.acks.Add(1)
		return nil
	})
}

// batch is how many statements a producer signs at once, every batchInterval.
const (
	batch         = 32
	batchInterval = 10 * time.Millisecond
)

func (p *producer) source() iter.Seq2[*tracev1.Envelope, error] {
	return func(yield func(*tracev1.Envelope, error) bool) {
		tick := time.NewTicker(batchInterval)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-p.stop:
				return
			case <-tick.C:
			}
			envs, err := p.sign(n)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, env := range envs {
				if !yield(env, nil) {
					return
				}
			}
		}
	}
}

// sign returns the n-th batch.
func (p *producer) sign(n int) ([]*tracev1.Envelope, error) {
	var payloads []*verify.Payload
	for i := range batch {
		number := fmt.Sprintf("%d/%d", n, i)
		st := &tracev1.Statement{Stated: &tracev1.Statement_Transaction{Transaction: &tracev1.Transaction{
			Kind: tracev1.TransactionKind_TRANSACTION_KIND_SALE, TransactionDate: "2025-06-03", TransactionNumber: number,
			Customer: &tracev1.Party{OwnCode: fmt.Sprint("C-", i), Name: &tracev1.LegalName{Native: "Customer"}, Country: "DE"},
			Lines:    []*tracev1.TransactionLine{{ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_FERRITE, HsCode: "850519", NetMassGrams: 1000}},
		}}}
		payload, err := p.author.Payload(st, client.TransactionID(p.author.Log.ID(), p.author.ID, number), time.Now())
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, payload)
	}
	return p.author.SignAll(payloads, batch)
}

// TestKill kills the server at any time, with SIGKILL, and starts it again.
// Whatever it had acknowledged must be there, once, and provable.
func TestKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(*kills)*5*time.Second)
	defer cancel()
	rng := rand.New(rand.NewPCG(*seed, 0))
	s := newSite(t)
	for range foundingKills {
		p := s.start()
		time.Sleep(upTo(rng, 60*time.Millisecond))
		p.kill()
	}
	auditor := s.dial("reg/auditor")
	p := s.start()
	p.serving(ctx, auditor)
	producers := s.producers("acme", "beta")
	s.magnet("-p", "reg/profiles/authority.yaml", "grant", "reading", "auditor", "--all")
	before, err := auditor.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}

	end := stream(ctx, producers)
	again, p := s.killOften(ctx, rng, p, auditor)
	if errs := end(); errs != nil {
		t.Fatal(errs, s.log.String())
	}

	j := newJudge(t, ctx, s, producers)
	if want := before.Size + uint64(len(j.acked)); j.checkpoint.Size != want {
		t.Errorf("the log has %d entries, want %d: %d before, and one for each statement", j.checkpoint.Size, want, before.Size)
	}
	j.entries()
	j.receipts()
	j.retries(producers)
	j.audit()
	p.stop()
	if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") {
		t.Errorf("the server logged errors:\n%s", log)
	}
	slices.Sort(again)
	t.Logf("seed %d: %d statements acknowledged, %d of them by a retry; %d kills while serving or starting, %d while founding; from start to answer %v in the median, %v at most",
		*seed, len(j.acked), j.retried, *kills, foundingKills, again[len(again)/2].Round(time.Millisecond), again[len(again)-1].Round(time.Millisecond))
}

func (s *site) producers(ids ...string) []*producer {
	var list []*producer
	for _, id := range ids {
		s.enrol(id)
		c := s.dial(id)
		list = append(list, &producer{client: c, author: s.author(id, c.Log()), stop: make(chan struct{})})
	}
	return list
}

// stream has producers submit. The function that it returns waits until each has
// had a further acknowledgement, and ends them.
func stream(ctx context.Context, producers []*producer) (end func() error) {
	var wg sync.WaitGroup
	errs := make([]error, len(producers))
	ended := make(chan struct{})
	for i, p := range producers {
		wg.Go(func() { errs[i] = p.submit(ctx) })
	}
	go func() { wg.Wait(); close(ended) }()
	return func() error {
		for _, p := range producers {
			for seen := p.acks.Load(); p.acks.Load() == seen && ctx.Err() == nil && !isClosed(ended); {
				time.Sleep(time.Millisecond)
			}
			close(p.stop)
		}
		<-ended
		return errors.Join(errs...)
	}
}

// upTo returns a duration below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// killOften kills the server again and again, one time in three before it
// serves, and returns how long it took to serve again each time that it was let.
func (s *site) killOften(ctx context.Context, rng *rand.Rand, p *process, auditor *client.Client) (again []time.Duration, last *process) {
	for range *kills {
		if early := rng.IntN(3) == 0; early {
			time.Sleep(upTo(rng, 100*time.Millisecond))
		} else {
			again = append(again, p.serving(ctx, auditor))
			time.Sleep(upTo(rng, 400*time.Millisecond))
		}
		p.kill()
		p = s.start()
	}
	return append(again, p.serving(ctx, auditor)), p
}

// judge checks a log against what was acknowledged.
type judge struct {
	t          *testing.T
	ctx        context.Context
	client     *client.Client // an auditor's, that has seen nothing yet
	checkpoint *verify.Checkpoint
	acked      []acknowledged
	retried    int
}

func newJudge(t *testing.T, ctx context.Context, s *site, producers []*producer) *judge {
	t.Helper()
	j := &judge{t: t, ctx: ctx, client: s.dial("reg/auditor")}
	var err error
	if j.checkpoint, err = j.client.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range producers {
		j.acked = append(j.acked, p.acked...)
	}
	for _, a := range j.acked {
		if a.Already {
			j.retried++
		}
	}
	return j
}

// entries checks that every acknowledged statement stands at its index, and no
// other twice.
func (j *judge) entries() {
	stream, err := j.client.Audits().ReadEntries(j.ctx, &ledgerv1.ReadEntriesRequest{View: ledgerv1.StatementView_STATEMENT_VIEW_FULL, EndIndex: j.checkpoint.Size})
	if err != nil {
		j.t.Fatal(err)
	}
	var log []*ledgerv1.LoggedEntry
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			j.t.Fatal(err)
		}
		log = append(log, part.GetEntries()...)
	}
	if uint64(len(log)) != j.checkpoint.Size {
		j.t.Fatalf("%d entries were served, the checkpoint has %d", len(log), j.checkpoint.Size)
	}
	places := make(map[uint64]bool)
	for _, a := range j.acked {
		at := log[a.Entry.Index]
		if !bytes.Equal(at.GetEntry(), a.Entry.Bytes()) || !bytes.Equal(at.GetEnvelope().GetPayload(), a.envelope.GetPayload()) {
			j.t.Errorf("entry %d is not what was acknowledged", a.Entry.Index)
		}
		if places[a.Entry.Index] {
			j.t.Errorf("entry %d was acknowledged for two statements", a.Entry.Index)
		}
		places[a.Entry.Index] = true
	}
}

// receipts checks that the receipts hold, and that their checkpoints are of one
// history with the latest.
func (j *judge) receipts() {
	extended := make(map[string]bool)
	for _, a := range j.acked {
		proven, err := j.client.Log().VerifyReceipt(a.envelope, a.Receipt)
		if err != nil {
			j.t.Errorf("receipt of entry %d: %v", a.Entry.Index, err)
			continue
		}
		if note := string(proven.Checkpoint.Note); !extended[note] {
			extended[note] = true
			if err := j.client.Extends(j.ctx, proven.Checkpoint, j.checkpoint); err != nil {
				j.t.Error(err)
			}
		}
	}
}

// retries checks that statements that are submitted again are answered with
// their first entries.
func (j *judge) retries(producers []*producer) {
	for _, p := range producers {
		again := func(yield func(*tracev1.Envelope, error) bool) {
			for _, a := range p.acked {
				if !yield(a.envelope, nil) {
					return
				}
			}
		}
		err := p.client.SubmitAll(j.ctx, again, func(o client.Outcome) error {
			first := p.acked[o.Position].Entry
			if o.Refusal != nil || !o.Recorded.Already || o.Recorded.Entry != first {
				j.t.Errorf("entry %d, again: %v, %v", first.Index, o.Recorded, o.Refusal)
			}
			return nil
		})
		if err != nil {
			j.t.Error(err)
		}
	}
	if after, err := j.client.Checkpoint(j.ctx); err != nil || after.Size != j.checkpoint.Size {
		j.t.Errorf("the log grew from retries: %v, %v", after, err)
	}
}

// audit runs a full audit.
func (j *judge) audit() {
	report, err := j.client.Audit(j.ctx, verify.NewAuditor(j.client.Log(), true), client.AuditOptions{})
	if err != nil || !report.Sound() || report.To != j.checkpoint.Size {
		j.t.Errorf("audit of %d entries: %v, %v", report.To, report.Findings, err)
	}
}
