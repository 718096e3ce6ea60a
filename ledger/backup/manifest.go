package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Errors of this package.
var (
	// ErrDamaged says that a backup is not what was written: a file was changed,
	// cut or taken away. Another copy of that file mends it.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrIncomplete says that a backup has no checkpoint yet, because its first run
	// did not end. The next run goes on with it.
	ErrIncomplete = errors.New("the backup has no checkpoint yet")
	// ErrOtherLedger says that a backup is of another ledger.
	ErrOtherLedger = errors.New("the backup is of another ledger")
	// ErrNotLog says that what was to be backed up is not the log of its
	// checkpoint. Nothing of it is in the backup, or only beyond its last
	// checkpoint.
	ErrNotLog = errors.New("what was read is not the log of the checkpoint")
	// ErrLocked says that another process writes to the directory.
	ErrLocked = errors.New("the backup is being written")
	// ErrIdentity says that segments are encrypted, and no identity was given that
	// opens them.
	ErrIdentity = errors.New("no identity that decrypts the backup")
)

const (
	manifestName = "manifest"
	manifestHead = "magnet-ledger backup v1\n"
	// maxManifestBytes is more than any manifest has.
	maxManifestBytes = 1 << 30
)

// Manifest lists what a backup is made of.
type Manifest struct {
	LedgerID      string `json:"ledger_id"`
	CheckpointKey string `json:"checkpoint_key"`
	// Genesis is the envelope of entry 0.
	Genesis []byte `json:"genesis"`
	// Recipients are those that new segments are encrypted to.
	Recipients []string  `json:"recipients,omitempty"`
	Segments   []Segment `json:"segments"`
	// Checkpoints are the signed checkpoints of the runs that ended. Each is of the
	// end of a segment; those beyond the last one are not covered yet.
	Checkpoints []string `json:"checkpoints"`
	// End is where the last segment ends, Covered where the last checkpoint does.
	End     End `json:"end"`
	Covered End `json:"covered"`

	sealed []*verify.Checkpoint // Checkpoints, opened
}

// Segment is a file of a backup.
type Segment struct {
	// First is the index of its first statement.
	First     uint64 `json:"first,string"`
	Count     uint64 `json:"count,string"`
	Encrypted bool   `json:"encrypted,omitempty"`
	// Bytes and SHA256 are those of the file.
	Bytes  int64  `json:"bytes,string"`
	SHA256 string `json:"sha256"`
}

// End is the end of a chain.
type End struct {
	Size     uint64   `json:"size,string"`
	Last     []byte   `json:"last"`
	LastTime int64    `json:"last_time_micros,string"`
	Edge     [][]byte `json:"edge"`
}

func (s Segment) end() uint64 { return s.First + s.Count }

// name returns the name of the file. No name is taken from a manifest.
func (s Segment) name() string {
	if s.Encrypted {
		return fmt.Sprintf("%012d.segment.age", s.First)
	}
	return fmt.Sprintf("%012d.segment", s.First)
}

func endOf(c *verify.Chain) End {
	last := c.Last()
	e := End{Size: c.Size(), Last: last[:], LastTime: c.LastTime()}
	for _, h := range c.Edge() {
		e.Edge = append(e.Edge, h[:])
	}
	return e
}

// chain returns the chain that ends there.
func (e End) chain() (*verify.Chain, error) {
	if e.Size == 0 {
		return verify.NewChain(), nil
	}
	last, err := verify.ParseHash(e.Last)
	if err != nil {
		return nil, err
	}
	edge := make([]verify.Hash, len(e.Edge))
	for i, b := range e.Edge {
		if edge[i], err = verify.ParseHash(b); err != nil {
			return nil, err
		}
	}
	return verify.RestoreChain(e.Size, last, e.LastTime, edge)
}

// bytes returns the file.
func (m *Manifest) bytes() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, err
	}
	b := append([]byte(manifestHead), text...)
	b = append(b, '\n')
	return append(b, sealOf(b)...), nil
}

func sealOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]) + "\n"
}

const sealSize = 2*sha256.Size + 1

