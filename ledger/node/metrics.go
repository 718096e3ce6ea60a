package node

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// metrics are the numbers of a node, beside those of its server.
type metrics struct {
	registry  *prometheus.Registry
	commits   *prometheus.HistogramVec // seconds, by step
	bytes     prometheus.Histogram
	tlsFault  prometheus.Gauge
	free      atomic.Int64 // bytes on the disk, as last looked; -1 if unknown
	committed atomic.Int64 // when the commit under way began, in Unix nanoseconds; 0 if there is none
}

// Steps of a commit.
const (
	stepStore  = "store"
	stepAnchor = "anchor"
)

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "magnet_commit_seconds", Help: "How long commits take to be durable, by step.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"step"}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "magnet_commit_bytes", Help: "Bytes that a commit writes.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 8),
		}),
		tlsFault: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "magnet_tls_reload_failed", Help: "1 if the TLS files as they are now could not be taken over.",
		}),
	}
	for _, step := range []string{stepStore, stepAnchor} {
		m.commits.WithLabelValues(step)
	}
	m.registry.MustRegister(m.commits, m.bytes, m.tlsFault,
		collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe registers what is read from the node when it is asked for.
func (m *metrics) observe(n *Node) {
	for name, g := range map[string]struct {
		help string
		read func() float64
	}{
		"magnet_queue_statements": {"Statements that wait to be recorded.", func() float64 {
			statements, _ := n.ledger.Waiting()
			return float64(statements)
		}},
		"magnet_queue_bytes": {"Bytes of the statements that wait to be recorded.", func() float64 {
			_, bytes := n.ledger.Waiting()
			return float64(bytes)
		}},
		"magnet_log_entries": {"Entries of the log.", func() float64 {
			v := n.ledger.View()
			defer v.Close()
			return float64(v.Size())
		}},
		"magnet_checkpoint_age_seconds": {"How long ago the last entry was recorded.", n.checkpointAge},
		"magnet_writer_running": {"1 while statements are recorded, 0 when the writer has stopped.", func() float64 {
			select {
			case <-n.ledger.Stopped():
				return 0
			default:
				return 1
			}
		}},
		"magnet_read_only_damaged": {"1 if stored data was found damaged since the start: nothing is recorded until a restart.", func() float64 {
			if e := n.ledger.ReadOnly(); e != nil && e.Reason == ledger.Damaged {
				return 1
			}
			return 0
		}},
		"magnet_ready": {"1 if a statement would be recorded now.", func() float64 {
			if n.server.Ready() != nil {
				return 0
			}
			return 1
		}},
		"magnet_entries_not_cosigned": {"Entries that no checkpoint covers that witnesses have cosigned; 0 without witnesses.", n.notCosigned},
		"magnet_rolled_back": {"1 if a witness has shown that the ledger was rolled back.", func() float64 {
			if n.ahead.Load() != nil {
				return 1
			}
			return 0
		}},
		"magnet_store_bytes": {"Bytes of the store's files, as of a minute ago at most.", func() float64 {
			tables, values := n.store.Size()
			return float64(tables + values)
		}},
		"magnet_disk_free_bytes": {"Bytes free where the data is.", func() float64 {
			if free := m.free.Load(); free >= 0 {
				return float64(free)
			}
			return math.NaN()
		}},
		"magnet_disk_min_free_bytes": {"Bytes that must be free; with less submissions are refused.", func() float64 { return float64(n.minFree()) }},
		"magnet_tls_certificate_expiry_timestamp_seconds": {"When the server's certificate ends, in Unix time.", func() float64 {
			return float64(n.reloader.Leaf().NotAfter.Unix())
		}},
		"magnet_tls_crl_next_update_timestamp_seconds": {"When a newer CRL is due, in Unix time; 0 if never.", func() float64 {
			if next := n.reloader.NextUpdate(); !next.IsZero() {
				return float64(next.Unix())
			}
			return 0
		}},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: g.help}, g.read))
	}
}

func (n *Node) notCosigned() float64 {
	if n.feeder == nil {
		return 0
	}
	size := n.checkpoint().Size
	if cp := n.feeder.Cosigned(); cp != nil {
		size -= min(size, cp.Size)
	}
	return float64(size)
}

func (n *Node) checkpointAge() float64 {
	v := n.ledger.View()
	defer v.Close()
	r, err := v.Record(v.Size() - 1)
	if err != nil {
		return math.NaN()
	}
	return time.Since(time.UnixMicro(r.Entry.SequencedAtMicros)).Seconds()
}

// defaultMinFree is that of the store, with the memtables that a node has.
const defaultMinFree = 1 << 30

func (n *Node) minFree() int64 {
	if m := n.cfg.Limits.MinFreeBytes; m != 0 {
		return m
	}
	return defaultMinFree
}

// stalled is how long a commit may take before the server says that it records
// nothing. Disks that are well take some milliseconds.
const stalled = 30 * time.Second

// ready says why statements would not be recorded, or why nobody could submit
// one.
func (n *Node) ready() error {
	if n.ahead.Load() != nil {
		return errRolledBack
	}
	if began := n.metrics.committed.Load(); began != 0 && time.Since(time.Unix(0, began)) > stalled {
		return fmt.Errorf("a commit has been under way since %s: the disk does not answer", time.Unix(0, began).UTC().Format(time.RFC3339))
	}
	if free := n.metrics.free.Load(); free >= 0 && free < n.minFree() {
		return fmt.Errorf("the disk has %d bytes free, and %d are needed", free, n.minFree())
	}
	if end := n.reloader.Leaf().NotAfter; time.Now().After(end) {
		return fmt.Errorf("the server's certificate ended at %s", end.UTC().Format(time.RFC3339))
	}
	return nil
}

// spaceInterval is how often the free space is looked at.
const spaceInterval = 5 * time.Second

// watchSpace looks at the free space until the context ends.
func (n *Node) watchSpace(ctx context.Context) {
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		n.lookAtSpace()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) lookAtSpace() {
	free, err := freeBytes(n.cfg.DataDir)
	if err != nil {
		free = -1
	}
	n.metrics.free.Store(free)
}

// timed notes how long a step of a commit takes.
func (m *metrics) timed(step string, do func() error) error {
	began := time.Now()
	m.committed.Store(began.UnixNano())
	defer m.committed.Store(0)
	err := do()
	m.commits.WithLabelValues(step).Observe(time.Since(began).Seconds())
	return err
}

// measuredStore is a store whose commits are timed.
type measuredStore struct {
	ledger.Store
	metrics *metrics
}

// Commit implements ledger.Store.
func (s measuredStore) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	size := 0
	for _, w := range writes {
		size += len(w.Key) + len(w.Value)
	}
	s.metrics.bytes.Observe(float64(size))
	return s.metrics.timed(stepStore, func() error { return s.Store.Commit(ctx, expected, writes) })
}

// measuredAnchor is an anchor whose writes are timed.
type measuredAnchor struct {
	ledger.Anchor
	metrics *metrics
}

// Append implements ledger.Anchor.
func (a measuredAnchor) Append(p ledger.AnchorPoint) error {
	return a.metrics.timed(stepAnchor, func() error { return a.Anchor.Append(p) })
}
