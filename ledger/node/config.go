// Package node is a running ledger: it reads a configuration, opens store,
// anchor and ledger, and serves them over gRPC until it is told to stop.
package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Config is the content of magnetd.yaml. Paths are relative to the file. A key
// that is not listed here is an error.
type Config struct {
	// Listen is the address to serve on, host:port; port 0 takes any.
	Listen string `yaml:"listen"`
	// DataDir holds the store and the anchor, on ext4 or xfs.
	DataDir string `yaml:"data_dir"`
	// Genesis is the bootstrap file that `magnet init` wrote.
	Genesis string `yaml:"genesis"`
	// CheckpointKey is the key file that signs checkpoints.
	CheckpointKey string `yaml:"checkpoint_key"`
	// TrustDomain is the SPIFFE trust domain of the certificates.
	TrustDomain string `yaml:"trust_domain"`
	// TLS are the files of the server's certificate.
	TLS TLSConfig `yaml:"tls"`
	// Limits bound what peers can use. What is absent has its default.
	Limits LimitsConfig `yaml:"limits,omitempty"`
	// Monitor is where the operator looks.
	Monitor MonitorConfig `yaml:"monitor,omitempty"`
	// Public is where strangers read the log.
	Public PublicConfig `yaml:"public,omitempty"`
	// Witnesses are asked to cosign checkpoints.
	Witnesses WitnessesConfig `yaml:"witnesses,omitempty"`
	// Scrub says how what is stored is read again.
	Scrub ScrubConfig `yaml:"scrub,omitempty"`
	// Log says how to log.
	Log LogConfig `yaml:"log,omitempty"`
	// ShutdownGrace is how long calls under way may take when the server stops;
	// 10 s if absent.
	ShutdownGrace time.Duration `yaml:"shutdown_grace,omitempty"`
}

// TLSConfig are PEM files. They are read again while the server runs, at every
// check interval and on SIGHUP, and what is no longer good by the new ones loses
// its open connections then. Files that cannot be taken over change nothing.
type TLSConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// ClientCA are the authorities of participants.
	ClientCA string `yaml:"client_ca"`
	// CRL are revocation lists of these authorities; none if absent.
	CRL string `yaml:"crl,omitempty"`
	// CheckInterval is how long a change of the files, or the end of a
	// certificate, may take to have effect; 10 s if absent.
	CheckInterval time.Duration `yaml:"check_interval,omitempty"`
}

// MonitorConfig is an address for the operator, over plain HTTP: /metrics for
// Prometheus, /healthz (questions are answered) and /readyz (statements are
// recorded). Whoever reaches it can read how much is submitted, not by whom.
type MonitorConfig struct {
	// Listen is host:port, of loopback or of a network that only the operator
	// is on; port 0 takes any. Absent, there is no such address.
	Listen string `yaml:"listen,omitempty"`
	// Profiles serves /debug/pprof/, too, which needs a loopback address.
	Profiles bool `yaml:"profiles,omitempty"`
}

// PublicConfig is an address that serves the log, without its statements, to
// anybody: C2SP tlog-tiles over HTTPS (package tlog).
type PublicConfig struct {
	// Listen is host:port; port 0 takes any. Absent, there is no such address.
	Listen string `yaml:"listen,omitempty"`
	// Certificate and Key are PEM files of a certificate that strangers' programs
	// trust; absent, it is that of the section tls. They are read again as those
	// are.
	Certificate string `yaml:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty"`
	// BehindProxy serves plain HTTP instead, for a proxy that speaks TLS.
	BehindProxy bool `yaml:"behind_proxy,omitempty"`
	// Connections may be open at once; beyond, a new one waits. 1,024 if absent.
	Connections int `yaml:"connections,omitempty"`
}

// WitnessesConfig says whom to ask for cosignatures (package witness). Participants
// may demand them, and the public log shows them.
type WitnessesConfig struct {
	// Policy is a C2SP tlog-policy file: the witnesses, each with its URL, and the
	// quorum. Absent, nobody is asked.
	Policy string `yaml:"policy,omitempty"`
	// Timeout is how long a witness may take to answer; 10 s if absent.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// Patience is how long a checkpoint waits for its quorum before the public log
	// shows one without; 10 s if absent.
	Patience time.Duration `yaml:"patience,omitempty"`
}

