package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// exchange is all that a client can see of the answer to a call.
type exchange struct {
	header, trailer metadata.MD
	status          []byte
	messages        [][]byte
}

// ask calls any method with one request and keeps the bytes of the answer.
func (p *peer) ask(method string, req proto.Message) exchange {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, callTimeout)
	defer cancel()
	var x exchange
	s, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err == nil {
		err = errors.Join(s.SendMsg(req), s.CloseSend())
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for err == nil {
		var m emptypb.Empty // keeps what it does not know
		if err = s.RecvMsg(&m); err == nil {
			x.messages = append(x.messages, slices.Clone([]byte(m.ProtoReflect().GetUnknown())))
		}
	}
	if !errors.Is(err, io.EOF) {
		x.status = statusBytes(err)
	}
	x.header, _ = s.Header() // its error is that of the call
	x.trailer = s.Trailer()
	return x
}

// renamed returns the exchange with a name that the server repeated replaced by
// one of the same length.
func (x exchange) renamed(from, to string) exchange {
	y := x
	y.messages = nil
	for _, m := range x.messages {
		y.messages = append(y.messages, bytes.ReplaceAll(m, []byte(from), []byte(to)))
	}
	return y
}

// TestDeniedIsLikeMissing compares what a peer is told of what exists and is not
// its to read with what it is told of what does not exist: every byte, header
// and trailer.
func TestDeniedIsLikeMissing(t *testing.T) {
	w := newWorld(t)
	objects := w.objects()
	end := w.checkpoint().Size
	for _, id := range readers {
		t.Run(id, func(t *testing.T) {
			p := w.peer(id)
			missing := p.ask(ledgerv1.QueryService_GetStatement_FullMethodName,
				&ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: end}})
			if len(missing.status) == 0 || len(missing.messages) > 0 {
				t.Fatalf("got %+v", missing)
			}
			for _, x := range askForNothing(p) {
				alike(t, "nothing", x, missing)
			}
			for i := range objects {
				if o := &objects[i]; !o.mayRead(id) {
					for by, requests := range lookups {
						statement, receipt := requests(o)
						alike(t, o.name+" by "+by, p.ask(ledgerv1.QueryService_GetStatement_FullMethodName, statement), missing)
						alike(t, o.name+" by "+by, p.ask(ledgerv1.AuditService_GetReceipt_FullMethodName, receipt), missing)
					}
				}
			}
		})
	}
}

// askForNothing looks up what does not exist by every name.
func askForNothing(p *peer) []exchange {
	var xs []exchange
	nobody := &object{env: p.w.signed(p.w.sale("acme"))}
	nobody.entry.Index = 1 << 62
	for _, requests := range lookups {
		statement, receipt := requests(nobody)
		xs = append(xs, p.ask(ledgerv1.QueryService_GetStatement_FullMethodName, statement), p.ask(ledgerv1.AuditService_GetReceipt_FullMethodName, receipt))
	}
	key := &ledgerv1.StatementKey{Signer: "nobody", StatementId: make([]byte, 16)}
	return append(xs, p.ask(ledgerv1.QueryService_GetStatement_FullMethodName, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Key{Key: key}}))
}

func alike(t *testing.T, name string, got, want exchange) {
	t.Helper()
	if !bytes.Equal(got.status, want.status) || !reflect.DeepEqual(got.header, want.header) ||
		!maps.EqualFunc(got.trailer, want.trailer, slices.Equal) || !reflect.DeepEqual(got.messages, want.messages) {
		t.Errorf("%s: got %+v, want %+v", name, got, want)
	}
}

// TestFiltersTellNothing: naming somebody whom a peer may not read in a filter
// gives the answer that naming nobody gives.
func TestFiltersTellNothing(t *testing.T) {
	w := newWorld(t)
	w.objects()
	seller := func(id string) *ledgerv1.TransactionFilter { return &ledgerv1.TransactionFilter{Sellers: []string{id}} }
	customer := func(key string) *ledgerv1.TransactionFilter {
		return &ledgerv1.TransactionFilter{Customers: []string{key}}
	}
	for _, test := range []struct {
		peer             string
		filter           func(string) *ledgerv1.TransactionFilter
		somebody, nobody string
	}{
		{"bolt", customer, "own:acme/C-1", "own:acme/C-9"},
		{"bolt", customer, "gln:" + gln, "gln:4000000000013"},
		{"shop", customer, "own:acme/C-1", "own:acme/C-9"},
		{"shop", customer, "participant:late", "participant:lite"},
		{"late", seller, "bolt", "bott"},
		{"auditor", seller, "acme", "acne"},
		{"auditor", customer, "participant:shop", "participant:stop"},
		{"auditor-acme", seller, "bolt", "bott"},
		{"auditor-was", seller, "acme", "acne"},
		{"auditor-once", seller, "acme", "acne"},
		{"authority", seller, "acme", "acne"},
	} {
		p := w.peer(test.peer)
		for method, request := range map[string]func(*ledgerv1.TransactionFilter) proto.Message{
			ledgerv1.QueryService_ListStatements_FullMethodName: func(f *ledgerv1.TransactionFilter) proto.Message {
				return &ledgerv1.ListStatementsRequest{Filter: f}
			},
			ledgerv1.QueryService_QueryVolumes_FullMethodName: func(f *ledgerv1.TransactionFilter) proto.Message {
				return &ledgerv1.QueryVolumesRequest{Filter: f, IncludeElements: true, GroupBy: []ledgerv1.VolumeDimension{
					ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER, ledgerv1.VolumeDimension_VOLUME_DIMENSION_SELLER,
				}}
			},
		} {
			some, none := p.ask(method, request(test.filter(test.somebody))), p.ask(method, request(test.filter(test.nobody)))
			alike(t, test.peer+" "+test.somebody+" "+method, some, none.renamed(test.nobody, test.somebody))
			if len(some.messages) != 1 || len(some.status) > 0 {
				t.Errorf("%s %s: %d messages, status %q", test.peer, test.somebody, len(some.messages), some.status)
			}
		}
	}
}

// TestEntriesTellNothing: an entry is as long whether or not there is a
// statement behind it that the peer may not read.
func TestEntriesTellNothing(t *testing.T) {
	w := newWorld(t)
	objects := w.objects()
	p := w.peer("bolt")
	for i := range objects {
		o := &objects[i]
		if o.mayRead("bolt") {
			continue
		}
		req := &ledgerv1.ReadEntriesRequest{StartIndex: o.entry.Index, EndIndex: o.entry.Index + 1, View: full}
		withheld := p.ask(ledgerv1.AuditService_ReadEntries_FullMethodName, req)
		req.View = entryOnly
		alike(t, o.name, withheld, p.ask(ledgerv1.AuditService_ReadEntries_FullMethodName, req))
	}
}
