package rpc_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// pages lists page by page; between is called before each further page.
func (p *peer) pages(req *ledgerv1.ListStatementsRequest, between func()) (all []*ledgerv1.RecordedStatement, size uint64) {
	p.t.Helper()
	req = clone(req)
	for n := 0; ; n++ {
		page, err := p.ListStatements(p.ctx, req)
		if err != nil {
			p.t.Fatal(err)
		}
		if want := int(req.GetPageSize()); want > 0 && len(page.GetStatements()) > want || n > 0 && page.GetAsOfSize() != size {
			p.t.Fatalf("page %d has %d statements, as of %d", n, len(page.GetStatements()), page.GetAsOfSize())
		}
		all, size = append(all, page.GetStatements()...), page.GetAsOfSize()
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all, size
		}
		if len(page.GetStatements()) == 0 {
			p.t.Fatal("an empty page with a token")
		}
		between()
	}
}

// sameList compares a listing with what the history says.
func sameList(t *testing.T, got []*ledgerv1.RecordedStatement, want []*version, size uint64, view ledgerv1.StatementView) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d statements, want %d", len(got), len(want))
	}
	for i, v := range want {
		state, latest := v.stateAt(size)
		var latestHash []byte
		if latest != v {
			latestHash = hashOf(latest.env)
		}
		g := got[i]
		if !bytes.Equal(g.GetEntry(), v.entry.Bytes()) || g.GetState() != state || !bytes.Equal(g.GetLatestHash(), latestHash) {
			t.Fatalf("statement %d of %d: %v, want entry %d, %v, latest %x", i, len(want), g, v.entry.Index, state, latestHash)
		}
		if (view != entryOnly) != bytes.Equal(g.GetEnvelope().GetPayload(), v.env.GetPayload()) {
			t.Fatalf("statement %d: envelope %v", i, g.GetEnvelope())
		}
	}
}

func randomListing(rng *rand.Rand) *ledgerv1.ListStatementsRequest {
	return &ledgerv1.ListStatementsRequest{
		Filter: randomFilter(rng), Period: randomPeriod(rng), PageSize: int32(pick(rng, 0, 3, 1000)), View: pick(rng, 0, entryOnly, full),
		States: pick(rng, nil, nil, []ledgerv1.StatementState{1}, []ledgerv1.StatementState{2}, []ledgerv1.StatementState{3, 1}),
	}
}

func TestListStatements(t *testing.T) {
	w := newWorld(t)
	h := newHistory(w, 1, 60)
	size := w.checkpoint().Size
	for range 60 {
		p := w.peer(pick(h.rng, "regulator", "regulator", "acme", "bolt", "shop"))
		req := randomListing(h.rng)
		got, at := p.pages(req, func() {})
		if at != size {
			t.Fatalf("as of %d, want %d", at, size)
		}
		sameList(t, got, h.list(p.id, req, size), size, req.GetView())
	}
}

// TestGetStatementStates: a statement found by itself has the state that the
// listing gives it.
func TestGetStatementStates(t *testing.T) {
	w := newWorld(t)
	h := newHistory(w, 2, 40)
	p := w.peer("regulator")
	size := w.checkpoint().Size
	for _, v := range h.versions {
		resp, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hashOf(v.env)}})
		if err != nil {
			t.Fatal(err)
		}
		sameList(t, []*ledgerv1.RecordedStatement{resp.GetStatement()}, []*version{v}, size, full)
		w.prove(v.env, resp.GetReceipt())
	}
	resp, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: 1}, View: entryOnly})
	if err != nil || resp.GetStatement().GetState() != 0 || resp.GetStatement().GetEnvelope() != nil || resp.GetStatement().GetLatestHash() != nil {
		t.Errorf("an act: %v, %v", resp, err)
	}
}

// TestPageSizes: the list is the same however it is cut.
func TestPageSizes(t *testing.T) {
	w := newWorld(t)
	h := newHistory(w, 3, 20)
	want := h.list("regulator", nil, w.checkpoint().Size)
	for size := range len(want) + 2 {
		got, at := w.peer("regulator").pages(&ledgerv1.ListStatementsRequest{PageSize: int32(size)}, func() {})
		sameList(t, got, want, at, full)
	}
}

