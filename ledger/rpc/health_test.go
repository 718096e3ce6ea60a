package rpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

const (
	serving    = healthv1.HealthCheckResponse_SERVING
	notServing = healthv1.HealthCheckResponse_NOT_SERVING
)

func (p *peer) healthOf(service string) healthv1.HealthCheckResponse_ServingStatus {
	p.t.Helper()
	resp, err := p.health.Check(p.ctx, &healthv1.HealthCheckRequest{Service: service})
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.GetStatus()
}

// TestHealth: when the writer stops, submissions are not served, and reading
// goes on.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	p := w.peer("nobody") // health is told to whoever has a certificate
	submissions, queries, audits := ledgerv1.SubmissionService_ServiceDesc.ServiceName, ledgerv1.QueryService_ServiceDesc.ServiceName, ledgerv1.AuditService_ServiceDesc.ServiceName
	for _, service := range []string{"", submissions, queries, audits} {
		if got := p.healthOf(service); got != serving {
			t.Errorf("%q: %v", service, got)
		}
	}
	watch, err := p.health.Watch(p.ctx, &healthv1.HealthCheckRequest{Service: submissions})
	if err != nil {
		t.Fatal(err)
	}
	w.record(w.signed(w.sale("acme")))
	stopWriter(t, w)
	for got := serving; got != notServing; {
		resp, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		got = resp.GetStatus()
	}
	for service, want := range map[string]healthv1.HealthCheckResponse_ServingStatus{"": notServing, submissions: notServing, queries: serving, audits: serving} {
		if got := p.healthOf(service); got != want {
			t.Errorf("%q: %v, want %v", service, got, want)
		}
	}
	w.audit("regulator")
	if all, _ := w.peer("acme").pages(&ledgerv1.ListStatementsRequest{}, func() {}); len(all) != 1 {
		t.Errorf("%d statements", len(all))
	}
}

func TestReflection(t *testing.T) {
	w := newWorld(t)
	got, err := listServices(w.peer("acme"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"magnet.ledger.v1.SubmissionService", "magnet.ledger.v1.QueryService", "magnet.ledger.v1.AuditService", "grpc.health.v1.Health"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
}

// TestShutdown: a server ends within its grace, whoever holds a stream open.
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	w.recordAll("acme", w.sales("acme", 2000))
	idle := w.peer("acme").stream()
	send(t, idle, 1, w.signed(w.sale("acme")))
	outcomes(t, idle, 1)
	watch, err := w.peer("bolt").health.Watch(context.Background(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	slow, err := w.peer("regulator").ReadEntries(context.Background(), &ledgerv1.ReadEntriesRequest{View: full})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Recv(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.stopServing()
	if err := <-w.served; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	w.served <- nil
	if _, err := idle.Recv(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the idle stream ended with %v", err)
	}
	w.restart()
}

// TestShutdownFinishesWhatItTook: a statement that waits to be durable when the
// server is told to end is answered, and the stream ends as its client wants.
func TestShutdownFinishesWhatItTook(t *testing.T) {
	w := newWorld(t)
	w.grace = callTimeout
	w.restart()
	waits, release := holdCommits(w)
	env, other := w.signed(w.sale("acme")), w.signed(w.sale("acme"))
	s := w.peer("acme").stream()
	send(t, s, 1, env)
	<-waits
	w.stopServing()
	send(t, s, 2, other)
	release()
	for seq, o := range outcomes(t, s, 2) {
		if o.GetRecorded() == nil {
			t.Errorf("item %d: %v", seq, o)
		}
	}
	finish(t, s)
	if err := <-w.served; err != nil {
		t.Error(err)
	}
	w.served <- nil
	_, err := w.submit("bolt", w.signed(w.sale("bolt")))
	codeIs(t, err, codes.Unavailable)
	w.restart()
}
