package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/backup"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// The files of a data directory.
const (
	storeName  = "store"
	anchorName = "anchor"
	// restoringName is a store that a restore has not finished. It is never opened
	// to be served.
	restoringName = "store.restoring"
	// abandonedName is the anchor of a log that was given up.
	abandonedName = "anchor.abandoned"
	// epochName says that the ledger must not go on under its checkpoint key.
	epochName = "epoch-required"
)

// Errors of Restore and Open.
var (
	// ErrOlder says that a backup lacks entries that were acknowledged.
	ErrOlder = errors.New("the backup is older than what was acknowledged")
	// ErrOtherHistory says that a backup is not of the log that was acknowledged.
	ErrOtherHistory = errors.New("the backup is of another history than what was acknowledged")
	// ErrInUse says that a data directory holds a store.
	ErrInUse = errors.New("the data directory holds a store")
	// ErrEpochRequired says that entries that were acknowledged are gone for good.
	ErrEpochRequired = errors.New("a new epoch is required")
)

// Restore says what is restored, and where to.
type Restore struct {
	Backup *backup.Backup
	// Log is the ledger, got from elsewhere than the backup.
	Log *verify.Log
	// DataDir takes the store and the anchor. It must hold no store. If it holds an
	// anchor, that counts.
	DataDir string
	// Anchor is another anchor file that counts; empty for none.
	Anchor string
	// Kept is a checkpoint that somebody kept, opened by Log, and counts like an
	// anchor; nil for none.
	Kept *verify.Checkpoint
	// AcceptLoss restores a backup that is older than what was acknowledged. The
	// data directory then has a mark, and no node opens it: to go on would make two
	// histories under one key.
	AcceptLoss bool
	// MinFreeBytes as that of the configuration.
	MinFreeBytes int64
	// Limits as those of the configuration.
	Limits LimitsConfig
	// Progress, unless nil, is told now and then how many entries are restored.
	Progress func(done, total uint64)
	Logger   *slog.Logger
}

// Restored is what a restore made.
type Restored struct {
	Checkpoint *verify.Checkpoint
	// Known says that the backup was compared with an anchor or a kept checkpoint.
	Known bool
	// Missing is how many entries were acknowledged and are not in the backup.
	Missing uint64
}

// known is an end of the log that was acknowledged.
type known struct {
	name string
	size uint64
	root verify.Hash
}

// Run verifies a backup and makes of it what a node serves: the seals of its files,
// the chain, each signature, each rule, the root of each checkpoint, and what was
// acknowledged. Only when all is well the store gets its name; before, the data
// directory has nothing but a folder that the next restore begins anew.
//
// The error is one of this package, of package backup, or wraps ledger.ErrNotLog.
func (r *Restore) Run(ctx context.Context) (*Restored, error) {
	out, err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("restoring to %s: %w", r.DataDir, err)
	}
	return out, nil
}

func (r *Restore) run(ctx context.Context) (*Restored, error) {
	if err := os.MkdirAll(r.DataDir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(r.path(storeName)); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("%w: stop the server, and move %s away; keep it as evidence", ErrInUse, r.path(storeName)), err)
	}
	points, err := r.acknowledged()
	if err != nil {
		return nil, err
	}
	out := &Restored{Checkpoint: r.Backup.Manifest().Checkpoint(), Known: len(points) > 0}
	if out.Missing, err = r.missing(points); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.path(restoringName)); err != nil {
		return nil, err
	}
	end, err := r.build(ctx, points)
	if err != nil {
		return nil, err
	}
	return out, r.install(end, out.Missing)
}

func (r *Restore) path(name string) string { return filepath.Join(r.DataDir, name) }

