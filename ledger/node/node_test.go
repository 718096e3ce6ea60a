package node_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
)

// TestReady: each reason why nothing would be recorded is told as itself.
func TestReady(t *testing.T) {
	ca := certstest.New(t, "ledger.test")
	load := func(cert func() certs.Files) *certs.Reloader {
		r, err := certs.NewReloader(cert(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good := load(func() certs.Files { return ca.WriteFiles(t.TempDir(), ca.Server()) })
	ended := load(func() certs.Files {
		return ca.WriteFiles(t.TempDir(), ca.ParticipantAt("acme", time.Now().Add(-2*time.Hour), time.Hour))
	})
	now := time.Now()
	for name, test := range map[string]struct {
		reloader *certs.Reloader
		free     int64
		began    time.Time
		want     string
	}{
		"well":               {good, 1 << 40, time.Time{}, ""},
		"space unknown":      {good, -1, time.Time{}, ""},
		"a commit under way": {good, 1 << 40, now, ""},
		"a commit for long":  {good, 1 << 40, now.Add(-time.Minute), "a commit has been under way since"},
		"little space":       {good, 1<<30 - 1, time.Time{}, "the disk has 1073741823 bytes free, and 1073741824 are needed"},
		"certificate ended":  {ended, 1 << 40, time.Time{}, "the server's certificate ended at"},
	} {
		err := node.Ready(new(node.Config), test.reloader, test.free, test.began)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if free, err := node.FreeBytes(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
}

// TestEveryLimitCanBeConfigured: a limit of package rpc that the configuration
// does not reach is none of the operator's.
func TestEveryLimitCanBeConfigured(t *testing.T) {
	var c node.LimitsConfig
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		fields.Field(i).Set(reflect.ValueOf(i + 1).Convert(fields.Field(i).Type()))
	}
	limits := reflect.ValueOf(c.RPC())
	for i := range limits.NumField() {
		name := limits.Type().Field(i).Name
		if want := fields.FieldByName(name); !want.IsValid() || !want.Equal(limits.Field(i)) {
			t.Errorf("%s cannot be configured", name)
		}
	}
}

// TestConfigKeys: what was added to the configuration is read from it, and paths
// are relative to the file.
func TestConfigKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "magnetd.yaml")
	content := `listen: a:1
data_dir: /d
genesis: g
checkpoint_key: c
trust_domain: ledger.test
tls: {certificate: a, key: b, client_ca: c, crl: d, check_interval: 7s}
monitor: {listen: "127.0.0.1:0", profiles: true}
public: {listen: "a:2", certificate: e, key: f, connections: 5}
witnesses: {policy: g, timeout: 4s, patience: 3s}
limits: {connections_per_participant: 3, reads_per_second: 1.5, send_timeout: 9s, stream_bytes: 4096}
`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := node.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS.CRL != filepath.Join(filepath.Dir(path), "d") || c.TLS.CheckInterval != 7*time.Second || !c.Monitor.Profiles ||
		c.Public != (node.PublicConfig{Listen: "a:2", Certificate: filepath.Join(filepath.Dir(path), "e"), Key: filepath.Join(filepath.Dir(path), "f"), Connections: 5}) ||
		c.Witnesses != (node.WitnessesConfig{Policy: filepath.Join(filepath.Dir(path), "g"), Timeout: 4 * time.Second, Patience: 3 * time.Second}) ||
		c.Limits.ConnectionsPerParticipant != 3 || c.Limits.ReadsPerSecond != 1.5 || c.Limits.SendTimeout != 9*time.Second || c.Limits.StreamBytes != 4096 {
		t.Errorf("got %+v", c)
	}
}

// TestConfigRefuses: what contradicts itself is said to.
func TestConfigRefuses(t *testing.T) {
	const good = `listen: a:1
data_dir: /d
genesis: g
checkpoint_key: c
trust_domain: ledger.test
tls: {certificate: a, key: b, client_ca: c}
`
	for line, want := range map[string]string{
		"public: {certificate: a}":                             "certificate and key go together",
		"public: {behind_proxy: true, certificate: a, key: b}": "not with behind_proxy",
		"public: {connections: -1}":                            "connections",
		"witnesses: {timeout: -1s}":                            "witnesses.timeout",
		"witnesses: {patience: -1s}":                           "witnesses.patience",
		"limits: {connections: -1}":                            "limits.connections",
		"monitor: {path: x}":                                   "path",
	} {
		path := filepath.Join(t.TempDir(), "magnetd.yaml")
		if err := os.WriteFile(path, []byte(good+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := node.ReadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestCommitsFitTheStore: limits whose commits the store would refuse are found out
// at the start, and not by the writer.
func TestCommitsFitTheStore(t *testing.T) {
	if err := node.CommitsFit(node.LimitsConfig{}, 2_516_582); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if err := node.CommitsFit(node.LimitsConfig{CommitStatements: 100_000}, 2_516_582); err == nil || !strings.Contains(err.Error(), "limits.commit_statements") {
		t.Errorf("large commits: %v", err)
	}
}
