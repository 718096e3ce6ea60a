package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// everything makes every kind of call, by whoever may and whoever may not.
func everything(w *world) {
	w.objects()
	for _, m := range methods {
		for _, id := range []string{"acme", "shop", "regulator", "nobody"} {
			_ = m.call(w.peer(id)) // what is answered, others test
		}
	}
	for _, c := range refusalCases() {
		if st := w.sale("acme"); c.good == nil && c.spoil != nil {
			c.spoil(w, st)
			_, _ = w.submit("acme", w.signed(st))
		}
	}
	_ = w.peer("acme").conn.Invoke(context.Background(), "/no.such.Service/"+buyer, &emptypb.Empty{}, &emptypb.Empty{})
}

// TestNothingCommercialIsTold: neither the log, nor metrics, nor traces of a run
// of everything name a customer, a product, a volume or a participant. The log
// is searched when the world ends.
func TestNothingCommercialIsTold(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	spans := tracetest.NewInMemoryExporter()
	w := newWorld(t, func(w *world) {
		w.metrics, w.tracing = registry, sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	})
	everything(w)

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&page, f); err != nil {
			t.Fatal(err)
		}
		if n := len(f.GetMetric()); n > 300 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
	traced := fmt.Sprintf("%+v", spans.GetSpans())
	if !strings.Contains(traced, "magnet.ledger.v1.QueryService") {
		t.Error("no span of a query")
	}
	if strings.Contains(traced, "no.such.Service") {
		t.Error("a span has a name that a client chose")
	}
	for _, secret := range append([]string{"acme", "regulator", "nobody", "signature"}, secrets...) {
		for name, text := range map[string]string{"metrics": page.String(), "traces": traced} {
			if secret == "127.0.0.1" && name == "traces" {
				continue // that of the server
			}
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s tell %q: %.300s", name, secret, text[max(0, i-100):])
			}
		}
	}
	if text := w.logs.String(); !strings.Contains(text, "request.id=") {
		t.Error("calls in the log have no id")
	}
}

// TestOutcomesAreCounted: by what came of them, whichever way they came.
func TestOutcomesAreCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	w := newWorld(t, func(w *world) { w.metrics = registry })
	env := w.signed(w.sale("acme"))
	w.record(env)
	s := w.peer("acme").stream()
	send(t, s, 1, env, w.signed(w.sale("acme")), w.signed(w.sale("bolt")), new(tracev1.Envelope))
	outcomes(t, s, 4)
	finish(t, s)
	_, _ = w.submit("acme", w.signed(w.sale("bolt")))
	_, _ = w.peer("acme").Submit(context.Background(), &ledgerv1.SubmitRequest{Envelope: env, ValidateOnly: true})
	stopWriter(t, w)
	_, _ = w.submit("acme", w.signed(w.sale("acme")))
	want := `
# HELP magnet_submissions_total Statements submitted, by what came of them; of those refused, the reason.
# TYPE magnet_submissions_total counter
magnet_submissions_total{outcome="already_recorded",reason=""} 1
magnet_submissions_total{outcome="failed",reason=""} 0
magnet_submissions_total{outcome="recorded",reason=""} 2
magnet_submissions_total{outcome="refused",reason="MALFORMED"} 1
magnet_submissions_total{outcome="refused",reason="PEER_NOT_SIGNER"} 2
magnet_submissions_total{outcome="refused",reason="UNAVAILABLE"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "magnet_submissions_total"); err != nil {
		t.Error(err)
	}
}

// TestLimitsAreCounted: what met a limit is counted under its name.
func TestLimitsAreCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	w := newWorld(t, withLimits(rpc.Limits{CallsPerParticipant: 1}), func(w *world) { w.metrics = registry })
	waiting(t, w.peer("acme"), 1)
	for range 3 {
		_, _ = w.submit("acme", w.signed(w.sale("acme")))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "magnet_limit_exceeded_total" {
				counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if counted["calls_per_participant"] != 3 || len(counted) < 9 {
		t.Errorf("got %v", counted)
	}
}

// TestHealthFollows: health tells when statements would not be recorded, for
// whatever reason, and when they would again.
func TestHealthFollows(t *testing.T) {
	var reason chan error
	w := newWorld(t, func(w *world) {
		reason = make(chan error, 1)
		reason <- nil
		w.ready = func() error {
			err := <-reason
			reason <- err
			return err
		}
	})
	p := w.peer("acme")
	become := func(want string) {
		t.Helper()
		for start := time.Now(); p.healthOf("").String() != want; time.Sleep(50 * time.Millisecond) {
			if time.Since(start) > callTimeout {
				t.Fatalf("health does not become %s", want)
			}
		}
		if p.healthOf(ledgerv1.QueryService_ServiceDesc.ServiceName) != serving {
			t.Error("reading is not served")
		}
	}
	become("SERVING")
	<-reason
	reason <- errors.New("the disk is nearly full")
	become("NOT_SERVING")
	if err := w.server.Ready(); err == nil {
		t.Error("the server is ready")
	}
	<-reason
	reason <- nil
	become("SERVING")
	setBack := setClockBack(t, w)
	become("NOT_SERVING")
	setBack()
	become("SERVING")
}
