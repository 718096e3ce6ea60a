package client

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Errors of an Outbox.
var (
	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("another process uses the file")
	// ErrOutboxDamaged says that a record is not what was written, and that no
	// crash explains it: sound ones follow. Restore the file, or move it away;
	// what was sent from it is then refused as STATEMENT_EXISTS where the
	// statement id is a TransactionID, and recorded again where it is random.
	ErrOutboxDamaged = errors.New("outbox is damaged")
	// ErrNoDraft says that the outbox does not hold what was asked for.
	ErrNoDraft = errors.New("not in the outbox")
)

// Draft is a signed statement as it stands in an outbox.
type Draft struct {
	// Label is what the caller finds it by, such as the transaction number; at
	// most 65,535 bytes. It may be empty, and stand at several.
	Label string
	// ID is the statement id. Append reads it from the envelope.
	ID StatementID
	// Envelope is the statement, in the bytes that are sent.
	Envelope *tracev1.Envelope
}

// Outbox is an append-only file of signed statements, written before they are
// sent. Salt and some signatures are random, and a statement must be sent again
// in the very bytes in which it was sent first; so whoever sends from the outbox
// can be killed at any time and go on.
//
// It keeps about 100 bytes in memory for each statement, and reads envelopes from
// the file when they are asked for. The file is locked against other processes.
// It is safe for concurrent use. It holds what is stated in the clear and is
// made for its owner alone.
//
// # File
//
// The 16 bytes "magnet-outbox 1\n", then records. Big-endian:
//
//	8f 6d 6f 72               4 bytes
//	length of the body        4
//	check                     8  first bytes of SHA-256(length || body)
//	statement id             16  here begins the body
//	length of the label       2
//	label
//	magnet.trace.v1.Envelope     serialized
//
// What a crash cut off at the end of the file was never sent, and is dropped when
// the file is opened.
type Outbox struct {
	path string
	file *os.File

	mu     sync.RWMutex
	size   int64 // of what is durable
	ids    map[StatementID]int64
	labels map[labelKey]int64 // the last of each
	failed error              // of a write: the end of the file is unknown
}

// labelKey is a hash of a label, of a fixed size.
type labelKey [16]byte

func keyOf(label string) labelKey {
	sum := sha256.Sum256([]byte(label))
	return labelKey(sum[:16])
}

// OpenOutbox opens an outbox, or makes one, and its directory. The error is
// ErrLocked if another process has it open, ErrOutboxDamaged if a record is
// damaged that a crash cannot have cut off.
func OpenOutbox(path string) (*Outbox, error) {
	o := &Outbox{path: path, ids: make(map[StatementID]int64), labels: make(map[labelKey]int64)}
	if err := o.open(); err != nil {
		return nil, fmt.Errorf("opening outbox %s: %w", path, err)
	}
	return o, nil
}

func (o *Outbox) open() (err error) {
	if o.file, err = openLocked(o.path); err != nil {
		return err
	}
	if err = o.load(); err != nil {
		return errors.Join(err, o.file.Close())
	}
	return nil
}

// load indexes what the file holds, drops a torn end and makes the rest durable:
// the process that wrote it may not have come to that.
func (o *Outbox) load() error {
	if err := o.checkHeader(); err != nil {
		return err
	}
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(o.file, outboxHeaderSize, info.Size()), 1<<20)
	o.size = outboxHeaderSize
	for {
		body, err := readRecord(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			if err := o.checkTail(); err != nil {
				return err
			}
			break
		}
		if err != nil {
			return err
		}
		d, err := parseHead(body)
		if err != nil {
			return fmt.Errorf("%w at byte %d: %w", ErrOutboxDamaged, o.size, err)
		}
		o.index(d, o.size)
		o.size += recordHeadSize + int64(len(body))
	}
	if err := o.file.Truncate(o.size); err != nil {
		return err
	}
	return errors.Join(o.file.Sync(), syncDir(filepath.Dir(o.path)))
}

// checkHeader reads the header, or writes that of a new file.
func (o *Outbox) checkHeader() error {
	b := make([]byte, outboxHeaderSize)
	n, err := o.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case string(b[:n]) == outboxHeader:
		return nil
	case n < outboxHeaderSize && string(b[:n]) == outboxHeader[:n]:
		_, err := o.file.WriteAt([]byte(outboxHeader), 0)
		return err
	}
	return fmt.Errorf("%w: it does not begin like an outbox", ErrOutboxDamaged)
}

