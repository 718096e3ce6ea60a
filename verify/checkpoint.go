package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// ErrCheckpoint says that a checkpoint is not one of the log: malformed, of
// another origin, or not signed by the checkpoint key.
var ErrCheckpoint = errors.New("not a checkpoint of this ledger")

var originForm = regexp.MustCompile(`^[a-z0-9.-]+(/[a-z0-9._-]+)*$`)

// ValidOrigin reports whether s may be the origin of a log.
func ValidOrigin(s string) bool { return len(s) <= 200 && originForm.MatchString(s) }

// Checkpoint is a signed statement of the operator: the log has this size and
// this root.
type Checkpoint struct {
	Size uint64
	Root Hash
	// Note is the signed note that says so, C2SP tlog-checkpoint.
	Note []byte
}

// Log is what a verifier pins of a ledger. It is immutable.
type Log struct {
	id       Hash
	vkey     string
	verifier note.Verifier
}

// NewLog returns the log with a ledger id (the statement hash of entry 0) and a
// checkpoint verifier key in the C2SP signed-note form, whose name is the
// origin.
func NewLog(id Hash, checkpointVKey string) (*Log, error) {
	if _, err := CheckpointKey(checkpointVKey); err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(checkpointVKey)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint verifier key: %w", err)
	}
	if !ValidOrigin(v.Name()) {
		return nil, fmt.Errorf("reading checkpoint verifier key: %q is no origin", v.Name())
	}
	return &Log{id: id, vkey: checkpointVKey, verifier: v}, nil
}

// ID returns the ledger id.
func (l *Log) ID() Hash { return l.id }

// Origin returns the origin line of the checkpoints.
func (l *Log) Origin() string { return l.verifier.Name() }

// CheckpointVKey returns the verifier key of the checkpoints.
func (l *Log) CheckpointVKey() string { return l.vkey }

// OpenCheckpoint reads a checkpoint and checks origin and signature. Signatures
// of unknown keys are passed over, as C2SP signed-note asks. The error wraps
// ErrCheckpoint.
func (l *Log) OpenCheckpoint(signed []byte) (*Checkpoint, error) {
	cp, _, n, err := log.ParseCheckpoint(signed, l.Origin(), l.verifier)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	if string(cp.Marshal()) != n.Text {
		return nil, fmt.Errorf("%w: it has extension lines, or size or root in another form than the shortest", ErrCheckpoint)
	}
	root, err := ParseHash(cp.Hash)
	if err != nil {
		return nil, fmt.Errorf("%w: root: %v", ErrCheckpoint, err)
	}
	return &Checkpoint{Size: cp.Size, Root: root, Note: signed}, nil
}

// SignCheckpoint makes a checkpoint. The signer's name is the origin. Ed25519
// is deterministic: the same size and root give the same bytes.
func SignCheckpoint(signer note.Signer, size uint64, root Hash) (*Checkpoint, error) {
	text := log.Checkpoint{Origin: signer.Name(), Size: size, Hash: root[:]}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return &Checkpoint{Size: size, Root: root, Note: signed}, nil
}

// CheckpointKey returns the public key within a verifier key, in the form of
// statement keys, so that the two can be told apart. It fails unless the key
// is of the plain Ed25519 kind, acceptable and written in its one form.
func CheckpointKey(vkey string) (*PublicKey, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint verifier key: %w", err)
	}
	const ed25519Kind = 1
	// Name, hash and key are separated by "+", which base64 may contain.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2])
	if err != nil || len(raw) != 33 || raw[0] != ed25519Kind {
		return nil, fmt.Errorf("reading checkpoint verifier key: %w", ErrKeyForm)
	}
	if form, err := note.NewEd25519VerifierKey(v.Name(), raw[1:]); err != nil || form != vkey {
		return nil, fmt.Errorf("reading checkpoint verifier key: %w: %q should be %q", ErrKeyForm, vkey, form)
	}
	return ParsePublicKey(append(append([]byte(nil), ed25519Prefix...), raw[1:]...))
}
