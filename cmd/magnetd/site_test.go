package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// site is the directory of a ledger, with what its server logged.
type site struct {
	t       *testing.T
	dir     string
	address string
	log     safeBuffer
}

// safeBuffer is a buffer that the processes of a site write to, one after
// another.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newSite founds a ledger. Its server does not run yet.
func newSite(t *testing.T) *site {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), address: address}
	s.magnet("init", "reg", "--origin", "ledger.test/2026", "--dev", "--listen", address)
	return s
}

// magnet runs the command line in the directory of the site.
func (s *site) magnet(args ...string) {
	s.t.Helper()
	cmd := exec.Command("magnet", args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("magnet %q: %v\n%s", args, err, out)
	}
}

// enrol makes a producer.
func (s *site) enrol(id string) {
	s.t.Helper()
	s.magnet("enroll", "request", "--ledger", "reg/ledger.card", "--id", id, "--name", "The firm "+id, "--country", "CN", "--out", id, "--dev")
	s.magnet("-p", "reg/profiles/authority.yaml", "enroll", "approve", id+"/request.json", "--role", "producer")
	s.magnet("enroll", "finish", id, id+"/approval.json")
}

// process is a run of magnetd.
type process struct {
	site    *site
	cmd     *exec.Cmd
	started time.Time
}

// start starts the server, and does not wait for it.
func (s *site) start() *process {
	s.t.Helper()
	cmd := exec.Command("magnetd", "--config", filepath.Join(s.dir, "reg", "magnetd.yaml"))
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{site: s, cmd: cmd, started: time.Now()}
	s.t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has failed
	return p
}

// serving waits until the server answers a participant, and returns how long
// that took since it was started.
func (p *process) serving(ctx context.Context, as *client.Client) time.Duration {
	p.site.t.Helper()
	for {
		conn, err := net.Dial("tcp", p.site.address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if ctx.Err() != nil || p.cmd.Process.Signal(syscall.Signal(0)) != nil {
			p.site.t.Fatalf("the server does not listen: %v\n%s", err, p.site.log.String())
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := as.Checkpoint(ctx); err != nil {
		p.site.t.Fatalf("the server does not answer: %v\n%s", err, p.site.log.String())
	}
	return time.Since(p.started)
}

// kill kills the server as a crash would.
func (p *process) kill() {
	p.site.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.site.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err == nil || p.cmd.ProcessState.Exited() {
		p.site.t.Fatalf("the server ended by itself: %v\n%s", err, p.site.log.String())
	}
}

// stop stops the server as an operator would.
func (p *process) stop() {
	p.site.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.site.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil || !strings.HasSuffix(p.site.log.String(), "msg=stopped\n") {
		p.site.t.Errorf("the server stopped: %v\n%s", err, p.site.log.String())
	}
}

// dial returns a client of the participant whose keys are in a directory.
func (s *site) dial(dir string) *client.Client {
	s.t.Helper()
	card, err := client.ReadCard(filepath.Join(s.dir, "reg", "ledger.card"))
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(client.Config{Card: card, Certificate: s.certificate(dir), Window: 128, Patience: time.Minute, Timeout: 10 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *site) certificate(dir string) tls.Certificate {
	s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, dir, "tls.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	chain, err := certs.ParseCertificates(pem)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := keyfile.ReadSigner(filepath.Join(s.dir, dir, "tls.key"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate, err := certs.KeyPair(chain, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return certificate
}

// author returns what signs for a producer.
func (s *site) author(id string, log *verify.Log) *client.Author {
	s.t.Helper()
	key, err := keyfile.ReadSigner(filepath.Join(s.dir, id, "signing.key"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := verify.NewSigner(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return &client.Author{ID: id, Signer: signer, Log: log}
}
