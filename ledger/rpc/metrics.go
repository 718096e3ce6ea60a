package rpc

import (
	"errors"
	"strings"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// metrics are numbers for the operator. Their labels have few values, which are
// fixed here or in the schema: never a participant, a customer or a product.
type metrics struct {
	calls    *grpcprom.ServerMetrics
	outcomes *prometheus.CounterVec // of submitted statements
	limited  *prometheus.CounterVec
	expelled prometheus.Counter
	panics   prometheus.Counter
	damage   prometheus.Counter
}

// newMetrics makes the metrics of a server and registers them.
func newMetrics(s *Server, registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		calls: grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram()),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "magnet_submissions_total", Help: "Statements submitted, by what came of them; of those refused, the reason.",
		}, []string{"outcome", "reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "magnet_limit_exceeded_total", Help: "Connections, calls and streams refused or ended, and statements refused, by the limit they met.",
		}, []string{"limit"}),
		expelled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "magnet_connections_expelled_total", Help: "Connections closed because their certificate is no longer good.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "magnet_panics_total", Help: "Panics in calls.",
		}),
		damage: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "magnet_damage_found_total", Help: "Calls that met damaged data.",
		}),
	}
	for _, l := range limits {
		m.limited.WithLabelValues(string(l))
	}
	for _, outcome := range []string{outcomeRecorded, outcomeAlready, outcomeFailed} {
		m.outcomes.WithLabelValues(outcome, "")
	}
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "magnet_connections", Help: "Connections with a certificate that are open.",
	}, func() float64 {
		s.peers.mu.Lock()
		defer s.peers.mu.Unlock()
		return float64(len(s.peers.connections))
	})
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.calls, m.outcomes, m.limited, m.expelled, m.panics, m.damage, connections} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

// The outcomes of a statement. Failed are those whose call failed as a whole.
const (
	outcomeRecorded = "recorded"
	outcomeAlready  = "already_recorded"
	outcomeRefused  = "refused"
	outcomeFailed   = "failed"
)

// countOutcomes counts the outcomes in a message of a stream, and returns how
// many they are.
func (m *metrics) countOutcomes(resp *ledgerv1.SubmitStreamResponse) int {
	for _, o := range resp.GetOutcomes() {
		if r := o.GetRefusal(); r != nil {
			m.countRefusal(r)
		} else {
			m.countRecorded(o.GetRecorded().GetAlreadyRecorded())
		}
	}
	run := len(resp.GetRun().GetSequences())
	m.outcomes.WithLabelValues(outcomeRecorded, "").Add(float64(run))
	return run + len(resp.GetOutcomes())
}

func (m *metrics) countSubmit(resp *ledgerv1.SubmitResponse, err error) {
	if err == nil {
		m.countRecorded(resp.GetAlreadyRecorded())
		return
	}
	for _, detail := range status.Convert(err).Details() {
		if r, ok := detail.(*tracev1.Refusal); ok {
			m.countRefusal(r)
			return
		}
	}
	m.outcomes.WithLabelValues(outcomeFailed, "").Inc()
}

func (m *metrics) countRecorded(already bool) {
	outcome := outcomeRecorded
	if already {
		outcome = outcomeAlready
	}
	m.outcomes.WithLabelValues(outcome, "").Inc()
}

func (m *metrics) countRefusal(r *tracev1.Refusal) {
	m.outcomes.WithLabelValues(outcomeRefused, strings.TrimPrefix(r.GetReason().String(), "REFUSAL_REASON_")).Inc()
}
