package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/backup"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// backupRun is a run of `magnet backup`.
type backupRun struct {
	*app
	to         string
	config     string
	dataDir    string
	recipients []string
}

func (a *app) backupCommand() *cobra.Command {
	r := &backupRun{app: a}
	cmd := &cobra.Command{
		Use: "backup DIR|-", Short: "Copy the log out of the ledger, and go on with a copy", Args: cobra.ExactArgs(1),
		Long: `Copy every statement, as it was signed, under the signed checkpoint: into DIR,
from where it ends on, or with - as one stream to standard output.

From a running server, as a regulator or as an auditor that may read everything. Or
from a stopped one, on its machine: with --config, and --data-dir for a directory
that the configuration does not name.

Every entry is hashed from its statement and chained to the one before it, and all
lead to the root of the checkpoint, before the backup says that it covers them. A
run that was interrupted is gone on with by the next. Signatures and rules are
verified by ` + "`magnet restore`" + `.

With --recipient it is encrypted with age, so that whoever gets hold of it cannot
read it; who makes it needs no secret. A DIR that was begun so stays so.`,
		Example: `  magnet -p reg/profiles/regulator.yaml backup /backup/ledger
  magnet -p reg/profiles/regulator.yaml backup - --recipient age1... > ledger.backup
  magnet backup /backup/ledger --config reg/magnetd.yaml --data-dir reg/data`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.to = args[0]
			return r.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&r.config, "config", "", "configuration of a stopped server, to read its data directory")
	cmd.Flags().StringVar(&r.dataDir, "data-dir", "", "data directory of a stopped server, in place of the configuration's; needs --config")
	cmd.Flags().StringArrayVar(&r.recipients, "recipient", nil, "encrypt to an age recipient, age1...; may be repeated")
	return cmd
}

func (r *backupRun) run(ctx context.Context) error {
	switch {
	case r.config != "":
		return r.offline(ctx)
	case r.dataDir != "":
		return errors.New("--data-dir needs --config: the configuration names the genesis and the checkpoint key")
	}
	return r.online(ctx)
}

// online backs up from a running server.
func (r *backupRun) online(ctx context.Context) error {
	s, err := r.session()
	if err != nil {
		return err
	}
	defer s.Close()
	return r.write(s.client.Log(), func(w *backup.Writer) (*verify.Checkpoint, error) {
		cp, err := s.client.Checkpoint(ctx)
		if err != nil {
			return nil, err
		}
		if kept := w.Manifest().Checkpoint(); kept != nil {
			if err := s.client.Extends(ctx, kept, cp); err != nil {
				return nil, err
			}
		}
		bar := r.bar("backing up", cp.Size)
		defer bar.Close()
		return cp, s.client.Entries(ctx, min(w.Size(), cp.Size), cp.Size, func(entry []byte, env *tracev1.Envelope) error {
			if env == nil {
				return no("entry %d was shown without its statement: back up as a regulator, or as an auditor that may read everything (`magnet grant reading`)", w.Size())
			}
			e, err := verify.ParseEntry(entry)
			if err != nil {
				return err
			}
			_ = bar.Set64(int64(e.Index))
			return w.Add(e, env)
		})
	})
}

// offline backs up from a data directory.
func (r *backupRun) offline(ctx context.Context) error {
	cfg, err := node.ReadConfig(r.config)
	if err != nil {
		return err
	}
	if r.dataDir != "" {
		cfg.DataDir = r.dataDir
	}
	n, err := node.OpenOffline(ctx, cfg, r.passphrase, slog.New(slog.NewTextHandler(r.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return asAnswer(err)
	}
	defer n.Close()
	v := n.Ledger().View()
	defer v.Close()
	return r.write(n.Ledger().Genesis().Log, func(w *backup.Writer) (*verify.Checkpoint, error) {
		cp := v.Checkpoint()
		bar := r.bar("backing up", cp.Size)
		defer bar.Close()
		return cp, v.Records(ctx, min(w.Size(), cp.Size), cp.Size, func(record ledger.Record) error {
			_ = bar.Set64(int64(record.Entry.Index))
			return w.Add(record.Entry, record.Envelope)
		})
	})
}

// write begins a backup, or goes on with one. add adds what is new and returns the
// checkpoint that covers it.
func (r *backupRun) write(log *verify.Log, add func(*backup.Writer) (*verify.Checkpoint, error)) error {
	began := time.Now()
	w, err := r.open(log)
	if err != nil {
		return asAnswer(err)
	}
	before, size := w.Manifest().Size(), w.Manifest().Bytes()
	cp, err := add(w)
	if err == nil {
		err = w.Finish(cp)
	}
	m := w.Manifest()
	if err := errors.Join(err, w.Close()); err != nil {
		return asAnswer(err)
	}
	if r.json && r.to != "-" {
		return json.NewEncoder(r.out).Encode(backedUp{
			From: before, To: cp.Size, Bytes: m.Bytes() - size, Segments: len(m.Segments), TotalBytes: m.Bytes(),
			Encrypted: len(m.Recipients) > 0, Seconds: time.Since(began).Seconds(), Checkpoint: string(cp.Note),
		})
	}
	to := r.out
	if r.to == "-" {
		to = r.err
	}
	fmt.Fprintf(to, "Backed up %d new entries, %d in all, in %s bytes; the checkpoint of size %d covers them.\n", cp.Size-before, cp.Size, grouped(fmt.Sprint(m.Bytes())), cp.Size)
	return nil
}

// backedUp is the report of backup for programs.
type backedUp struct {
	From       uint64  `json:"from,string"`
	To         uint64  `json:"to,string"`
	Bytes      int64   `json:"bytes,string"`
	Segments   int     `json:"segments"`
	TotalBytes int64   `json:"total_bytes,string"`
	Encrypted  bool    `json:"encrypted"`
	Seconds    float64 `json:"seconds"`
	Checkpoint string  `json:"checkpoint"`
}

func (r *backupRun) open(log *verify.Log) (*backup.Writer, error) {
	opts := backup.Options{Recipients: r.recipients}
	if r.to == "-" {
		return backup.NewStream(r.out, log, opts)
	}
	return backup.OpenDir(r.to, log, opts)
}

// bar returns a progress bar for entries.
func (a *app) bar(what string, total uint64) *progressbar.ProgressBar {
	return a.progress(what, int(min(total, 1<<62)))
}

// asAnswer says "no" of what is wrong with a backup or with a ledger, and not with
// the command.
func asAnswer(err error) error {
	for _, target := range []error{
		backup.ErrDamaged, backup.ErrIncomplete, backup.ErrNotLog, backup.ErrOtherLedger, backup.ErrIdentity, backup.ErrLocked,
		ledger.ErrNotLog, ledger.ErrOtherLedger, ledger.ErrDamaged, ledger.ErrBehindAnchor, ledger.ErrAnchor,
		node.ErrOlder, node.ErrOtherHistory, node.ErrInUse, node.ErrEpochRequired,
	} {
		if errors.Is(err, target) {
			return answerNo{err}
		}
	}
	return err
}
