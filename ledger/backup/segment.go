package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

const (
	segmentHead = "magnet-ledger backup segment v1\n"
	// segmentRecords and segmentBytes are from where a segment takes no more.
	segmentRecords = 1 << 16
	segmentBytes   = 64 << 20
	// maxSegmentBytes is more than any segment has: one statement of 1 MiB more.
	// maxSegmentFile is more than its file has.
	maxSegmentBytes = segmentBytes + 2<<20
	maxSegmentFile  = maxSegmentBytes + 1<<20
	windowSize      = 4 << 20
)

// packer writes a segment.
type packer struct {
	out   io.Writer
	sum   hash.Hash
	bytes int64 // of the file
	close []io.Closer
	to    io.Writer
	plain int
	last  int64 // time of the last statement
	row   []byte
}

func newPacker(out io.Writer, recipients []age.Recipient) (*packer, error) {
	p := &packer{out: out, sum: sha256.New()}
	var to io.Writer = p
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(p, recipients...)
		if err != nil {
			return nil, fmt.Errorf("encrypting: %w", err)
		}
		to, p.close = sealed, append(p.close, sealed)
	}
	packed, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize))
	if err != nil {
		return nil, err
	}
	p.to, p.close = packed, append(p.close, packed)
	_, err = io.WriteString(p.to, segmentHead)
	return p, err
}

// Write implements io.Writer, for the bytes of the file.
func (p *packer) Write(b []byte) (int, error) {
	n, err := p.out.Write(b)
	p.sum.Write(b[:n])
	p.bytes += int64(n)
	return n, err
}

// add writes a statement.
func (p *packer) add(timeMicros int64, env *tracev1.Envelope) error {
	b := binary.AppendUvarint(p.row[:0], uint64(timeMicros-p.last))
	b = appendBytes(b, env.GetPayload())
	b = append(b, env.GetKeyId()...)
	b = appendBytes(b, env.GetSignatureBlock())
	p.row, p.last = b, timeMicros
	p.plain += len(b)
	_, err := p.to.Write(b)
	return err
}

func appendBytes(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

// finish ends the file, and returns its length and hash.
func (p *packer) finish() (bytes int64, sum string, err error) {
	for i := len(p.close) - 1; i >= 0; i-- {
		if err := p.close[i].Close(); err != nil {
			return 0, "", err
		}
	}
	return p.bytes, hex.EncodeToString(p.sum.Sum(nil)), nil
}

// unpack calls visit with the statements of a segment, whose file it is given
// whole. Nothing of a file is looked at that does not have the length and the hash
// of the manifest.
func (s Segment) unpack(file []byte, identities []age.Identity, visit func(timeMicros int64, env *tracev1.Envelope) error) error {
	damaged := fmt.Errorf("%w: %s; get another copy of it", ErrDamaged, s.name())
	if sum := sha256.Sum256(file); int64(len(file)) != s.Bytes || hex.EncodeToString(sum[:]) != s.SHA256 {
		return damaged
	}
	plain, err := s.plain(file, identities)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(plain, []byte(segmentHead))
	if !ok {
		return damaged
	}
	last := int64(0)
	for range s.Count {
		elapsed, n := binary.Uvarint(rest)
		if n <= 0 {
			return damaged
		}
		payload, after, ok := takeBytes(rest[n:])
		if !ok || len(after) < verify.HashSize {
			return damaged
		}
		keyID := after[:verify.HashSize:verify.HashSize]
		block, after, ok := takeBytes(after[verify.HashSize:])
		if !ok {
			return damaged
		}
		rest, last = after, last+int64(elapsed)
		if err := visit(last, &tracev1.Envelope{Payload: payload, KeyId: keyID, SignatureBlock: block}); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return damaged
	}
	return nil
}

// plain decrypts and decompresses a file that has the hash of the manifest.
func (s Segment) plain(file []byte, identities []age.Identity) ([]byte, error) {
	var from io.Reader = bytes.NewReader(file)
	if s.Encrypted {
		if len(identities) == 0 {
			return nil, fmt.Errorf("%w: %s is encrypted", ErrIdentity, s.name())
		}
		opened, err := age.Decrypt(from, identities...)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIdentity, s.name(), err)
		}
		from = opened
	}
	packed, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowSize))
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	plain, err := io.ReadAll(io.LimitReader(packed, maxSegmentBytes+1))
	if err == nil && len(plain) > maxSegmentBytes {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, s.name(), err)
	}
	return plain, nil
}

func takeBytes(b []byte) (field, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n) : k+int(n)], b[k+int(n):], true
}
