package backup

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Options say how a backup is written.
type Options struct {
	// Recipients of age, "age1...": segments are encrypted to them. None: as
	// before in a directory that is gone on with, else not encrypted.
	Recipients []string
}

// Writer writes a backup, or goes on with one. It belongs to one goroutine.
type Writer struct {
	log        *verify.Log
	to         sink
	manifest   *Manifest
	chain      *verify.Chain
	recipients []age.Recipient
	segment    Segment // under way, if packer is not nil
	packer     *packer
	failed     error
}

// sink is where the files of a backup go.
type sink interface {
	// begin begins the file of a segment.
	begin() (io.Writer, error)
	// keep makes the file that was begun one of the backup, under its name.
	keep(s Segment) error
	// seal keeps the manifest as it is now; last says that the run ends.
	seal(m *Manifest, last bool) error
	close() error
}

// OpenDir goes on with the backup in a directory, or begins one. The error is
// ErrLocked while another Writer has it, ErrOtherLedger or ErrDamaged.
func OpenDir(path string, log *verify.Log, opts Options) (*Writer, error) {
	d, m, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("opening backup %s: %w", path, err)
	}
	w, err := newWriter(d, m, log, opts)
	if err != nil {
		d.close()
		return nil, fmt.Errorf("opening backup %s: %w", path, err)
	}
	return w, nil
}

// NewStream begins a backup as one stream. What is written of it is a backup only
// when Finish has returned.
func NewStream(out io.Writer, log *verify.Log, opts Options) (*Writer, error) {
	w, err := newWriter(&stream{out: out}, nil, log, opts)
	if err != nil {
		return nil, fmt.Errorf("beginning backup: %w", err)
	}
	return w, nil
}

// newWriter goes on with a manifest, or begins if it is nil.
func newWriter(to sink, m *Manifest, log *verify.Log, opts Options) (_ *Writer, err error) {
	if m == nil {
		m = &Manifest{LedgerID: log.ID().String(), CheckpointKey: log.CheckpointVKey(), End: endOf(verify.NewChain()), Covered: endOf(verify.NewChain())}
	}
	if err := m.of(log); err != nil {
		return nil, err
	}
	if len(opts.Recipients) > 0 {
		m.Recipients = opts.Recipients
	}
	w := &Writer{log: log, to: to, manifest: m}
	if len(m.Recipients) > 0 {
		if w.recipients, err = age.ParseRecipients(strings.NewReader(strings.Join(m.Recipients, "\n"))); err != nil {
			return nil, fmt.Errorf("recipients: %w", err)
		}
	}
	w.chain, err = m.End.chain()
	return w, err
}

// Size returns how many entries were added, in this run and those before: where to
// go on.
func (w *Writer) Size() uint64 { return w.chain.Size() }

// Manifest returns what the backup is made of so far. It changes with the writer.
func (w *Writer) Manifest() *Manifest { return w.manifest }

// Add adds the next entry, with its statement. The error wraps ErrNotLog if it is
// not the hash of the statement, or does not follow the entry before it; after that
// the writer goes on with nothing else.
func (w *Writer) Add(e verify.Entry, env *tracev1.Envelope) error {
	if w.failed == nil {
		w.failed = w.believed(w.add(e, env))
	}
	return w.failed
}

// believed returns the error. After ErrNotLog nothing stays that only the same
// source said, so that the next run asks again.
func (w *Writer) believed(err error) error {
	if !errors.Is(err, ErrNotLog) || w.manifest.End.Size == w.manifest.Size() {
		return err
	}
	w.manifest.drop()
	return errors.Join(err, w.to.seal(w.manifest, false))
}

func (w *Writer) add(e verify.Entry, env *tracev1.Envelope) error {
	if err := w.check(e, env); err != nil {
		return fmt.Errorf("backing up entry %d: %w: %w", w.Size(), ErrNotLog, err)
	}
	if w.packer == nil {
		if err := w.begin(e.Index); err != nil {
			return fmt.Errorf("backing up: %w", err)
		}
	}
	if err := w.packer.add(e.SequencedAtMicros, env); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	if e.Index == 0 {
		if err := w.manifest.keepGenesis(env); err != nil {
			return fmt.Errorf("backing up: %w", err)
		}
	}
	w.segment.Count++
	if w.segment.Count < segmentRecords && w.packer.plain < segmentBytes {
		return nil
	}
	if err := w.end(); err != nil {
		return err
	}
	return w.to.seal(w.manifest, false)
}

func (w *Writer) check(e verify.Entry, env *tracev1.Envelope) error {
	keyID, err := verify.ParseHash(env.GetKeyId())
	if err != nil {
		return err
	}
	hash := verify.StatementHash(verify.PayloadLeaf(env.GetPayload()), keyID, env.GetSignatureBlock())
	if hash != e.StatementHash {
		return fmt.Errorf("the statement has the hash %s, the entry says %s", hash, e.StatementHash)
	}
	if e.Index == 0 && hash != w.log.ID() {
		return fmt.Errorf("the genesis is not that of %s", w.log.ID())
	}
	return w.chain.Append(e, nil)
}

func (w *Writer) begin(first uint64) error {
	file, err := w.to.begin()
	if err != nil {
		return err
	}
	w.segment = Segment{First: first, Encrypted: len(w.recipients) > 0}
	w.packer, err = newPacker(file, w.recipients)
	return err
}

// end ends the segment under way.
func (w *Writer) end() (err error) {
	if w.segment.Bytes, w.segment.SHA256, err = w.packer.finish(); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	w.packer = nil
	if err := w.to.keep(w.segment); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	w.manifest.Segments, w.manifest.End = append(w.manifest.Segments, w.segment), endOf(w.chain)
	return nil
}

// Finish ends a run with a checkpoint of what was added, opened by the log. When it
// returns nil, the backup of this size is durable; a stream has its last byte. The
// error wraps ErrNotLog if entries and checkpoint do not agree: then those of this
// run are not what was signed, or what was added earlier.
func (w *Writer) Finish(cp *verify.Checkpoint) error {
	if w.failed != nil {
		return w.failed
	}
	if cp.Size != w.Size() || cp.Root != w.chain.Root() {
		w.failed = w.believed(fmt.Errorf("backing up: %w: the checkpoint is of %d entries with root %s, there are %d with root %s",
			ErrNotLog, cp.Size, cp.Root, w.Size(), w.chain.Root()))
		return w.failed
	}
	if w.packer != nil {
		if err := w.end(); err != nil {
			return err
		}
	}
	if w.manifest.Size() < cp.Size {
		w.manifest.seal(cp)
	}
	if err := w.to.seal(w.manifest, true); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	return nil
}

// Close ends the writer. What was not finished stays to be gone on with, as far as
// it is in segments that were sealed.
func (w *Writer) Close() error { return w.to.close() }
