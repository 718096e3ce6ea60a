package node

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// ScrubConfig says how what is stored is read again, for as long as the server
// runs. Damage makes the ledger read-only.
type ScrubConfig struct {
	// BytesPerSecond is how much, roughly; 4 MiB if absent, which is a few percent
	// of a core. A pass over 100 GiB takes seven hours then.
	BytesPerSecond int64 `yaml:"bytes_per_second,omitempty"`
	// Interval is from the beginning of a pass to that of the next; 24 h if absent.
	// A pass that takes longer is followed by the next.
	Interval time.Duration `yaml:"interval,omitempty"`
	// Off has nothing read again.
	Off bool `yaml:"off,omitempty"`
}

const (
	defaultScrubRate     = 4 << 20
	defaultScrubInterval = 24 * time.Hour
	// scrubName is the file that remembers where a pass was when the server stopped.
	scrubName = "scrub.json"
	// scrubSaving is how often it is written.
	scrubSaving = 30 * time.Second
	// scrubPatience is for how long nothing is scrubbed after an error of the store.
	scrubPatience = time.Minute
)

// scrubState is what the file holds. It need not be durable: without it a pass
// begins anew.
type scrubState struct {
	Place     ledger.ScrubPlace `json:"place"`
	Began     time.Time         `json:"began"`
	Completed time.Time         `json:"completed"` // of the pass before
	Over      bool              `json:"over"`      // the pass that began then
}

// scrubber reads again what a ledger has stored.
type scrubber struct {
	ledger   *ledger.Ledger
	path     string
	rate     int64
	interval time.Duration
	logger   *slog.Logger
	state    scrubState // owned by run
	saved    time.Time

	entries   atomic.Uint64 // of the log, that the pass has read
	completed atomic.Int64  // Unix seconds, 0 if never
	bytes     prometheus.Counter
	damage    prometheus.Gauge
}

func newScrubber(l *ledger.Ledger, cfg *Config, registry prometheus.Registerer, logger *slog.Logger) *scrubber {
	s := &scrubber{
		ledger: l, path: filepath.Join(cfg.DataDir, scrubName), rate: cfg.Scrub.BytesPerSecond, interval: cfg.Scrub.Interval, logger: logger,
		bytes:  prometheus.NewCounter(prometheus.CounterOpts{Name: "magnet_scrub_bytes_total", Help: "Bytes of what is stored that were read again, roughly."}),
		damage: prometheus.NewGauge(prometheus.GaugeOpts{Name: "magnet_scrub_damage", Help: "1 if the scrubber found damage. It has stopped there, and nothing is recorded."}),
	}
	if s.rate == 0 {
		s.rate = defaultScrubRate
	}
	if s.interval == 0 {
		s.interval = defaultScrubInterval
	}
	s.load()
	registry.MustRegister(s.bytes, s.damage,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "magnet_scrub_entries", Help: "Entries of the log that the pass under way has read again."},
			func() float64 { return float64(s.entries.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "magnet_scrub_completed_timestamp_seconds", Help: "When the last pass over all that is stored ended, in Unix time; 0 if none did."},
			func() float64 { return float64(s.completed.Load()) }))
	return s
}

// load reads where the last run was. What cannot be read is begun anew.
func (s *scrubber) load() {
	b, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(b, &s.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logger.Warn("where scrubbing stopped is not known; it begins anew", slog.Any("error", err))
		s.state = scrubState{}
	}
	s.show()
}

// save writes where it is, over what was written before.
func (s *scrubber) save() {
	b, err := json.Marshal(s.state)
	if err == nil {
		err = os.WriteFile(s.path+".next", b, 0o600)
	}
	if err == nil {
		err = os.Rename(s.path+".next", s.path)
	}
	if err != nil {
		s.logger.Warn("where scrubbing is was not saved", slog.Any("error", err))
	}
	s.saved = time.Now()
}

func (s *scrubber) show() {
	if s.state.Place.Part == ledger.ScrubLog {
		s.entries.Store(s.state.Place.Next)
	}
	if !s.state.Completed.IsZero() {
		s.completed.Store(s.state.Completed.Unix())
	}
}

// run scrubs until the context ends, or damage was found, of which the ledger is
// told.
func (s *scrubber) run(ctx context.Context) {
	for ctx.Err() == nil {
		if s.state.Over {
			if !pause(ctx, time.Until(s.state.Began.Add(s.interval))) {
				break
			}
			s.state = scrubState{Completed: s.state.Completed}
		}
		if s.state.Began.IsZero() {
			s.state.Began = time.Now()
		}
		wait, err := s.step(ctx)
		if errors.Is(err, ledger.ErrDamaged) {
			s.damage.Set(1)
			s.ledger.Doubt(err)
			break
		}
		if err != nil && ctx.Err() == nil {
			s.logger.Error("scrubbing was interrupted; it goes on in a minute", slog.Any("error", err))
			wait = scrubPatience
		}
		if time.Since(s.saved) > scrubSaving || s.state.Over {
			s.save()
		}
		pause(ctx, wait)
	}
	s.save()
}

// step reads a part, and returns how long to wait for the rate to be kept.
func (s *scrubber) step(ctx context.Context) (wait time.Duration, err error) {
	began := time.Now()
	next, bytes, done, err := s.ledger.Scrub(ctx, s.state.Place)
	s.bytes.Add(float64(bytes))
	if err != nil {
		return 0, err
	}
	s.state.Place = next
	if done {
		s.state.Over, s.state.Completed = true, time.Now()
	}
	s.show()
	return time.Duration(float64(bytes)/float64(s.rate)*float64(time.Second)) - time.Since(began), nil
}

// pause waits, and reports whether the context goes on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
