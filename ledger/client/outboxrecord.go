package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

const (
	outboxHeader     = "magnet-outbox 1\n"
	outboxHeaderSize = 16
	recordMark       = "\x8fmor" // stands in no text, so that one can look for the next record
	recordHeadSize   = 4 + 4 + 8
	draftHeadSize    = 16 + 2
	maxBodyBytes     = 8 << 20
)

// errTorn says that bytes are not a whole record.
var errTorn = errors.New("torn record")

// encode returns drafts with their ids, and their records.
func encode(drafts []Draft) ([]Draft, [][]byte, error) {
	out, records := make([]Draft, len(drafts)), make([][]byte, len(drafts))
	for i, d := range drafts {
		st := new(tracev1.Statement)
		if err := proto.Unmarshal(d.Envelope.GetPayload(), st); err != nil || len(st.GetStatementId()) != len(d.ID) {
			return nil, nil, fmt.Errorf("draft %d: the payload is no statement with an id", i)
		}
		d.ID = StatementID(st.GetStatementId())
		record, err := makeRecord(d)
		if err != nil {
			return nil, nil, fmt.Errorf("draft %d: %w", i, err)
		}
		out[i], records[i] = d, record
	}
	return out, records, nil
}

// makeRecord returns a draft in the form of the file.
func makeRecord(d Draft) ([]byte, error) {
	if len(d.Label) > math.MaxUint16 {
		return nil, fmt.Errorf("a label of %d bytes", len(d.Label))
	}
	b := append([]byte(recordMark), make([]byte, recordHeadSize-len(recordMark))...)
	b = append(b, d.ID[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.Label)))
	b = append(b, d.Label...)
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, d.Envelope)
	if err != nil {
		return nil, err
	}
	body := b[recordHeadSize:]
	if len(body) > maxBodyBytes {
		return nil, fmt.Errorf("%d bytes, more than a record holds", len(body))
	}
	binary.BigEndian.PutUint32(b[len(recordMark):], uint32(len(body)))
	copy(b[len(recordMark)+4:], recordCheck(body))
	return b, nil
}

func recordCheck(body []byte) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
	h.Write(body)
	return h.Sum(nil)[:8]
}

// readRecord returns the body of the next record. The error is io.EOF where the
// input ends, errTorn where there is something else.
func readRecord(r io.Reader) ([]byte, error) {
	var head [recordHeadSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, tornIfCut(err)
	}
	length := binary.BigEndian.Uint32(head[len(recordMark):])
	if string(head[:len(recordMark)]) != recordMark || length > maxBodyBytes {
		return nil, errTorn
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, tornIfCut(err)
	}
	if !bytes.Equal(recordCheck(body), head[len(recordMark)+4:]) {
		return nil, errTorn
	}
	return body, nil
}

func tornIfCut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// parseHead returns a draft without its envelope.
func parseHead(body []byte) (Draft, error) {
	if len(body) < draftHeadSize {
		return Draft{}, errTorn
	}
	d := Draft{ID: StatementID(body)}
	label := body[draftHeadSize:]
	n := int(binary.BigEndian.Uint16(body[len(d.ID):]))
	if n > len(label) {
		return Draft{}, errTorn
	}
	d.Label = string(label[:n])
	return d, nil
}

func parseDraft(body []byte) (Draft, error) {
	d, err := parseHead(body)
	if err != nil {
		return Draft{}, err
	}
	d.Envelope = new(tracev1.Envelope)
	return d, proto.Unmarshal(body[draftHeadSize+len(d.Label):], d.Envelope)
}
