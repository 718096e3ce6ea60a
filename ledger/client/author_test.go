package client_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestTransactionID(t *testing.T) {
	ledgerID := verify.Hash(bytes.Repeat([]byte{7}, verify.HashSize))
	id := client.TransactionID(ledgerID, "acme", "INV-001")
	if got, want := id.String(), "c9491266-82b8-8079-9882-cf20f3c482cb"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]client.StatementID{
		"ledger": client.TransactionID(verify.Hash{}, "acme", "INV-001"),
		"signer": client.TransactionID(ledgerID, "acme2", "INV-001"),
		"number": client.TransactionID(ledgerID, "acme", "INV-002"),
	} {
		if other == id {
			t.Errorf("another %s gives the same id", name)
		}
		if other[6]>>4 != 8 || other[8]>>6 != 2 {
			t.Errorf("%v is no UUID of version 8", other)
		}
	}
}

func TestPayload(t *testing.T) {
	book := verifytest.NewLedger(t)
	author := &client.Author{ID: "acme", Signer: verifytest.Key("acme"), Log: book.Log}
	st := book.TransactionStatement("acme", 5)
	before := proto.CloneOf(st)
	var payloads [2]*verify.Payload
	for i := range payloads {
		var err error
		if payloads[i], err = author.Payload(st, client.StatementID{}, book.Now); err != nil {
			t.Fatal(err)
		}
	}
	a, b := payloads[0].Statement, payloads[1].Statement
	if !proto.Equal(st, before) {
		t.Error("the statement was changed")
	}
	if bytes.Equal(a.GetSalt(), b.GetSalt()) || len(a.GetSalt()) != 16 || bytes.Equal(a.GetStatementId(), b.GetStatementId()) {
		t.Error("salt or id is not fresh")
	}
	if id := book.Log.ID(); !bytes.Equal(a.GetLedgerId(), id[:]) || a.GetSigner() != "acme" || a.GetStatedAtMicros() != book.Now.UnixMicro() {
		t.Errorf("got %v", a)
	}
	if client.SameContent(a, b) {
		t.Error("statements with different ids are said to be the same")
	}
	b.StatementId = a.GetStatementId()
	b.StatedAtMicros++
	if !client.SameContent(a, b) {
		t.Error("salt and time are said to be content")
	}
}

func TestSignAll(t *testing.T) {
	book := verifytest.NewLedger(t)
	author := &client.Author{ID: "acme", Signer: verifytest.Key("acme"), Log: book.Log}
	payloads := make([]*verify.Payload, 150)
	for i := range payloads {
		var err error
		if payloads[i], err = author.Payload(book.TransactionStatement("acme", uint64(i+1)), client.StatementID{}, book.Now); err != nil {
			t.Fatal(err)
		}
	}
	for _, batch := range []int{1, 2, 128, 4096} {
		envs, err := author.SignAll(payloads, batch)
		if err != nil {
			t.Fatal(err)
		}
		moved := 0
		for i, env := range envs {
			if !bytes.Equal(env.GetPayload(), payloads[i].Bytes) {
				t.Fatalf("batch of %d: envelope %d is of another payload", batch, i)
			}
			if err := verify.VerifySignature(payloads[i], author.Signer.Public(), env.GetSignatureBlock(), nil); err != nil {
				t.Fatal(err)
			}
			block, err := verify.ParseSignatureBlock(env.GetSignatureBlock())
			if err != nil || (batch == 1) != (block.Form == verify.Single) {
				t.Fatalf("batch of %d: form %v, %v", batch, block.Form, err)
			}
			if block.Position != uint64(i%batch) {
				moved++
			}
		}
		if batch >= 128 && moved < 100 {
			t.Errorf("batch of %d: %d of 150 changed their position", batch, moved)
		}
	}
	for _, batch := range []int{0, verify.MaxBatch + 1} {
		if _, err := author.SignAll(payloads, batch); err == nil {
			t.Errorf("a batch of %d was signed", batch)
		}
	}
}
