package client_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// TestSignedTwice submits one payload under two signatures: the one on record
// counts, and its receipt comes with it.
func TestSignedTwice(t *testing.T) {
	w := newWorld(t)
	c, payload := w.dial("acme", nil), w.transaction("INV-1", 125_000)
	single, err := w.author("acme").SignAll([]*verify.Payload{payload}, 1)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := w.author("acme").SignAll([]*verify.Payload{payload}, 2)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Submit(t.Context(), single[0])
	if err != nil || first.Already {
		t.Fatal(first, err)
	}
	second, err := c.Submit(t.Context(), batch[0])
	if err != nil {
		t.Fatal(err)
	}
	streamed := submitAll(t, c, []*tracev1.Envelope{batch[0]})[0].Recorded
	for name, got := range map[string]*tracev1.Envelope{"unary": second.Envelope, "stream": streamed.Envelope} {
		if !proto.Equal(got, single[0]) {
			t.Errorf("%s: got %v, want the envelope on record", name, got)
		}
	}
	if !second.Already || !streamed.Already || second.Entry != first.Entry || streamed.Entry != first.Entry {
		t.Errorf("first %+v, then %+v and %+v", first.Entry, second, streamed)
	}
	w.check(single)
}
