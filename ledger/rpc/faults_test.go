package rpc_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// internal is all that a client is told of a fault of the server.
var internal = statusBytes(status.Error(codes.Internal, "internal error"))

// faulty returns a hook that lets a fault happen in the n-th read from now on,
// and a function that tells whether it did.
func faulty(n int, happen func() error) (hook func(int) error, happened func() bool) {
	met := false
	return func(read int) error {
		if read != n {
			return nil
		}
		met = true
		return happen()
	}, func() bool { return met }
}

// TestFaultsTellNothing lets every read of every question fail, once with an
// error and once with a panic. The client learns that there was a fault, the
// server goes on, and no view stays open.
func TestFaultsTellNothing(t *testing.T) {
	w := newWorld(t, withoutCache)
	questions := w.questions(w.objects())
	w.settle()
	for name, happen := range map[string]func() error{
		"error": func() error { return errors.New("the disk is on fire") },
		"panic": func() error { panic("the disk is on fire") },
	} {
		for i, q := range questions[:13] {
			p := w.peer(q.peer)
			before := p.ask(q.method, q.req)
			reads := 0
			for met := true; met; reads++ {
				hook, happened := faulty(reads+1, happen)
				w.memory.OnRead(hook)
				after := p.ask(q.method, q.req)
				w.memory.OnRead(nil)
				if met = happened(); !met {
					alike(t, "without a fault", after, before)
				} else if !bytes.Equal(after.status, internal) {
					t.Errorf("%s in read %d of %s: %q", name, reads+1, q.method, after.status)
				}
				if reads > 20 {
					reads += 9 // long scans are all alike
				}
			}
			if reads < 2 {
				t.Errorf("question %d, %s, reads nothing", i, q.method)
			}
		}
	}
	if text := w.logs.String(); !strings.Contains(text, "msg=panic") || !strings.Contains(text, "the disk is on fire") {
		t.Error("the operator is not told")
	}
}

// TestFaultsInStream: what happens in the goroutines of a stream ends the stream
// and not the process, even if its client only waits.
func TestFaultsInStream(t *testing.T) {
	for name, happen := range map[string]func() error{
		"error": func() error { return errors.New("the disk is on fire") },
		"panic": func() error { panic("the disk is on fire") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withoutCache)
			w.settle()
			env, other := w.signed(w.sale("acme")), w.signed(w.sale("bolt"))
			s := w.peer("acme").stream()
			hook, _ := faulty(1, happen)
			w.memory.OnRead(hook) // of acme's key, which was not used yet
			send(t, s, 1, env)
			if _, err := s.Recv(); !bytes.Equal(statusBytes(err), internal) {
				t.Errorf("got %v", err)
			}
			w.memory.OnRead(nil)
			w.record(env, other)
		})
	}
}

// TestFaultsWhileJudging: a statement on record that cannot be found or proved at
// once is found by the same bytes later.
func TestFaultsWhileJudging(t *testing.T) {
	w := newWorld(t, withoutCache)
	env := w.signed(w.sale("acme"))
	w.record(env)
	w.settle()
	p := w.peer("acme")
	for n := 1; ; n++ {
		hook, happened := faulty(n, func() error { panic("the disk is on fire") })
		w.memory.OnRead(hook)
		_, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: env, ValidateOnly: true})
		w.memory.OnRead(nil)
		if !happened() {
			codeIs(t, err, codes.OK)
			break
		}
		codeIs(t, err, codes.Internal)
	}
	w.record(w.signed(w.void("acme", hashOf(env))))
}
