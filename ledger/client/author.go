package client

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// StatementID is a UUID (RFC 9562) that the signer of a statement chooses. The
// zero value stands for none.
type StatementID [16]byte

// String returns the id in the form 8-4-4-4-12.
func (id StatementID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// newStatementID returns a random id, a UUID of version 4.
func newStatementID() StatementID {
	var id StatementID
	crand.Read(id[:]) // never fails
	return id.mark(4)
}

// mark sets version and variant.
func (id StatementID) mark(version byte) StatementID {
	id[6] = id[6]&0x0f | version<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

const transactionIDDomain = "magnet-ledger transaction id v1\n"

// TransactionID returns the statement id of a transaction by its number, so
// that a file that is exported anew cannot count twice: the first 16 bytes of
//
//	SHA-256("magnet-ledger transaction id v1\n" || ledger id (32) || signer || 0x00 || transaction number)
//
// with the version 8 in the upper half of byte 6 and the variant 10 in the
// upper two bits of byte 8: a UUID of version 8 (RFC 9562, section 5.8). For the
// ledger id 32 x 07, the signer "acme" and the number "INV-001" it is
// c9491266-82b8-8079-9882-cf20f3c482cb.
func TransactionID(ledgerID verify.Hash, signer, transactionNumber string) StatementID {
	h := sha256.New()
	fmt.Fprintf(h, "%s%s%s\x00%s", transactionIDDomain, ledgerID[:], signer, transactionNumber)
	return StatementID(h.Sum(nil)[:16]).mark(8)
}

// Author makes the statements of one participant. It is safe for concurrent use
// if the signer's key is.
type Author struct {
	// ID is the participant id.
	ID string
	// Signer signs, with a key that is registered for the participant.
	Signer *verify.Signer
	// Log is the ledger that the statements are made to.
	Log *verify.Log
}

// Payload completes a statement, of which what is stated must be set, and
// serializes it: ledger id, a fresh salt, statement id, signer and time. Without
// an id it gets a random one. st is not changed.
//
// Two payloads of the same statement differ in the salt. Who retries must keep
// the first; see Outbox.
func (a *Author) Payload(st *tracev1.Statement, id StatementID, now time.Time) (*verify.Payload, error) {
	if id == (StatementID{}) {
		id = newStatementID()
	}
	ledgerID, salt := a.Log.ID(), make([]byte, 16)
	crand.Read(salt) // never fails
	st = proto.CloneOf(st)
	st.LedgerId, st.Salt, st.StatementId = ledgerID[:], salt, id[:]
	st.Signer, st.StatedAtMicros = a.ID, now.UnixMicro()
	return verify.NewPayload(st)
}

// SignAll signs payloads and returns their envelopes in the same order. With a
// batch size of 1 each is signed by itself; otherwise one signature covers up to
// that many, at most verify.MaxBatch and what the ledger's rule parameters
// allow. The position within a batch, which a reader of the envelope sees, is
// random.
func (a *Author) SignAll(payloads []*verify.Payload, batchSize int) ([]*tracev1.Envelope, error) {
	if batchSize < 1 || batchSize > verify.MaxBatch {
		return nil, fmt.Errorf("a batch holds 1 to %d statements, not %d", verify.MaxBatch, batchSize)
	}
	envelopes := make([]*tracev1.Envelope, len(payloads))
	for start := 0; start < len(payloads); start += batchSize {
		end := min(start+batchSize, len(payloads))
		if err := a.signBatch(payloads[start:end], envelopes[start:end], batchSize == 1); err != nil {
			return nil, err
		}
	}
	return envelopes, nil
}

func (a *Author) signBatch(payloads []*verify.Payload, envelopes []*tracev1.Envelope, single bool) (err error) {
	if single {
		envelopes[0], err = a.Signer.Sign(payloads[0])
		return err
	}
	places := rand.New(cryptoSource{}).Perm(len(payloads))
	shuffled := make([]*verify.Payload, len(payloads))
	for i, place := range places {
		shuffled[place] = payloads[i]
	}
	signed, err := a.Signer.SignBatch(shuffled)
	if err != nil {
		return err
	}
	for i, place := range places {
		envelopes[i] = signed[place]
	}
	return nil
}

// cryptoSource is crypto/rand as a source of math/rand/v2.
type cryptoSource struct{}

func (cryptoSource) Uint64() uint64 {
	var b [8]byte
	crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// SameContent reports whether two statements say the same, whatever their salts
// are and when they were made.
func SameContent(a, b *tracev1.Statement) bool {
	return proto.Equal(content(a), content(b))
}

func content(st *tracev1.Statement) *tracev1.Statement {
	st = proto.CloneOf(st)
	st.Salt, st.StatedAtMicros = nil, 0
	return st
}
