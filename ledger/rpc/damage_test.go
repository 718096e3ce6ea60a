package rpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/s2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// tampering is a store that somebody changes underneath, for snapshots that are
// open, too.
type tampering struct {
	ledger.Store
	edit atomic.Pointer[func(key, value []byte) []byte] // returns nil for a key that is gone
	read sync.Map                                       // keys, as strings, that had a value
}

func (s *tampering) Snapshot() (ledger.Snapshot, error) {
	inner, err := s.Store.Snapshot()
	return &tamperingSnapshot{inner, s}, err
}

func (s *tampering) tamper(key, value []byte) []byte {
	s.read.Store(string(key), true)
	if edit := s.edit.Load(); edit != nil {
		return (*edit)(key, value)
	}
	return value
}

type tamperingSnapshot struct {
	ledger.Snapshot
	s *tampering
}

func (s *tamperingSnapshot) Get(key []byte) ([]byte, error) {
	value, err := s.Snapshot.Get(key)
	if err != nil {
		return nil, err
	}
	if value = s.s.tamper(key, value); value == nil {
		return nil, ledger.ErrNotFound
	}
	return value, nil
}

func (s *tamperingSnapshot) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	return s.Snapshot.Scan(from, to, func(key, value []byte) bool {
		value = s.s.tamper(key, value)
		return value == nil || visit(key, value)
	})
}

// newTampering returns a world and its store.
func newTampering(t *testing.T) (*world, *tampering) {
	t.Helper()
	s := new(tampering)
	w := newWorld(t, withoutCache, func(w *world) {
		inner := w.open
		w.open = func() ledger.Store {
			s.Store = inner()
			return s
		}
	})
	return w, s
}

// changed changes the value of one key until restored.
func (s *tampering) changed(key []byte, change func(value []byte) []byte) {
	edit := func(k, value []byte) []byte {
		if bytes.Equal(k, key) {
			return change(bytes.Clone(value))
		}
		return value
	}
	s.edit.Store(&edit)
}

func (s *tampering) restored() { s.edit.Store(nil) }

// keysRead returns keys of every sort that were read: the first and the last of
// each, and of the pages of the state all.
func (s *tampering) keysRead() map[string][][]byte {
	var all []string
	for key := range s.read.Range {
		all = append(all, key.(string))
	}
	slices.Sort(all)
	kinds := make(map[string][][]byte)
	for _, key := range all {
		kind := key[:1]
		if keys := kinds[kind]; len(keys) == 2 && !ofState(kind) {
			keys[1] = []byte(key)
		} else {
			kinds[kind] = append(keys, []byte(key))
		}
	}
	return kinds
}

// ofState reports whether a kind of keys is that of pages of the state: of values
// or of figures.
func ofState(kind string) bool { return kind == "s" || kind == "v" }

// isPage reports whether a key of a run is that of a page, and not of a summary.
func isPage(key []byte) bool { return key[9]&0x80 == 0 }

// row is one of a page.
type row struct{ key, value []byte }

// rowsOf returns the rows of a page of the state, as package runs documents it.
func rowsOf(page []byte) (rows []row) {
	var last []byte
	for b := page[8:]; len(b) > 0; {
		var lengths [3]uint64 // shared, rest, value
		for i := range lengths {
			n := 0
			lengths[i], n = binary.Uvarint(b)
			b = b[n:]
		}
		shared, rest, value := lengths[0], lengths[1], lengths[2]
		last = slices.Concat(last[:shared], b[:rest])
		rows = append(rows, row{last, b[rest : rest+value]})
		b = b[rest+value:]
	}
	return rows
}

// pageOf returns the page that stands under a key and holds rows, with a true
// seal.
func pageOf(key []byte, rows []row) []byte {
	var b, last []byte
	for _, r := range rows {
		shared := 0
		for shared < min(len(last), len(r.key)) && last[shared] == r.key[shared] {
			shared++
		}
		b = binary.AppendUvarint(b, uint64(shared))
		b = binary.AppendUvarint(b, uint64(len(r.key)-shared))
		b = binary.AppendUvarint(b, uint64(len(r.value)))
		b = slices.Concat(b, r.key[shared:], r.value)
		last = r.key
	}
	seal := sha256.Sum256(slices.Concat(key, b))
	return append(seal[:8], b...)
}

