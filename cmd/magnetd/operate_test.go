package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// configure adds lines to the configuration of the server.
func (s *site) configure(replacements ...string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "reg", "magnetd.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	text := strings.NewReplacer(replacements...).Replace(string(content))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// page asks the monitor.
func page(t *testing.T, address, path string) (code int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// metric returns the value of a series without labels, or with those given.
func metric(t *testing.T, address, series string) string {
	t.Helper()
	_, text := page(t, address, "/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Errorf("no metric %s", series)
	return ""
}

// revoke writes a CRL of the ledger's authority.
func (s *site) revoke(number int64, revoked ...*x509.Certificate) {
	s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, "reg", "ca", "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := keyfile.ReadSigner(filepath.Join(s.dir, "reg", "ca", "ca.key"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	authority, err := certs.ParseAuthority(pem, key)
	if err != nil {
		s.t.Fatal(err)
	}
	var serials []*big.Int
	for _, cert := range revoked {
		serials = append(serials, cert.SerialNumber)
	}
	crl, err := authority.Revoke(number, time.Now(), time.Now().Add(time.Hour), serials...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.replaceFile("crl.pem", crl)
}

// replaceFile replaces a file of the server as an operator should.
func (s *site) replaceFile(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, "reg", name)
	if err := errors.Join(os.WriteFile(path+".new", content, 0o600), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
}

// openStream opens a stream of submissions with the certificate in a directory.
func (s *site) openStream(ctx context.Context, dir string) grpc.ClientStream {
	s.t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.dir, "reg", "ca", "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	authorities, err := certs.ParseCertificates(ca)
	if err != nil {
		s.t.Fatal(err)
	}
	pool, err := certs.NewPool(authorities...)
	if err != nil {
		s.t.Fatal(err)
	}
	config := certs.ClientConfig(s.certificate(dir), pool, "ledger.test", "")
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	stream, err := ledgerv1.NewSubmissionServiceClient(conn).SubmitStream(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := stream.Send(&ledgerv1.SubmitStreamRequest{Items: []*ledgerv1.SubmitItem{{Sequence: 1}}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// TestOperate runs a server as an operator would: it looks at the monitor,
// revokes a certificate, breaks a file and mends it, and never restarts.
func TestOperate(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := newSite(t)
	watched, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s.configure("client_ca: ca/ca.pem", "client_ca: ca/ca.pem\n  crl: crl.pem\n  check_interval: 1h",
		"shutdown_grace: 10s", "shutdown_grace: 1s\nmonitor: {listen: \""+watched+"\", profiles: true}\nlog: {format: json}")
	s.revoke(1)
	auditor := s.dial("reg/auditor")
	p := s.start()
	p.serving(ctx, auditor)
	s.enrol("acme")

	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n", "/debug/pprof/cmdline": "magnetd"} {
		if code, body := page(t, watched, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	for series, want := range map[string]string{
		"magnet_log_entries": "5", "magnet_writer_running": "1", "magnet_ready": "1", "magnet_queue_statements": "0", "magnet_queue_bytes": "0",
		"magnet_tls_reload_failed": "0", `magnet_commit_seconds_count{step="store"}`: "1", `magnet_commit_seconds_count{step="anchor"}`: "1",
		`magnet_submissions_total{outcome="recorded",reason=""}`: "2", "magnet_commit_bytes_count": "1",
		`magnet_limit_exceeded_total{limit="calls_per_participant"}`: "0",
	} {
		got := metric(t, watched, series)
		if strings.HasPrefix(series, "magnet_commit") && got != "0" { // the acts may share a commit or not
			continue
		}
		if got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	for _, series := range []string{
		"magnet_checkpoint_age_seconds", "magnet_store_bytes", "magnet_disk_free_bytes", "magnet_disk_min_free_bytes", "magnet_connections",
		"magnet_tls_certificate_expiry_timestamp_seconds", "magnet_tls_crl_next_update_timestamp_seconds", "go_goroutines", "process_resident_memory_bytes",
	} {
		if got := metric(t, watched, series); got == "NaN" || series != "magnet_store_bytes" && got == "0" {
			t.Errorf("%s is %s", series, got)
		}
	}

	runbook, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text := page(t, watched, "/metrics")
	for _, name := range regexp.MustCompile(`\b(magnet|process)_[a-z_]+[a-z]\b`).FindAllString(string(runbook), -1) {
		if !strings.Contains(text, name) {
			t.Errorf("the runbook speaks of %s, which there is not", name)
		}
	}
	for _, m := range regexp.MustCompile(`limit_exceeded_total{limit="([a-z_]+)"}`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(runbook), "`"+m[1]+"`") {
			t.Errorf("the runbook does not speak of the limit %s", m[1])
		}
	}

	stream := s.openStream(ctx, "acme")
	s.revoke(2, s.certificate("acme").Leaf)
	p.signal(syscall.SIGHUP)
	if err := stream.RecvMsg(new(ledgerv1.SubmitStreamResponse)); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream of a revoked certificate ended with %v", err)
	}
	if _, err := auditor.Checkpoint(ctx); err != nil {
		t.Error(err)
	}
	if got := metric(t, watched, "magnet_connections_expelled_total"); got != "1" {
		t.Errorf("%s connections were expelled", got)
	}

	s.replaceFile("crl.pem", []byte("broken"))
	p.signal(syscall.SIGHUP)
	s.await(ctx, watched, "magnet_tls_reload_failed", "1")
	s.revoke(3)
	p.signal(syscall.SIGHUP)
	s.await(ctx, watched, "magnet_tls_reload_failed", "0")
	s.openStream(ctx, "acme")
	p.signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it stopped with %v", err)
	}
	for _, want := range []string{`"msg":"TLS files were not reloaded; the old ones stay in use"`, `"msg":"the certificate of a peer is no longer good`, `"msg":"stopped"`} {
		if strings.Count(s.log.String(), want) != 1 {
			t.Errorf("the log has not %s once:\n%s", want, s.log.String())
		}
	}
}

func (p *process) signal(sig os.Signal) {
	p.site.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.site.t.Fatal(err)
	}
}

// await waits until a metric has a value.
func (s *site) await(ctx context.Context, address, series, want string) {
	s.t.Helper()
	for metric(s.t, address, series) != want {
		if ctx.Err() != nil {
			s.t.Fatalf("%s does not become %s", series, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestTracesAreExported: with an endpoint in the environment, spans of calls go
// there, without anything of a statement.
func TestTracesAreExported(t *testing.T) {
	var mu sync.Mutex
	var got bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = got.ReadFrom(r.Body)
		got.WriteString(r.URL.Path)
	}))
	defer collector.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := newSite(t)
	auditor := s.dial("reg/auditor")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	p := s.start()
	p.serving(ctx, auditor)
	s.enrol("acme")
	p.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"/v1/traces", "magnetd", "magnet.ledger.v1.SubmissionService/Submit"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("the collector did not get %q", want)
		}
	}
	for _, secret := range []string{"acme", "The firm"} {
		if strings.Contains(got.String(), secret) {
			t.Errorf("the collector got %q", secret)
		}
	}
}

// TestPublicLog: strangers read the log over HTTPS, without a certificate of
// their own, with the cosignature of a witness, and nothing else of the server's.
func TestPublicLog(t *testing.T) {
	s := newSite(t)
	public, watching := freeAddresses(t)
	s.magnet("witness", "init", "w1", "--name", "witness.test/w1", "--dev")
	vkey, err := os.ReadFile(filepath.Join(s.dir, "w1", "witness.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	policy := "witness w1 " + strings.TrimSpace(string(vkey)) + " http://" + watching + "\nquorum w1\n"
	s.replaceFile("witnesses.policy", []byte(policy))
	s.configure("data_dir: data\n", "data_dir: data\npublic: {listen: \""+public+"\"}\nwitnesses: {policy: witnesses.policy}\n")
	p := s.start()
	c := s.dial("reg/auditor")
	p.serving(t.Context(), c)
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authorities()}}}
	get := func(path string) (int, []byte) {
		resp, err := stranger.Get("https://" + public + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	latest, err := c.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if code, b := get("/checkpoint"); code != http.StatusOK || !bytes.Equal(b, latest.Note) {
		t.Errorf("checkpoint: %d %q, want %q", code, b, latest.Note)
	}
	if code, b := get("/tile/entries/000.p/3"); code != http.StatusOK || len(b) != 3*84 {
		t.Errorf("entries: %d, %d bytes", code, len(b))
	}
	if code, _ := get("/metrics"); code != http.StatusNotFound {
		t.Errorf("metrics: %d", code)
	}
	witness := exec.Command("magnet", "witness", "run", "w1", "--ledger", "reg/ledger.card", "--listen", watching)
	witness.Dir, witness.Stderr = s.dir, &s.log
	if err := witness.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = witness.Process.Kill()
		_ = witness.Wait()
	}()
	demanded, err := verify.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, b := get("/checkpoint")
		cp, err := c.Log().OpenCheckpoint(b)
		if err == nil {
			err = demanded.Check(c.Log(), cp)
		}
		if err == nil {
			break
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("the witness was up for 30 s: %v", err)
		}
	}
	p.stop()
}

func freeAddresses(t *testing.T) (one, other string) {
	t.Helper()
	one, err := freeAddress()
	if err == nil {
		other, err = freeAddress()
	}
	if err != nil {
		t.Fatal(err)
	}
	return one, other
}

// authorities returns the authority of the ledger's certificates.
func (s *site) authorities() *x509.CertPool {
	s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, "reg", "ca", "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
