package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// benchServeCommand is the server of bench, in a process of its own so that its
// costs can be told from those of the load.
func (a *app) benchServeCommand() *cobra.Command {
	var profile string
	cmd := &cobra.Command{
		Use: "bench-serve CONFIG", Hidden: true, Args: cobra.ExactArgs(1),
		Long:    "Serve a ledger until the standard input ends, on any free port, whose address is printed.",
		Example: "  magnet bench-serve reg/magnetd.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.benchServe(cmd.Context(), args[0], profile)
		},
	}
	cmd.Flags().StringVar(&profile, "profile-to", "", "write a CPU profile to this file")
	return cmd
}

func (a *app) benchServe(ctx context.Context, config, profile string) error {
	cfg, err := node.ReadConfig(config)
	if err != nil {
		return err
	}
	cfg.Listen = "127.0.0.1:0"
	cfg.LimitMemory()
	n, err := node.Open(ctx, cfg, nil, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	if profile != "" {
		out, err := os.Create(profile)
		if err != nil {
			return errors.Join(err, n.Close())
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return errors.Join(err, n.Close())
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Fprintln(a.out, n.Addr())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // the end of the input is also the end of the process that loads
		_, _ = io.Copy(io.Discard, a.in)
		stop()
	}()
	return n.Serve(ctx)
}

// throwAway is a ledger in a directory and the process that serves it.
type throwAway struct {
	dir     string
	keep    bool // the directory
	process *exec.Cmd
	input   io.Closer // its end stops the process
	address string
}

// openThrowAway founds a ledger, starts the server and enrols the producers.
func (b *bencher) openThrowAway(ctx context.Context) (err error) {
	s := &throwAway{dir: b.opts.dir, keep: b.opts.dir != ""}
	if !s.keep {
		if s.dir, err = os.MkdirTemp("", "magnet-bench-"); err != nil {
			return err
		}
	}
	b.server = s
	reg := filepath.Join(s.dir, "reg")
	if err := b.found(reg, founding{origin: "bench.ledger.test/1", listen: "127.0.0.1:7443", dev: true, offset: 8 * time.Hour}); err != nil {
		return err
	}
	if err := s.start(reg, b.opts.cpuProfile); err != nil {
		return err
	}
	authority, err := b.as(filepath.Join(reg, "profiles", "authority.yaml"), s.address)
	if err != nil {
		return err
	}
	defer authority.Close()
	for i := range b.opts.producers {
		p, err := b.enrolProducer(ctx, authority, fmt.Sprintf("producer-%d", i))
		if err != nil {
			return err
		}
		b.producers = append(b.producers, &benchSession{session: p})
	}
	return nil
}

// start runs the server and waits for its address.
func (s *throwAway) start(reg, cpuProfile string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"bench-serve", filepath.Join(reg, "magnetd.yaml")}
	if cpuProfile != "" {
		args = append(args, "--profile-to", cpuProfile)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = os.Stderr
	// Ctrl-C at a terminal is for the client, which stops the server when the
	// load has ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process, s.input = cmd, input
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the throw-away server did not start: %w", err)
	}
	s.address = strings.TrimSpace(line)
	return nil
}

func (s *throwAway) pid() int { return s.process.Process.Pid }

// stop ends the server and waits for it. It may be called again.
func (s *throwAway) stop() error {
	if s.process == nil || s.process.ProcessState != nil {
		return nil
	}
	_ = s.input.Close() // fails only if the server is gone, which Wait tells
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("the throw-away server: %w", err)
	}
	return nil
}

// remove stops the server and removes its directory, unless that is kept.
func (s *throwAway) remove() error {
	err := s.stop()
	if s.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// enrolProducer admits a producer and opens its profile.
func (b *bencher) enrolProducer(ctx context.Context, authority *session, id string) (*session, error) {
	dir := filepath.Join(b.server.dir, id)
	err := b.requestEnrolment(enrolment{card: filepath.Join(b.server.dir, "reg", "ledger.card"), id: id, name: id, country: "CN", out: dir, dev: true})
	if err != nil {
		return nil, err
	}
	approval := filepath.Join(dir, "approval.json")
	if err := authority.approve(ctx, filepath.Join(dir, "request.json"), approval, []tracev1.Role{tracev1.Role_ROLE_PRODUCER}); err != nil {
		return nil, err
	}
	if err := finishEnrolment(dir, approval); err != nil {
		return nil, err
	}
	return b.as(filepath.Join(dir, "profile.yaml"), b.server.address)
}
