// Package node is a running ledger: it reads a configuration, opens store,
// anchor and ledger, and serves them over gRPC until it is told to stop.
package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
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
	// Log says how to log.
	Log LogConfig `yaml:"log,omitempty"`
	// ShutdownGrace is how long calls under way may take when the server stops;
	// 10 s if absent.
	ShutdownGrace time.Duration `yaml:"shutdown_grace,omitempty"`
}

// TLSConfig are PEM files. They are read again while the server runs.
type TLSConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	ClientCA    string `yaml:"client_ca"`
}

// LimitsConfig are limits of transport; those that decide what is recorded are
// on the log.
type LimitsConfig struct {
	MessageBytes      int           `yaml:"message_bytes,omitempty"`
	StreamInFlight    int           `yaml:"stream_in_flight,omitempty"`
	ConcurrentStreams uint32        `yaml:"concurrent_streams,omitempty"`
	CallTimeout       time.Duration `yaml:"call_timeout,omitempty"`
	ConnectionAge     time.Duration `yaml:"connection_age,omitempty"`
	Connections       int           `yaml:"connections,omitempty"`
	QueueStatements   int64         `yaml:"queue_statements,omitempty"`
	QueueBytes        int64         `yaml:"queue_bytes,omitempty"`
	CommitStatements  int           `yaml:"commit_statements,omitempty"`
	ClockBehind       time.Duration `yaml:"clock_behind,omitempty"`
	MinFreeBytes      int64         `yaml:"min_free_bytes,omitempty"`
	MemoryBytes       int64         `yaml:"memory_bytes,omitempty"`
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
		MessageBytes: l.MessageBytes, StreamInFlight: l.StreamInFlight, ConcurrentStreams: l.ConcurrentStreams,
		CallTimeout: l.CallTimeout, ConnectionAge: l.ConnectionAge,
	}
}

func (l LimitsConfig) ledger() ledger.Limits {
	return ledger.Limits{
		QueueStatements: l.QueueStatements, QueueBytes: l.QueueBytes,
		CommitStatements: l.CommitStatements, ClockBehind: l.ClockBehind,
	}
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
	for _, p := range []*string{&c.DataDir, &c.Genesis, &c.CheckpointKey, &c.TLS.Certificate, &c.TLS.Key, &c.TLS.ClientCA} {
		if !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return c, nil
}

// Write writes the configuration to a new file.
func (c *Config) Write(path string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	return keyfile.Write(path, b, "")
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