// nonsense puts a value that means nothing, under a true seal, into the rows of a
// page whose keys begin with a prefix.
func nonsense(key []byte, prefix string) func([]byte) []byte {
	return func(page []byte) []byte {
		rows := rowsOf(page)
		for i := range rows {
			if strings.HasPrefix(string(rows[i].key), prefix) {
				rows[i].value = []byte{0xff, 0xff, 0xff}
			}
		}
		return pageOf(key, rows)
	}
}

// pagesWith returns the keys of the pages of values that hold a key with a prefix.
func (s *tampering) pagesWith(t *testing.T, prefix string) (keys [][]byte) {
	t.Helper()
	snapshot, err := s.Store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	err = snapshot.Scan([]byte("s"), []byte("t"), func(key, page []byte) bool {
		if isPage(key) && slices.ContainsFunc(rowsOf(page), func(r row) bool { return strings.HasPrefix(string(r.key), prefix) }) {
			keys = append(keys, bytes.Clone(key))
		}
		return true
	})
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d pages with %q, %v", len(keys), prefix, err)
	}
	return keys
}

// question is a call whose answer should never be wrong.
type question struct {
	peer, method string
	req          proto.Message
}

// questions touch every sort of what the store holds.
func (w *world) questions(objects []object) []question {
	const (
		get  = ledgerv1.QueryService_GetStatement_FullMethodName
		list = ledgerv1.QueryService_ListStatements_FullMethodName
		sum  = ledgerv1.QueryService_QueryVolumes_FullMethodName
		who  = ledgerv1.QueryService_GetParticipant_FullMethodName
	)
	all := []question{
		{"regulator", list, &ledgerv1.ListStatementsRequest{Filter: &ledgerv1.TransactionFilter{Sellers: []string{"acme"}}}},
		{"acme", list, &ledgerv1.ListStatementsRequest{PageSize: 1000, View: entryOnly}},
		{"regulator", sum, &ledgerv1.QueryVolumesRequest{GroupBy: []dimension{2, 5}, IncludeElements: true}},
		{"late", sum, &ledgerv1.QueryVolumesRequest{GroupBy: []dimension{1, 4}}},
		{"regulator", who, &ledgerv1.GetParticipantRequest{ParticipantId: "acme"}},
		{"regulator", who, &ledgerv1.GetParticipantRequest{ParticipantId: "shop"}},
		{"regulator", who, &ledgerv1.GetParticipantRequest{ParticipantId: "root"}},
		{"regulator", ledgerv1.QueryService_ListParticipants_FullMethodName, &ledgerv1.ListParticipantsRequest{}},
		{"auditor-acme", ledgerv1.AuditService_ReadEntries_FullMethodName, &ledgerv1.ReadEntriesRequest{View: full}},
		{"shop", ledgerv1.AuditService_GetInclusionProof_FullMethodName, &ledgerv1.GetInclusionProofRequest{Index: 3}},
		{"shop", ledgerv1.AuditService_GetConsistencyProof_FullMethodName, &ledgerv1.GetConsistencyProofRequest{FromSize: 5}},
		{"acme", ledgerv1.SubmissionService_Submit_FullMethodName, &ledgerv1.SubmitRequest{ValidateOnly: true, Envelope: w.own("acme")}},
	}
	for i := range objects {
		if o := &objects[i]; o.listed && o.mayRead("shop") {
			byKey, _ := lookups["key"](o)
			byHash, receipt := lookups["hash"](o)
			all = append(all, question{"regulator", get, byKey}, question{"late", get, byHash}, question{"shop", ledgerv1.AuditService_GetReceipt_FullMethodName, receipt})
		}
	}
	return all
}

