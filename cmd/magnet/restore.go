package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/backup"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// restoreRun is a run of `magnet restore`.
type restoreRun struct {
	*app
	from, to, config, card, anchor, kept, identity string
	acceptLoss                                     bool
}

func (a *app) restoreCommand() *cobra.Command {
	r := &restoreRun{app: a}
	cmd := &cobra.Command{
		Use: "restore BACKUP", Short: "Verify a backup, and make a data directory of it", Args: cobra.ExactArgs(1),
		Long: `Verify a backup, a directory, the file of a stream, or - for a stream on standard
input, and make of it a data directory that magnetd serves: the seal of each file,
the chain, each signature, each rule, the root of each checkpoint. The ledger it is
believed to be is that of --config or --ledger, never that of the backup.

The data directory must hold no store. An anchor in it counts, and one that is named
with --anchor, and a checkpoint that somebody kept, with --checkpoint: a backup that
has less than they say was acknowledged is refused. Without any of them nobody here
knows what was acknowledged: ask auditors and participants first.

--accept-loss restores a backup all the same that has less. The ledger must not go
on under its checkpoint key then, since two logs of one key prove fraud: magnetd
refuses to start until there is a new epoch.`,
		Example: `  magnet restore /backup/ledger --config reg/magnetd.yaml --checkpoint auditors.checkpoint
  magnet restore ledger.backup --ledger reg/ledger.card --to data --identity key.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.from = args[0]
			return r.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&r.config, "config", "", "configuration of the server that is to serve it")
	cmd.Flags().StringVar(&r.card, "ledger", "", "ledger card, got out of band, in place of --config")
	cmd.Flags().StringVar(&r.to, "to", "", "data directory to make (default: that of the configuration)")
	cmd.Flags().StringVar(&r.anchor, "anchor", "", "an anchor file that counts, of the disk that was lost")
	cmd.Flags().StringVar(&r.kept, "checkpoint", "", "a checkpoint that somebody kept, as `magnet checkpoint` prints it")
	cmd.Flags().StringVar(&r.identity, "identity", "", "file of age identities that decrypt the backup")
	cmd.Flags().BoolVar(&r.acceptLoss, "accept-loss", false, "restore a backup that lacks what was acknowledged; a new epoch is required then")
	return cmd
}

func (r *restoreRun) run(ctx context.Context) error {
	cfg, log, err := r.ledger()
	if err != nil {
		return err
	}
	kept, err := r.keptCheckpoint(log)
	if err != nil {
		return err
	}
	b, done, err := r.open()
	if err != nil {
		return asAnswer(err)
	}
	defer done()
	total := b.Manifest().Size()
	bar := r.bar("restoring", total)
	restore := node.Restore{
		Backup: b, Log: log, DataDir: cfg.DataDir, Anchor: r.anchor, Kept: kept, AcceptLoss: r.acceptLoss,
		MinFreeBytes: cfg.Limits.MinFreeBytes, Limits: cfg.Limits,
		Progress: func(done, _ uint64) { _ = bar.Set64(int64(done)) },
		Logger:   slog.New(slog.NewTextHandler(r.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	restored, err := restore.Run(ctx)
	_ = bar.Close()
	if err != nil {
		return asAnswer(err)
	}
	return r.report(restored, cfg.DataDir)
}

// ledger returns which ledger is expected, and where it is to be.
func (r *restoreRun) ledger() (*node.Config, *verify.Log, error) {
	switch {
	case (r.config == "") == (r.card == ""):
		return nil, nil, errors.New("name the ledger: with --config FILE, or with --ledger CARD and --to DIR")
	case r.card != "" && r.to == "":
		return nil, nil, errors.New("--ledger needs --to DIR")
	case r.card != "":
		card, err := client.ReadCard(r.card)
		if err != nil {
			return nil, nil, err
		}
		log, err := client.Pin(card)
		return &node.Config{DataDir: r.to}, log, err
	}
	cfg, err := node.ReadConfig(r.config)
	if err != nil {
		return nil, nil, err
	}
	if r.to != "" {
		cfg.DataDir = r.to
	}
	log, err := cfg.Pinned()
	return cfg, log, err
}

func (r *restoreRun) keptCheckpoint(log *verify.Log) (*verify.Checkpoint, error) {
	if r.kept == "" {
		return nil, nil
	}
	note, err := os.ReadFile(r.kept)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint: %w", err)
	}
	return log.OpenCheckpoint(note)
}

// open opens the backup. A stream is copied from standard input first: what it is
// made of stands at its end.
func (r *restoreRun) open() (b *backup.Backup, done func(), err error) {
	if r.from != "-" {
		b, err := backup.Open(r.from, r.identity)
		return b, func() { _ = b.Close() }, err
	}
	f, err := os.CreateTemp("", "magnet-restore-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.Remove(f.Name()) }
	_, err = io.Copy(f, r.in)
	if err = errors.Join(err, f.Close()); err == nil {
		b, err = backup.Open(f.Name(), r.identity)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return b, func() { _ = b.Close(); remove() }, nil
}

// restoration is the report of restore for programs.
type restoration struct {
	Size       uint64 `json:"size,string"`
	Checkpoint string `json:"checkpoint"`
	// Compared says that it was compared with what was acknowledged.
	Compared bool   `json:"compared"`
	Missing  uint64 `json:"missing,string"`
	DataDir  string `json:"data_dir"`
}

func (r *restoreRun) report(out *node.Restored, dir string) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(restoration{out.Checkpoint.Size, string(out.Checkpoint.Note), out.Known, out.Missing, dir})
	}
	r.say("Restored %d entries to %s: every seal, link, signature, rule and checkpoint is sound.", out.Checkpoint.Size, dir)
	switch {
	case out.Missing > 0:
		r.say("%d entries that were acknowledged are missing. magnetd refuses to start there: a new epoch is required.", out.Missing)
	case !out.Known:
		r.say("Nothing here tells what was acknowledged after that. Before you serve it, ask auditors for the\nlatest checkpoint they kept: if it is larger than %d, find a newer backup.", out.Checkpoint.Size)
	}
	return nil
}