// parseManifest reads a manifest, and checks it in itself.
func parseManifest(b []byte) (*Manifest, error) {
	n := len(b) - sealSize
	if n < len(manifestHead) || string(b[n:]) != sealOf(b[:n]) {
		return nil, fmt.Errorf("%w: the manifest is not whole", ErrDamaged)
	}
	if !bytes.HasPrefix(b, []byte(manifestHead)) {
		return nil, errors.New("the backup has another format than this program reads; use a newer one")
	}
	m := new(Manifest)
	if err := json.Unmarshal(b[len(manifestHead):n], m); err != nil {
		return nil, fmt.Errorf("%w: the manifest: %w", ErrDamaged, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: the manifest: %w", ErrDamaged, err)
	}
	return m, nil
}

func (m *Manifest) check() error {
	log, err := m.Log()
	if err != nil {
		return err
	}
	ends, end := map[uint64]bool{}, uint64(0)
	for _, s := range m.Segments {
		if s.First != end || s.Count == 0 || s.Bytes <= 0 || s.Bytes > maxSegmentFile || s.Count > segmentRecords {
			return fmt.Errorf("the segment of entry %d does not fit", s.First)
		}
		end = s.end()
		ends[end] = true
	}
	if chain, err := m.End.chain(); err != nil || chain.Size() != end {
		return errors.Join(errors.New("its end is not that of its segments"), err)
	}
	size := uint64(0)
	for _, note := range m.Checkpoints {
		cp, err := log.OpenCheckpoint([]byte(note))
		if err != nil {
			return err
		}
		if cp.Size <= size || !ends[cp.Size] {
			return fmt.Errorf("the checkpoint of size %d is not of the end of a segment", cp.Size)
		}
		m.sealed, size = append(m.sealed, cp), cp.Size
	}
	covered, err := m.Covered.chain()
	if err != nil || covered.Size() != size || size > 0 && covered.Root() != m.Checkpoint().Root {
		return errors.Join(errors.New("its last checkpoint is not of what it covers"), err)
	}
	return nil
}

// Log returns the ledger that the backup says it is of. Only who has it from
// elsewhere, too, knows that it is true.
func (m *Manifest) Log() (*verify.Log, error) {
	id, err := hex.DecodeString(m.LedgerID)
	if err != nil {
		return nil, err
	}
	hash, err := verify.ParseHash(id)
	if err != nil {
		return nil, err
	}
	return verify.NewLog(hash, m.CheckpointKey)
}

// of reports whether the backup is of a ledger.
func (m *Manifest) of(log *verify.Log) error {
	if m.LedgerID != log.ID().String() || m.CheckpointKey != log.CheckpointVKey() {
		return fmt.Errorf("%w: of %s, not %s", ErrOtherLedger, m.LedgerID, log.ID())
	}
	return nil
}

// Size returns how many statements the last checkpoint covers.
func (m *Manifest) Size() uint64 {
	if cp := m.Checkpoint(); cp != nil {
		return cp.Size
	}
	return 0
}

// Checkpoint returns the last checkpoint, nil if there is none.
func (m *Manifest) Checkpoint() *verify.Checkpoint {
	if len(m.sealed) == 0 {
		return nil
	}
	return m.sealed[len(m.sealed)-1]
}

// Bytes returns the bytes of all segments.
func (m *Manifest) Bytes() (n int64) {
	for _, s := range m.Segments {
		n += s.Bytes
	}
	return n
}

func (m *Manifest) seal(cp *verify.Checkpoint) {
	m.Checkpoints, m.sealed = append(m.Checkpoints, string(cp.Note)), append(m.sealed, cp)
	m.Covered = m.End
}

// drop takes out the segments that no checkpoint covers. Their files are replaced
// by later ones.
func (m *Manifest) drop() {
	for len(m.Segments) > 0 && m.Segments[len(m.Segments)-1].end() > m.Size() {
		m.Segments = m.Segments[:len(m.Segments)-1]
	}
	m.End = m.Covered
}

func (m *Manifest) keepGenesis(env *tracev1.Envelope) (err error) {
	m.Genesis, err = proto.MarshalOptions{Deterministic: true}.Marshal(env)
	return err
}
