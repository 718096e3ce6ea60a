package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/durable"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// publishing is what `magnet publish` is asked for.
type publishing struct {
	dir, from, card string
	follow          bool
	interval        time.Duration
}

func (a *app) publishCommand() *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use: "publish DIR", Short: "Write the public log into a folder that any web server can serve", Args: cobra.ExactArgs(1),
		Long: `Write checkpoint, tiles and entry bundles (C2SP tlog-tiles) into a folder, which
any web server, bucket or CDN can serve: readers then cost the ledger nothing.
Nothing commercial is in it.

It reads from the public address of a server (--from, with the ledger card), from
another such folder served by anybody, or as a participant (-p). Everything is
computed anew from the entries and must lead to the checkpoint, which must extend
the one that the folder has; it is written last. If it does not extend that one,
the proof of fork is left in DIR.fork.json, and nothing is published.`,
		Example: "  magnet publish /srv/log --from https://ledger.test:8443 --ledger ledger.card --follow\n  magnet -p reg/profiles/auditor.yaml publish /srv/log",
		RunE: func(cmd *cobra.Command, args []string) error {
			p.dir = args[0]
			return a.publish(cmd.Context(), p)
		},
	}
	cmd.Flags().StringVar(&p.from, "from", "", "address of a public log, https://...")
	cmd.Flags().StringVar(&p.card, "ledger", "", "ledger card, got out of band; with --from")
	cmd.Flags().BoolVar(&p.follow, "follow", false, "go on until interrupted")
	cmd.Flags().DurationVar(&p.interval, "interval", 5*time.Second, "how often to look, with --follow")
	cmd.MarkFlagsRequiredTogether("from", "ledger")
	return cmd
}

func (a *app) publish(ctx context.Context, p publishing) error {
	if p.interval <= 0 {
		return errors.New("--interval is not positive")
	}
	log, src, end, err := a.logSource(p)
	if err != nil {
		return err
	}
	defer end()
	folder, err := tlog.OpenFolder(p.dir, log)
	if err != nil {
		return err
	}
	for {
		err := a.publishOnce(ctx, folder, src, p.dir)
		if !p.follow || err != nil && !passes(err) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(a.err, "magnet:", errorText(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(p.interval):
		}
	}
}

// passes reports whether an error may be gone the next time.
func passes(err error) bool {
	return errors.Is(err, tlog.ErrBehind) || errors.Is(err, context.Canceled) || exitCode(err) == exitNoServer
}

// publishOnce brings a folder up to date.
func (a *app) publishOnce(ctx context.Context, f *tlog.Folder, src tlog.Source, dir string) error {
	from, to, err := f.Update(ctx, src)
	var fork *tlog.ForkError
	if errors.As(err, &fork) {
		return errors.Join(err, a.leaveProof(filepath.Clean(dir)+".fork.json", f.Log(), fork.Proof))
	}
	if err != nil {
		return err
	}
	if from != to {
		a.say("Published %d new entries, %d in all.", to-from, to)
	}
	return nil
}

// leaveProof writes a proof of fork and says so.
func (a *app) leaveProof(path string, log *verify.Log, fork *verify.Fork) error {
	b, err := log.MarshalFork(fork)
	if err != nil {
		return err
	}
	if err := durable.Write(path, b, 0o644); err != nil {
		return fmt.Errorf("leaving the proof of fork: %w", err)
	}
	a.say("The proof is in %s. Whoever has the ledger card can check it:\n  magnet fork verify %s --ledger ledger.card", path, path)
	return nil
}

// logSource returns a log to read, and what ends the reading.
func (a *app) logSource(p publishing) (*verify.Log, tlog.Source, func(), error) {
	if p.from == "" {
		s, err := a.session()
		if err != nil {
			return nil, nil, nil, err
		}
		return s.client.Log(), participantSource{s.client}, s.Close, nil
	}
	card, err := client.ReadCard(p.card)
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := client.Pin(card)
	if err != nil {
		return nil, nil, nil, err
	}
	c := publicClient(card)
	return log, &tlog.Site{URL: p.from, Client: c}, c.CloseIdleConnections, nil
}

// publicClient returns an HTTP client that trusts the authority of a ledger beside
// those that the system trusts.
func publicClient(card *tracev1.LedgerCard) *http.Client {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(card.GetCaPem()))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// participantSource is the log as a participant reads it.
type participantSource struct{ client *client.Client }

// Checkpoint implements tlog.Source.
func (s participantSource) Checkpoint(ctx context.Context) ([]byte, error) {
	cp, err := s.client.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return cp.Note, nil
}

// Entries implements tlog.Source.
func (s participantSource) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	return s.client.ReadEntries(ctx, start, end, visit)
}