// TestDamageIsFound damages values of every sort. Each question is then answered
// as before, or with DATA_LOSS.
func TestDamageIsFound(t *testing.T) {
	w, s := newTampering(t)
	questions := w.questions(w.objects())
	w.recordAll("bolt", w.sales("bolt", 280, on("2026-04-01")))
	w.settle()
	s.read.Clear()
	before := make([]exchange, len(questions))
	for i, q := range questions {
		before[i] = w.peer(q.peer).ask(q.method, q.req)
	}
	for kind, keys := range s.keysRead() {
		for name, change := range damages {
			t.Run(kind+"/"+name, func(t *testing.T) {
				found := false
				for _, key := range keys {
					s.changed(key, change)
					met := false
					for i, q := range questions {
						met = answeredOrLost(t, w, q, before[i]) || met
					}
					s.restored()
					if found = found || met; !met && ofState(kind) {
						t.Errorf("no question met the damage of %x", key)
					}
				}
				// A tile was found sound when it was first read, and is kept.
				if !found && kind != "n" {
					t.Error("no question met the damage")
				}
			})
		}
	}
}

var damages = map[string]func([]byte) []byte{
	"first byte": func(b []byte) []byte { b[0] ^= 1; return b },
	"last byte":  func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
	"cut":        func(b []byte) []byte { return b[:len(b)/2] },
	"gone":       func([]byte) []byte { return nil },
}

// answeredOrLost asks a question and reports whether the answer is DATA_LOSS.
// Any other than that before is an error.
func answeredOrLost(t *testing.T, w *world, q question, before exchange) bool {
	t.Helper()
	after := w.peer(q.peer).ask(q.method, q.req)
	if bytes.Equal(after.status, lost) {
		return true
	}
	alike(t, q.peer+" "+q.method, after, before)
	return false
}

// lost is all that a client is told of damage.
var lost = statusBytes(status.Error(codes.DataLoss, "stored data is damaged; the operator has been told"))

// forged replaces the only statement of a chunk by another one.
func forged(t *testing.T, env *tracev1.Envelope) func([]byte) []byte {
	return func(packed []byte) []byte {
		chunk, err := s2.Decode(nil, packed)
		if err != nil {
			t.Error(err)
			return packed
		}
		_, n := binary.Uvarint(chunk[8:]) // the time, behind the index
		b := binary.AppendUvarint(bytes.Clone(chunk[:8+n]), uint64(len(env.GetPayload())))
		b = append(append(b, env.GetPayload()...), env.GetKeyId()...)
		b = append(binary.AppendUvarint(b, uint64(len(env.GetSignatureBlock()))), env.GetSignatureBlock()...)
		return s2.Encode(nil, b)
	}
}

// TestForgedRecord: a record that agrees with itself and not with the tree is
// not served, nor is its hash.
func TestForgedRecord(t *testing.T) {
	w, s := newTampering(t)
	first := w.signed(w.sale("acme"))
	amendment, other := w.signed(w.amendment("acme", hashOf(first))), w.signed(w.amendment("acme", hashOf(first)))
	w.record(first)
	index := w.record(amendment).Index
	s.changed(binary.BigEndian.AppendUint64([]byte("b"), index), forged(t, other))
	p := w.peer("acme")
	for name, err := range map[string]error{
		"itself": func() error {
			_, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: index}})
			return err
		}(),
		"what it amends": func() error {
			_, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: index - 1}})
			return err
		}(),
		"the list":    func() error { _, err := p.ListStatements(p.ctx, &ledgerv1.ListStatementsRequest{}); return err }(),
		"the entries": func() error { _, err := p.tryRead(&ledgerv1.ReadEntriesRequest{View: full}); return err }(),
	} {
		t.Run(name, func(t *testing.T) { codeIs(t, err, codes.DataLoss) })
	}
	s.restored()
}

// TestNonsenseInState: values that were written through the store, with a true
// checksum, and mean nothing. What the log says of it names nobody.
func TestNonsenseInState(t *testing.T) {
	w, s := newTampering(t)
	questions := w.questions(w.objects())
	w.settle()
	s.read.Clear()
	for _, q := range questions {
		w.peer(q.peer).ask(q.method, q.req)
	}
	read := s.keysRead()
	for _, kind := range "pkoishtv" { // names and pairs, d and c, may say anything
		t.Run(string(kind), func(t *testing.T) {
			found := false
			for _, key := range append(read["s"], read["v"]...) {
				s.changed(key, nonsense(key, string(kind)))
				for _, q := range questions {
					found = bytes.Equal(w.peer(q.peer).ask(q.method, q.req).status, lost) || found
				}
				s.restored()
			}
			if !found {
				t.Error("no question met the nonsense")
			}
		})
	}
}

