// Command magnetd serves a ledger: it records signed statements and answers
// queries and audits over gRPC with mutual TLS.
//
//	magnetd --config reg/magnetd.yaml
//
// The configuration, and all else that it needs, is made by `magnet init`. It
// stops on SIGINT and SIGTERM, letting calls under way finish, and exits with 0,
// or with 1 when it could not start or its writer failed. On SIGHUP it reads its
// TLS files again at once. What its alarms mean and what to do, RUNBOOK.md says.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "magnetd:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:           "magnetd --config FILE",
		Short:         "Serve a ledger over gRPC with mutual TLS",
		Example:       "  magnet init reg --origin ledger.test/2026 --dev\n  magnetd --config reg/magnetd.yaml",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), config) },
	}
	cmd.Flags().StringVar(&config, "config", "", "the configuration that `magnet init` wrote")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func serve(ctx context.Context, config string) error {
	cfg, err := node.ReadConfig(config)
	if err != nil {
		return err
	}
	logger, err := newLogger(cfg.Log)
	if err != nil {
		return err
	}
	cfg.LimitMemory()
	n, err := node.Open(ctx, cfg, passphrase, logger)
	if errors.Is(err, ledger.ErrDamaged) {
		return fmt.Errorf("%w: restore %s from a backup, and keep the damaged files as evidence", err, cfg.DataDir)
	}
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-hup:
				n.Reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	v := n.Ledger().View()
	logger.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("address", n.Addr()),
		slog.String("origin", n.Ledger().Genesis().Log.Origin()), slog.String("ledger_id", n.Ledger().Genesis().Log.ID().String()),
		slog.Uint64("size", v.Size()))
	v.Close()
	if address := n.MonitorAddr(); address != "" {
		logger.LogAttrs(ctx, slog.LevelInfo, "monitor", slog.String("address", address))
	}
	if address := n.PublicAddr(); address != "" {
		logger.LogAttrs(ctx, slog.LevelInfo, "public log", slog.String("address", address))
	}
	if err := n.Serve(ctx); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

func newLogger(c node.LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if c.Level != "" {
		if err := level.UnmarshalText([]byte(c.Level)); err != nil {
			return nil, fmt.Errorf("log.level: %w", err)
		}
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.Format {
	case "", "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("log.format: %q is neither text nor json", c.Format)
}

// passphrase takes the passphrase of the server's keys from the environment, or
// from the systemd credential "passphrase": a service has nobody to ask.
func passphrase(path string) (string, error) {
	if p := os.Getenv("MAGNET_PASSPHRASE"); p != "" {
		return p, nil
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		p, err := os.ReadFile(filepath.Join(dir, "passphrase"))
		if err != nil {
			return "", fmt.Errorf("%s is encrypted: reading the credential: %w", path, err)
		}
		return strings.TrimSuffix(string(p), "\n"), nil
	}
	return "", fmt.Errorf("%s is encrypted: set MAGNET_PASSPHRASE, or give the systemd credential passphrase", path)
}