// LimitsConfig are limits of transport; those that decide what is recorded are
// on the log. They have the names of rpc.Limits and ledger.Limits, where each is
// described with its default.
type LimitsConfig struct {
	// Of messages and calls.
	MessageBytes   int           `yaml:"message_bytes,omitempty"`    // 4 MiB
	HeaderBytes    uint32        `yaml:"header_bytes,omitempty"`     // 16 KiB
	StreamInFlight int           `yaml:"stream_in_flight,omitempty"` // 8,192
	StreamBytes    int           `yaml:"stream_bytes,omitempty"`     // 16 MiB
	CallTimeout    time.Duration `yaml:"call_timeout,omitempty"`     // 30 s
	StreamIdle     time.Duration `yaml:"stream_idle,omitempty"`      // 5 min
	SendTimeout    time.Duration `yaml:"send_timeout,omitempty"`     // 1 min

	// Of connections. Beyond Connections a new one waits.
	Connections               int           `yaml:"connections,omitempty"`                 // 1,024
	ConnectionsPerAddress     int           `yaml:"connections_per_address,omitempty"`     // 128
	ConnectionsPerParticipant int           `yaml:"connections_per_participant,omitempty"` // 32
	ConcurrentStreams         uint32        `yaml:"concurrent_streams,omitempty"`          // 100
	ConnectionAge             time.Duration `yaml:"connection_age,omitempty"`              // 30 min
	ConnectionGrace           time.Duration `yaml:"connection_grace,omitempty"`            // 30 s
	ConnectionIdle            time.Duration `yaml:"connection_idle,omitempty"`             // 5 min

	// Of each participant.
	CallsPerParticipant int     `yaml:"calls_per_participant,omitempty"` // 512
	ReadsPerParticipant int     `yaml:"reads_per_participant,omitempty"` // 64
	ReadsPerSecond      float64 `yaml:"reads_per_second,omitempty"`      // none
	StatementsPerSecond float64 `yaml:"statements_per_second,omitempty"` // none

	// Of the writer. MinFreeBytes is what the disk must have free.
	QueueStatements  int64         `yaml:"queue_statements,omitempty"`  // 16,384
	QueueBytes       int64         `yaml:"queue_bytes,omitempty"`       // 64 MiB
	CommitStatements int           `yaml:"commit_statements,omitempty"` // 2,048
	ClockBehind      time.Duration `yaml:"clock_behind,omitempty"`      // 10 s
	MinFreeBytes     int64         `yaml:"min_free_bytes,omitempty"`    // 1 GiB

	// MemoryBytes is what Go's memory should stay below.
	MemoryBytes int64 `yaml:"memory_bytes,omitempty"` // 896 MiB
}

// LogConfig says how to log to standard error.
type LogConfig struct {
	// Level is debug, info, warn or error; info if absent.
	Level string `yaml:"level,omitempty"`
	// Format is text or json; text if absent.
	Format string `yaml:"format,omitempty"`
}

func (l LimitsConfig) rpc() rpc.Limits {
	return rpc.Limits{
		MessageBytes: l.MessageBytes, HeaderBytes: l.HeaderBytes, StreamInFlight: l.StreamInFlight, StreamBytes: l.StreamBytes,
		CallTimeout: l.CallTimeout, StreamIdle: l.StreamIdle, SendTimeout: l.SendTimeout,
		ConnectionsPerAddress: l.ConnectionsPerAddress, ConnectionsPerParticipant: l.ConnectionsPerParticipant,
		ConcurrentStreams: l.ConcurrentStreams,
		ConnectionAge:     l.ConnectionAge, ConnectionGrace: l.ConnectionGrace, ConnectionIdle: l.ConnectionIdle,
		CallsPerParticipant: l.CallsPerParticipant, ReadsPerParticipant: l.ReadsPerParticipant,
		ReadsPerSecond: l.ReadsPerSecond, StatementsPerSecond: l.StatementsPerSecond,
	}
}

