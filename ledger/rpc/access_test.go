package rpc_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// lookups are the ways to name one statement.
var lookups = map[string]func(o *object) (*ledgerv1.GetStatementRequest, *ledgerv1.GetReceiptRequest){
	"index": func(o *object) (*ledgerv1.GetStatementRequest, *ledgerv1.GetReceiptRequest) {
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: o.entry.Index}},
			&ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Index{Index: o.entry.Index}}
	},
	"hash": func(o *object) (*ledgerv1.GetStatementRequest, *ledgerv1.GetReceiptRequest) {
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hashOf(o.env)}},
			&ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_StatementHash{StatementHash: hashOf(o.env)}}
	},
	"key": func(o *object) (*ledgerv1.GetStatementRequest, *ledgerv1.GetReceiptRequest) {
		st := new(tracev1.Statement)
		if p, err := verify.ParsePayload(o.env.GetPayload()); err == nil {
			st = p.Statement
		}
		key := &ledgerv1.StatementKey{Signer: st.GetSigner(), StatementId: st.GetStatementId()}
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Key{Key: key}},
			&ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Key{Key: key}}
	},
}

// TestWhoMayRead tries every reading method, for every object, as every peer.
func TestWhoMayRead(t *testing.T) {
	w := newWorld(t)
	objects := w.objects()
	for _, id := range readers {
		t.Run(id, func(t *testing.T) {
			p := w.peer(id)
			for i := range objects {
				lookUp(t, p, &objects[i])
			}
			seenInEntries(t, p, objects)
			seenInListing(t, p, objects)
			seenInVolumes(t, p, objects)
			seenOfParticipants(t, p)
		})
	}
	w.audit("auditor-all")
}

// lookUp asks for one object by every name. Denials by every name are compared
// in TestDeniedIsLikeMissing.
func lookUp(t *testing.T, p *peer, o *object) {
	t.Helper()
	for by, requests := range lookups {
		statement, receipt := requests(o)
		found, err := p.GetStatement(p.ctx, statement)
		if !o.mayRead(p.id) {
			_, receiptErr := p.GetReceipt(p.ctx, receipt)
			if status.Code(err) != codes.NotFound || status.Code(receiptErr) != codes.NotFound {
				t.Errorf("%s by %s: got %v and %v", o.name, by, err, receiptErr)
			}
			return
		}
		if err != nil || !proto.Equal(found.GetStatement().GetEnvelope(), o.env) {
			t.Errorf("%s by %s: %v, %v", o.name, by, found, err)
			continue
		}
		proof, err := p.GetReceipt(p.ctx, receipt)
		if err != nil || !proto.Equal(proof.GetReceipt(), found.GetReceipt()) {
			t.Errorf("%s by %s: %v, %v", o.name, by, proof, err)
		}
	}
	if found, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: o.entry.Index}}); err == nil {
		p.w.prove(o.env, found.GetReceipt())
	}
}

func seenInEntries(t *testing.T, p *peer, objects []object) {
	t.Helper()
	entries := p.read(&ledgerv1.ReadEntriesRequest{View: full})
	plain := p.read(&ledgerv1.ReadEntriesRequest{View: entryOnly})
	for i := range objects {
		o := &objects[i]
		e := entries[o.entry.Index]
		if (e.GetEnvelope() != nil) != o.mayRead(p.id) || plain[o.entry.Index].GetEnvelope() != nil {
			t.Errorf("ReadEntries shows %s: %t", o.name, e.GetEnvelope() != nil)
		}
		if !bytes.Equal(e.GetEntry(), o.entry.Bytes()) || !bytes.Equal(plain[o.entry.Index].GetEntry(), o.entry.Bytes()) {
			t.Errorf("another entry of %s", o.name)
		}
	}
}

func seenInListing(t *testing.T, p *peer, objects []object) {
	t.Helper()
	page, err := p.ListStatements(p.ctx, &ledgerv1.ListStatementsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, st := range page.GetStatements() {
		listed[string(st.GetEntry())] = true
	}
	for i := range objects {
		o := &objects[i]
		if want := o.listed && o.mayRead(p.id); listed[string(o.entry.Bytes())] != want {
			t.Errorf("ListStatements lists %s: %t", o.name, !want)
		}
		delete(listed, string(o.entry.Bytes()))
	}
	if len(listed) > 0 {
		t.Errorf("%d statements more", len(listed))
	}
}

func seenInVolumes(t *testing.T, p *peer, objects []object) {
	t.Helper()
	count := 0
	for i := range objects {
		if objects[i].live && objects[i].mayRead(p.id) {
			count++
		}
	}
	header, rows := p.volumes(&ledgerv1.QueryVolumesRequest{GroupBy: []ledgerv1.VolumeDimension{
		ledgerv1.VolumeDimension_VOLUME_DIMENSION_SELLER, ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER,
	}})
	if got, want := header.GetTotals().GetNetMassGrams(), fmt.Sprint(count*grams); got != want {
		t.Errorf("volumes of %s g, want %s", got, want)
	}
	for _, row := range rows {
		seller, customer := row.GetKeys()[0], row.GetKeys()[1]
		may := func(o object) bool {
			return o.live && o.mayRead(p.id) && statementOf(t, o.env).GetSigner() == seller.GetValue()
		}
		if !slices.ContainsFunc(objects, may) || customer.GetDisplayName() == "" {
			t.Errorf("row %v", row)
		}
	}
}

// seenOfParticipants: participants and keys are for everybody, reading rights
// for those whom they concern.
func seenOfParticipants(t *testing.T, p *peer) {
	t.Helper()
	all, err := p.ListParticipants(p.ctx, &ledgerv1.ListParticipantsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.GetParticipants()) < len(readers)-1 {
		t.Errorf("%d participants", len(all.GetParticipants()))
	}
	for _, listed := range all.GetParticipants() {
		id := listed.GetParticipantId()
		one, err := p.GetParticipant(p.ctx, &ledgerv1.GetParticipantRequest{ParticipantId: id})
		if err != nil {
			t.Fatal(err)
		}
		want := (id == "auditor-acme" || id == "auditor-all") && (p.id == id || p.id == "regulator" || p.id == "authority")
		if (listed.GetReadingRight() != nil) != want || (one.GetParticipant().GetReadingRight() != nil) != want {
			t.Errorf("the reading right of %s is shown: %t", id, !want)
		}
	}
	for id, keys := range map[string]int{"root": 1, "authority": 1, "ledger": 1, "acme": 1, "late": 1} {
		one, err := p.GetParticipant(p.ctx, &ledgerv1.GetParticipantRequest{ParticipantId: id})
		if err != nil || len(one.GetKeys()) != keys {
			t.Errorf("%s: %v, %v", id, one, err)
		}
	}
	_, err = p.GetParticipant(p.ctx, &ledgerv1.GetParticipantRequest{ParticipantId: "nobody"})
	codeIs(t, err, codes.NotFound)
}
