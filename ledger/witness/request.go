package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

const (
	// maxProof is how many hashes a request may hold.
	maxProof = 63
	// maxBody is how long a request or an answer may be.
	maxBody = 64 << 10
	// sizeType is the type of an answer that tells the size last cosigned.
	sizeType = "text/x.tlog.size"
)

// ErrRequest says that a request is not of the form of add-checkpoint.
var ErrRequest = errors.New("not a request of add-checkpoint")

// Request is the body of add-checkpoint.
type Request struct {
	// Old is the size of the last checkpoint that the witness cosigned, Proof the
	// consistency proof from there.
	Old   uint64
	Proof [][]byte
	// Checkpoint is the signed note to cosign.
	Checkpoint []byte
}

// Bytes returns the body.
func (r Request) Bytes() []byte {
	b := fmt.Appendf(nil, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b = append(base64.StdEncoding.AppendEncode(b, h), '\n')
	}
	return append(append(b, '\n'), r.Checkpoint...)
}

// ParseRequest reads a body. The checkpoint is not opened. The error is ErrRequest.
func ParseRequest(b []byte) (Request, error) {
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Request{}, fmt.Errorf("%w: no empty line before the checkpoint", ErrRequest)
	}
	lines := bytes.Split(head, []byte("\n"))
	size, ok := bytes.CutPrefix(lines[0], []byte("old "))
	old, err := parseSize(size)
	if !ok || err != nil {
		return Request{}, fmt.Errorf("%w: the first line is not that of an old size", ErrRequest)
	}
	if len(lines)-1 > maxProof {
		return Request{}, fmt.Errorf("%w: more than %d hashes", ErrRequest, maxProof)
	}
	r := Request{Old: old, Checkpoint: checkpoint}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(h) != verify.HashSize {
			return Request{}, fmt.Errorf("%w: a line of the proof is no hash", ErrRequest)
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}

// parseSize reads a decimal number without leading zeros.
func parseSize(b []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != string(b) {
		return 0, fmt.Errorf("%q is no size", b)
	}
	return n, nil
}