// TestTrueSeal: a page that was taken apart and put together again is what it was.
// Nonsense in it is therefore met as such.
func TestTrueSeal(t *testing.T) {
	w := newWorld(t)
	w.objects()
	w.settle()
	snapshot, err := w.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	pages := 0
	err = snapshot.Scan([]byte("s"), []byte("w"), func(key, page []byte) bool {
		if isPage(key) {
			pages++
			if same := pageOf(key, rowsOf(page)); !bytes.Equal(same, page) {
				t.Errorf("page %x is %x, was %x", key, same, page)
			}
		}
		return true
	})
	if err != nil || pages < 2 {
		t.Errorf("%d pages, %v", pages, err)
	}
}

// TestDamagedHead: the head is read when the ledger is opened, and compared by
// every commit.
func TestDamagedHead(t *testing.T) {
	w := newWorld(t)
	w.record(w.signed(w.sale("acme")))
	w.memory.Corrupt(ledger.HeadKey, damages["last byte"])
	env := w.signed(w.sale("acme"))
	refusedUnary(t, w, env, reason("OUTCOME_UNKNOWN"), 0)
	w.writerFails, w.broken = true, true
	refusedUnary(t, w, env, reason("UNAVAILABLE"), 0)
	w.audit("regulator") // what was acknowledged is served
	w.stop()
	_, err := ledger.Open(context.Background(), ledger.Config{
		Store: w.open(), Anchor: w.reopenAnchor(), CheckpointSigner: w.Checkpoints, Bootstrap: &tracev1.Bootstrap{Envelopes: w.boot},
	})
	if !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("opened with %v", err)
	}
	w.memory.Corrupt(ledger.HeadKey, damages["last byte"]) // which was undone so
	w.start()
	w.broken = false
	w.record(env)
}

// TestDamageStopsWriter: state that is damaged when a statement is judged stops
// the writer, and the statement is not recorded.
func TestDamageStopsWriter(t *testing.T) {
	w, s := newTampering(t)
	w.settle() // what follows from the founding stands by itself
	first := w.signed(w.sale("acme"))
	w.record(first)
	env := w.signed(w.void("acme", hashOf(first)))
	before := w.checkpoint()
	w.restart()
	s.changed(s.pagesWith(t, "tacme\x00")[0], damages["first byte"])
	refusedUnary(t, w, env, reason("UNAVAILABLE"), 0)
	w.writerFails = true
	<-w.ledger.Stopped()
	s.restored()
	if after := w.checkpoint(); after.Size != before.Size {
		t.Errorf("the log grew to %d", after.Size)
	}
	w.restart()
	w.record(env)
}

// TestDamageEndsStream: a stream that meets damage says so, even if its client
// only waits.
func TestDamageEndsStream(t *testing.T) {
	w, s := newTampering(t)
	w.settle()
	env := w.signed(w.sale("bolt"))
	prefix := "k" + string(keyID("bolt"))
	key := s.pagesWith(t, prefix)[0]
	for name, change := range map[string]func([]byte) []byte{
		"the page": damages["cut"], "the key": nonsense(key, prefix),
	} {
		t.Run(name, func(t *testing.T) {
			s.changed(key, change)
			defer s.restored()
			stream := w.peer("bolt").stream()
			send(t, stream, 1, env)
			if _, err := stream.Recv(); !bytes.Equal(statusBytes(err), lost) {
				t.Errorf("got %v", err)
			}
		})
	}
	// Nothing is recorded any more until the ledger is opened again.
	refusedUnary(t, w, w.signed(w.sale("acme")), reason("UNAVAILABLE"), 0)
	w.restart()
	w.record(env)
}
