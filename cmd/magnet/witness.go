package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
)

func (a *app) witnessCommand() *cobra.Command {
	return group("witness", "Be a witness of others' ledgers", a.witnessInitCommand(), a.witnessRunCommand())
}

func (a *app) witnessInitCommand() *cobra.Command {
	var name string
	var dev bool
	cmd := &cobra.Command{
		Use: "init DIR --name NAME", Short: "Make the key of a witness", Args: cobra.ExactArgs(1),
		Long: `Make a directory with the key of a witness, and print the line that names it in
the policy files of others (C2SP tlog-policy). With --dev the key is in the clear.`,
		Example: "  magnet witness init w1 --name witness.test/w1",
		RunE: func(_ *cobra.Command, args []string) error {
			passphrase, err := a.newPassphrase(dev)
			if err != nil {
				return err
			}
			return a.initWitness(args[0], name, passphrase)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the witness, for instance its address without https://; never used again for another")
	cmd.Flags().BoolVar(&dev, "dev", false, "a key without a passphrase")
	must(cmd.MarkFlagRequired("name"))
	return cmd
}

func (a *app) initWitness(dir, name, passphrase string) error {
	skey, plain, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	vkey, err := f_note.VKeyToCosignatureV1(plain)
	if err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := keyfile.Write(filepath.Join(dir, "witness.key"), []byte(skey+"\n"), passphrase); err != nil {
		return err
	}
	if err := keyfile.Write(filepath.Join(dir, "witness.vkey"), []byte(vkey+"\n"), ""); err != nil {
		return err
	}
	a.say("Made the witness %s. In a policy file, with the address where you will run it:\n  witness %s %s https://...",
		name, filepath.Base(name), vkey)
	return nil
}

// witnessing is what `magnet witness run` is asked for.
type witnessing struct {
	dir, listen, certificate, key string
	cards, vkeys                  []string
}

func (a *app) witnessRunCommand() *cobra.Command {
	var w witnessing
	cmd := &cobra.Command{
		Use: "run DIR", Short: "Cosign the checkpoints of ledgers that only grow", Args: cobra.ExactArgs(1),
		Long: `Serve C2SP tlog-witness: cosign each checkpoint of the ledgers named that extends
the last one, and refuse others. What was cosigned is in DIR before the answer is
sent; never bring DIR back from a backup. A refused checkpoint that proves a fork is
kept in DIR, as a file for magnet fork verify.

Without --certificate it speaks plain HTTP: put a proxy with TLS before it.`,
		Example: "  magnet witness run w1 --ledger reg/ledger.card --listen 127.0.0.1:8080",
		RunE: func(cmd *cobra.Command, args []string) error {
			w.dir = args[0]
			return a.runWitness(cmd.Context(), w)
		},
	}
	cmd.Flags().StringVar(&w.listen, "listen", "127.0.0.1:8080", "address to serve on")
	cmd.Flags().StringVar(&w.certificate, "certificate", "", "PEM file of a TLS certificate")
	cmd.Flags().StringVar(&w.key, "key", "", "PEM file of its key")
	cmd.Flags().StringArrayVar(&w.cards, "ledger", nil, "ledger card of a ledger to watch; may be repeated")
	cmd.Flags().StringArrayVar(&w.vkeys, "log", nil, "verifier key of another log to watch; may be repeated")
	cmd.MarkFlagsRequiredTogether("certificate", "key")
	cmd.MarkFlagsOneRequired("ledger", "log")
	return cmd
}

func (a *app) runWitness(ctx context.Context, w witnessing) error {
	server, err := a.newWitness(w)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: server, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	if w.certificate != "" {
		pair, err := tls.LoadX509KeyPair(w.certificate, w.key)
		if err != nil {
			return fmt.Errorf("reading certificate: %w", err)
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	listener, err := net.Listen("tcp", w.listen)
	if err != nil {
		return err
	}
	a.say("Witnessing at %s.", listener.Addr())
	ended := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			ended <- s.ServeTLS(listener, "", "")
			return
		}
		ended <- s.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = s.Shutdown(patience)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// newWitness returns the witness of a directory.
func (a *app) newWitness(w witnessing) (*witness.Server, error) {
	path := filepath.Join(w.dir, "witness.key")
	skey, err := keyfile.Read(path, a.passphrase)
	if err != nil {
		return nil, err
	}
	signer, err := f_note.NewSignerForCosignatureV1(strings.TrimSpace(string(skey)))
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	logs := w.vkeys
	for _, path := range w.cards {
		card, err := client.ReadCard(path)
		if err != nil {
			return nil, err
		}
		logs = append(logs, card.GetCheckpointVkey())
	}
	return witness.NewServer(witness.ServerConfig{
		Signer: signer, Logs: logs, Dir: filepath.Join(w.dir, "logs"), Logger: slog.New(slog.NewTextHandler(a.err, nil)),
	})
}