// checkTail makes sure that nothing sound follows the record at o.size, which is
// not. A crash leaves no such thing, because records are appended.
func (o *Outbox) checkTail() error {
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, info.Size()-o.size) // not empty: something is torn
	if _, err := o.file.ReadAt(tail, o.size); err != nil {
		return err
	}
	for {
		at := bytes.Index(tail[1:], []byte(recordMark))
		if at < 0 {
			return nil
		}
		tail = tail[1+at:]
		if _, err := readRecord(bytes.NewReader(tail)); err == nil {
			return fmt.Errorf("%w at byte %d", ErrOutboxDamaged, o.size)
		}
	}
}

func (o *Outbox) index(d Draft, offset int64) {
	o.ids[d.ID] = offset
	if d.Label != "" {
		o.labels[keyOf(d.Label)] = offset
	}
}

// Append writes drafts, all of them durable when it returns nil. One with the
// statement id of an earlier one takes its place. That is for what was refused
// and corrected: if the earlier one may be on record, the later one is refused as
// STATEMENT_EXISTS.
//
// After an error of writing the outbox takes no more and must be opened again:
// some of the drafts may be in it.
func (o *Outbox) Append(drafts ...Draft) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return o.failed
	}
	drafts, records, err := encode(drafts)
	if err != nil {
		return fmt.Errorf("appending to outbox: %w", err)
	}
	var all []byte
	for _, r := range records {
		all = append(all, r...)
	}
	_, err = o.file.WriteAt(all, o.size)
	if err == nil {
		err = o.file.Sync()
	}
	if err != nil {
		o.failed = fmt.Errorf("writing outbox %s: %w", o.path, err)
		return o.failed
	}
	for i, d := range drafts {
		o.index(d, o.size)
		o.size += int64(len(records[i]))
	}
	return nil
}

// Len returns the number of drafts.
func (o *Outbox) Len() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.ids)
}

// Get returns the draft with a statement id, or ErrNoDraft.
func (o *Outbox) Get(id StatementID) (Draft, error) {
	o.mu.RLock()
	offset, ok := o.ids[id]
	o.mu.RUnlock()
	return o.read(offset, ok)
}

// Lookup returns the last draft with a label, or ErrNoDraft.
func (o *Outbox) Lookup(label string) (Draft, error) {
	o.mu.RLock()
	offset, ok := o.labels[keyOf(label)]
	o.mu.RUnlock()
	return o.read(offset, ok)
}

func (o *Outbox) read(offset int64, ok bool) (Draft, error) {
	if !ok {
		return Draft{}, ErrNoDraft
	}
	body, err := readRecord(io.NewSectionReader(o.file, offset, 1<<62))
	if err != nil {
		return Draft{}, fmt.Errorf("reading outbox %s: %w", o.path, damagedIfTorn(err, offset))
	}
	return parseDraft(body)
}

// All returns the drafts in the order in which they were appended, without those
// whose place was taken. It shows what was there when the iteration began, and
// ends with the first error.
func (o *Outbox) All() iter.Seq2[Draft, error] {
	return func(yield func(Draft, error) bool) {
		o.mu.RLock()
		end := o.size
		o.mu.RUnlock()
		in := bufio.NewReaderSize(io.NewSectionReader(o.file, outboxHeaderSize, end-outboxHeaderSize), 1<<20)
		for at := int64(outboxHeaderSize); at < end; {
			body, err := readRecord(in)
			var d Draft
			if err == nil {
				d, err = parseDraft(body)
			}
			if err != nil {
				yield(Draft{}, fmt.Errorf("reading outbox %s: %w", o.path, damagedIfTorn(err, at)))
				return
			}
			if o.current(d.ID, at) && !yield(d, nil) {
				return
			}
			at += recordHeadSize + int64(len(body))
		}
	}
}

// current reports whether the draft at an offset is the last with its id.
func (o *Outbox) current(id StatementID, offset int64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.ids[id] == offset
}

// damagedIfTorn: what was whole once and is torn now was damaged.
func damagedIfTorn(err error, offset int64) error {
	if errors.Is(err, errTorn) {
		return fmt.Errorf("%w at byte %d", ErrOutboxDamaged, offset)
	}
	return err
}

// Close releases the file.
func (o *Outbox) Close() error { return o.file.Close() }