// acknowledged returns all that is known to have been acknowledged.
func (r *Restore) acknowledged() (points []known, err error) {
	paths := []string{r.path(anchorName), r.path(abandonedName)}
	if r.Anchor != "" {
		paths = append(paths, r.Anchor)
	}
	for _, path := range paths {
		p, ok, err := ledger.ReadAnchor(path)
		if errors.Is(err, fs.ErrNotExist) && path != r.Anchor {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ok {
			points = append(points, known{"the anchor " + path, p.Size, p.Root})
		}
	}
	if r.Kept != nil {
		points = append(points, known{"the checkpoint that was kept", r.Kept.Size, r.Kept.Root})
	}
	return points, nil
}

// missing returns how many acknowledged entries the backup does not have, which is
// an error unless it was accepted.
func (r *Restore) missing(points []known) (missing uint64, err error) {
	size := r.Backup.Manifest().Size()
	for _, p := range points {
		if p.size <= size {
			continue
		}
		missing = max(missing, p.size-size)
		if !r.AcceptLoss {
			return missing, fmt.Errorf("%w: it has %d entries, %s says %d: entries %d to %d are missing; "+
				"find a newer backup or a follower, or accept the loss, after which the ledger needs a new epoch, which every auditor sees",
				ErrOlder, size, p.name, p.size, size, p.size-1)
		}
	}
	return missing, nil
}

// build makes the store under its preliminary name.
func (r *Restore) build(ctx context.Context, points []known) (end ledger.AnchorPoint, err error) {
	store, err := badgerstore.Open(r.path(restoringName), badgerstore.Options{Logger: r.Logger, MinFreeBytes: r.MinFreeBytes})
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	im, err := ledger.NewImport(ledger.ImportConfig{Store: store, Log: r.Log, Limits: r.Limits.ledger(), Logger: r.Logger})
	if err != nil {
		return end, err
	}
	defer im.Close()
	total := r.Backup.Manifest().Size()
	err = r.Backup.Visit(ctx, backup.Visitor{
		Statement: func(timeMicros int64, env *tracev1.Envelope) error {
			if err := im.Add(ctx, timeMicros, env); err != nil {
				return err
			}
			if r.Progress != nil && im.Size()%1024 == 0 {
				r.Progress(im.Size(), total)
			}
			return compare(im, points)
		},
		Checkpoint: func(cp *verify.Checkpoint) error {
			own, err := r.Log.OpenCheckpoint(cp.Note)
			if err != nil {
				return err
			}
			return im.Prove(own)
		},
	})
	if err != nil {
		return end, err
	}
	return im.Finish(ctx)
}

// compare compares what was imported with what was acknowledged at that size.
func compare(im *ledger.Import, points []known) error {
	for _, p := range points {
		if p.size == im.Size() && p.root != im.Point().Root {
			return fmt.Errorf("%w: at size %d it has another root than %s", ErrOtherHistory, p.size, p.name)
		}
	}
	return nil
}

// install gives the store its name, behind its anchor: a crash in between leaves an
// anchor without a store, which no node opens, and the next restore goes on from.
func (r *Restore) install(end ledger.AnchorPoint, missing uint64) error {
	if missing > 0 {
		if err := r.markEpoch(end, missing); err != nil {
			return err
		}
	}
	anchor, err := ledger.OpenAnchor(r.path(anchorName))
	if err != nil {
		return err
	}
	if err := errors.Join(anchor.Append(end), anchor.Close()); err != nil {
		return err
	}
	if missing == 0 { // what an earlier restore gave up is here again
		if err := errors.Join(removeIfThere(r.path(epochName)), removeIfThere(r.path(abandonedName)), syncDir(r.DataDir)); err != nil {
			return err
		}
	}
	if err := os.Rename(r.path(restoringName), r.path(storeName)); err != nil {
		return err
	}
	return syncDir(r.DataDir)
}

// markEpoch leaves what keeps a node from going on under the old key, then puts the
// anchor of what was given up aside.
func (r *Restore) markEpoch(end ledger.AnchorPoint, missing uint64) error {
	text := fmt.Sprintf("restored with %d entries, root %s; %d entries that were acknowledged after them are lost\n", end.Size, end.Root, missing)
	f, err := os.OpenFile(r.path(epochName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close(), syncDir(r.DataDir)); err != nil {
		return err
	}
	p, ok, err := ledger.ReadAnchor(r.path(anchorName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if ok && p.Size > end.Size {
		return os.Rename(r.path(anchorName), r.path(abandonedName))
	}
	return nil
}

// checkEpoch refuses a data directory that must not go on under the old key.
func checkEpoch(dataDir string) error {
	text, err := os.ReadFile(filepath.Join(dataDir, epochName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s says %q. To sign under the same checkpoint key would prove a fork; "+
		"the holder of the root key has to sign an epoch statement with a new checkpoint key. Or restore a newer backup into an empty directory",
		ErrEpochRequired, filepath.Join(dataDir, epochName), bytes.TrimSpace(text))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