func (l LimitsConfig) ledger() ledger.Limits {
	return ledger.Limits{
		QueueStatements: l.QueueStatements, QueueBytes: l.QueueBytes,
		CommitStatements: l.CommitStatements, ClockBehind: l.ClockBehind,
	}
}

// commitsFit refuses limits whose commits a store would, which would stop the writer.
func (l LimitsConfig) commitsFit(store int64) error {
	if most := l.ledger().MostBytes(); most >= store {
		return fmt.Errorf("limits.commit_statements: with %d a commit may have %d bytes, and the store takes fewer than %d at once; set less", l.CommitStatements, most, store)
	}
	return nil
}

// ReadConfig reads a configuration file.
func ReadConfig(path string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &Config{ShutdownGrace: 10 * time.Second}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField()).Decode(c); err != nil {
		return nil, fmt.Errorf("reading configuration %s: %s", path, yaml.FormatError(err, false, false))
	}
	for _, field := range []struct{ name, value string }{
		{"listen", c.Listen}, {"data_dir", c.DataDir}, {"genesis", c.Genesis}, {"checkpoint_key", c.CheckpointKey},
		{"trust_domain", c.TrustDomain}, {"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key}, {"tls.client_ca", c.TLS.ClientCA},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("reading configuration %s: %s is missing", path, field.name)
		}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("reading configuration %s: %w", path, err)
	}
	for _, p := range []*string{&c.DataDir, &c.Genesis, &c.CheckpointKey, &c.TLS.Certificate, &c.TLS.Key, &c.TLS.ClientCA, &c.TLS.CRL,
		&c.Public.Certificate, &c.Public.Key, &c.Witnesses.Policy} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return c, nil
}

// check refuses negative limits and intervals, which would be none or worse.
func (c *Config) check() error {
	l := reflect.ValueOf(c.Limits)
	for i := range l.NumField() {
		name, _, _ := strings.Cut(l.Type().Field(i).Tag.Get("yaml"), ",")
		negative := l.Field(i).CanInt() && l.Field(i).Int() < 0 || l.Field(i).CanFloat() && !(l.Field(i).Float() >= 0)
		if negative {
			return fmt.Errorf("limits.%s is negative", name)
		}
	}
	if p := c.Public; (p.Certificate == "") != (p.Key == "") || p.BehindProxy && p.Certificate != "" || p.Connections < 0 {
		return errors.New("public: certificate and key go together, and not with behind_proxy; connections is not negative")
	}
	if c.Witnesses.Timeout < 0 || c.Witnesses.Patience < 0 {
		return errors.New("witnesses.timeout or witnesses.patience is negative")
	}
	if c.Scrub.BytesPerSecond < 0 || c.Scrub.Interval < 0 {
		return errors.New("scrub.bytes_per_second or scrub.interval is negative")
	}
	if c.TLS.CheckInterval < 0 || c.ShutdownGrace < 0 {
		return errors.New("tls.check_interval or shutdown_grace is negative")
	}
	return nil
}

// Write writes the configuration to a new file.
func (c *Config) Write(path string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	return keyfile.Write(path, b, "")
}

// Pinned returns the ledger that the genesis of the configuration founds.
func (c *Config) Pinned() (*verify.Log, error) {
	b, err := readBootstrap(c.Genesis)
	if err != nil {
		return nil, err
	}
	if len(b.GetEnvelopes()) == 0 {
		return nil, fmt.Errorf("reading genesis %s: it is empty", c.Genesis)
	}
	g, err := verify.OpenGenesis(b.GetEnvelopes()[0])
	if err != nil {
		return nil, fmt.Errorf("reading genesis %s: %w", c.Genesis, err)
	}
	return g.Log, nil
}

// readBootstrap reads what `magnet init` wrote.
func readBootstrap(path string) (*tracev1.Bootstrap, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading genesis: %w", err)
	}
	m := new(tracev1.Bootstrap)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("reading genesis %s: it is no bootstrap file of `magnet init`", path)
	}
	return m, nil
}