// TestPagesAreOneSnapshot adds, amends and withdraws between the pages.
func TestPagesAreOneSnapshot(t *testing.T) {
	w := newWorld(t)
	h := newHistory(w, 4, 20)
	size := w.checkpoint().Size
	for _, states := range [][]ledgerv1.StatementState{nil, {1}} {
		req := &ledgerv1.ListStatementsRequest{PageSize: 5, States: states}
		got, at := w.peer("regulator").pages(req, func() { h.record(pick(h.rng, "acme", "bolt"), 3) })
		sameList(t, got, h.list("regulator", req, at), at, full)
		if states == nil && at != size || w.checkpoint().Size == at {
			t.Errorf("as of %d, the log had %d", at, size)
		}
	}
}

// TestPagesOfParticipants: pages of all sizes hold every participant once, in
// order, and nobody who was admitted since.
func TestPagesOfParticipants(t *testing.T) {
	w := newWorld(t)
	p := w.peer("acme")
	for size := int32(1); size < 8; size++ {
		var ids []string
		req := &ledgerv1.ListParticipantsRequest{PageSize: size}
		for {
			page, err := p.ListParticipants(p.ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page.GetParticipants() {
				ids = append(ids, one.GetParticipantId())
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
			if size == 2 && len(ids) == 2 {
				w.record(w.signed(w.admission("baker", tracev1.Role_ROLE_TRADER)), w.signed(w.admission("zinc", tracev1.Role_ROLE_TRADER)))
			}
		}
		want := "acme auditor bolt regulator shop"
		if size > 2 {
			want = "acme auditor baker bolt regulator shop zinc"
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("pages of %d: %s, want %s", size, got, want)
		}
	}
}

// TestTokens: a token goes on with the request that gave it, for the caller who
// made that, and nothing else.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	newHistory(w, 5, 20)
	p := w.peer("acme")
	request := func(edit func(*ledgerv1.ListStatementsRequest)) *ledgerv1.ListStatementsRequest {
		req := &ledgerv1.ListStatementsRequest{PageSize: 2, Filter: &ledgerv1.TransactionFilter{Sellers: []string{"acme"}}}
		edit(req)
		return req
	}
	first, err := p.ListStatements(p.ctx, request(func(*ledgerv1.ListStatementsRequest) {}))
	if err != nil {
		t.Fatal(err)
	}
	token := first.GetNextPageToken()
	with := func(token string, edit func(*ledgerv1.ListStatementsRequest)) *ledgerv1.ListStatementsRequest {
		req := request(edit)
		req.PageToken = token
		return req
	}
	same := func(*ledgerv1.ListStatementsRequest) {}
	for _, test := range []struct {
		name, peer string
		req        *ledgerv1.ListStatementsRequest
		want       codes.Code
	}{
		{"same", "acme", with(token, same), codes.OK},
		{"another page size", "acme", with(token, func(r *ledgerv1.ListStatementsRequest) { r.PageSize = 7 }), codes.OK},
		{"another caller", "bolt", with(token, same), codes.InvalidArgument},
		{"the regulator", "regulator", with(token, same), codes.InvalidArgument},
		{"another filter", "acme", with(token, func(r *ledgerv1.ListStatementsRequest) { r.Filter = nil }), codes.InvalidArgument},
		{"another view", "acme", with(token, func(r *ledgerv1.ListStatementsRequest) { r.View = entryOnly }), codes.InvalidArgument},
		{"another state", "acme", with(token, func(r *ledgerv1.ListStatementsRequest) { r.States = []ledgerv1.StatementState{1} }), codes.InvalidArgument},
		{"cut off", "acme", with(token[:len(token)-4], same), codes.InvalidArgument},
		{"changed", "acme", with(token[:len(token)-2]+"AA", same), codes.InvalidArgument},
		{"short", "acme", with("AAAA", same), codes.InvalidArgument},
		{"no base64", "acme", with("!", same), codes.InvalidArgument},
		{"too long", "acme", with(strings.Repeat("A", 4097), same), codes.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := w.peer(test.peer)
			_, err := q.ListStatements(q.ctx, test.req)
			codeIs(t, err, test.want)
		})
	}
	_, err = p.ListParticipants(p.ctx, &ledgerv1.ListParticipantsRequest{PageToken: token})
	codeIs(t, err, codes.InvalidArgument)
	w.restart()
	_, err = w.peer("acme").ListStatements(p.ctx, with(token, same))
	codeIs(t, err, codes.InvalidArgument)
}
