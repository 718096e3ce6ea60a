package custody

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Lookup reads single values of the state that follows from the log up to some
// size.
type Lookup interface {
	// Get returns the value of a key, or nil if it has none. No value is empty.
	// The value must not be changed.
	Get(key []byte) ([]byte, error)
	// Payload returns the payload of the entry at an index below the size.
	Payload(index uint64) ([]byte, error)
	// StatementHash returns the statement hash of the entry at an index below
	// the size.
	StatementHash(index uint64) ([]byte, error)
}

// Reader reads the state for queries.
type Reader interface {
	Lookup
	// ScanRanges is Scan for several ranges, which ascend and do not overlap, one
	// after the other.
	ScanRanges(ranges []Range, visit func(key, value []byte) bool) error
	// Scan calls visit for each key in [from, to) in ascending order until it
	// returns false. Key and value are valid only during the call.
	Scan(from, to []byte, visit func(key, value []byte) bool) error
}

// Range is the keys from From up to, not including, To.
type Range = struct{ From, To []byte }

// State is the state as of the last admitted statement. What Put sets, the next
// Get returns.
type State interface {
	Lookup
	// Put sets a key to a value, which must not be empty. The slices may be
	// kept and must not be changed afterwards. The key is none of IsCell.
	Put(key, value []byte)
	// Change returns what is going to be added to the figures under a key, for
	// which IsCell holds; the caller adds to it at once. Nobody reads the figures
	// to add to them.
	Change(key []byte) *Figures
}

// IsCell reports whether what stands under a key of the state are Figures in
// their binary form: those of several commits add up to the value, by AddValues.
func IsCell(key []byte) bool { return len(key) > 0 && key[0] == cellKeys }

// The keys of the state. Every key begins with a letter that says what it is;
// strings that vary in length end with a zero byte, which no checked value
// contains; numbers are big-endian, so that keys sort as what they mean.
//
//	p participant                                     Participant
//	k key id (32)                                     Key
//	o participant 0 index (8)                         key id: the keys of a participant
//	i scheme:value                                    index (8) and participant: identifiers
//	s signer 0 statement id (16)                      index (8)
//	h statement hash (32)                             index (8)
//	d seller 0 customer 0                             display name of the customer
//	c customer 0 seller 0                             1: who sold to a customer
//	t seller 0 customer 0 day (4) index (8)           kind (1), and when superseded: index (8), how (1)
//	v seller 0 customer 0 month (4) kind (1) family (1) end use (1) country (2) HS code   cell
const (
	participantKeys = 'p'
	keyKeys         = 'k'
	ownerKeys       = 'o'
	identifierKeys  = 'i'
	statementKeys   = 's'
	hashKeys        = 'h'
	sellerKeys      = 'd'
	customerKeys    = 'c'
	listingKeys     = 't'
	cellKeys        = 'v'
)

// longestTail is what follows the strings of a key: of a cell, whose HS code has 10
// digits.
const longestTail = 4 + 3 + 2 + 10

func key(kind byte, parts ...string) []byte {
	n := 1 + longestTail
	for _, p := range parts {
		n += len(p) + 1
	}
	b := append(make([]byte, 0, n), kind)
	for _, p := range parts {
		b = append(b, p...)
		b = append(b, 0)
	}
	return b
}

// after returns the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func statementKey(signer string, statementID []byte) []byte {
	return append(key(statementKeys, signer), statementID...)
}

func hashKey(hash []byte) []byte {
	return append(append(make([]byte, 0, 1+verify.HashSize), hashKeys), hash...)
}

func keyKey(keyID []byte) []byte {
	return append(append(make([]byte, 0, 1+verify.HashSize), keyKeys), keyID...)
}

func uint64Value(v uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), v) }

// readIndex returns the index that a key points to.
func readIndex(r Lookup, key []byte) (index uint64, ok bool, err error) {
	b, err := r.Get(key)
	if err != nil || b == nil {
		return 0, false, err
	}
	if len(b) < 8 {
		return 0, false, fmt.Errorf("%w: key %q holds no index", ErrState, key)
	}
	return binary.BigEndian.Uint64(b), true, nil
}

// StatementByKey returns the index of a signer's statement.
func StatementByKey(r Lookup, signer string, statementID []byte) (index uint64, ok bool, err error) {
	return readIndex(r, statementKey(signer, statementID))
}

// StatementByHash returns the index of the statement with a hash.
func StatementByHash(r Lookup, hash []byte) (index uint64, ok bool, err error) {
	return readIndex(r, hashKey(hash))
}

// ParticipantByID returns what the log says about a participant, or nil.
func ParticipantByID(r Lookup, id string) (*tracev1.Participant, error) {
	return readMessage(r, key(participantKeys, id), new(tracev1.Participant))
}

// KeyByID returns what the log says about a signing key, or nil. A key without
// a participant is the checkpoint key, which signs no statement.
func KeyByID(r Lookup, keyID []byte) (*tracev1.Key, error) {
	return readMessage(r, keyKey(keyID), new(tracev1.Key))
}

func readMessage[M interface {
	proto.Message
	comparable
}](r Lookup, key []byte, m M) (M, error) {
	var none M
	b, err := r.Get(key)
	if err != nil || b == nil {
		return none, err
	}
	return parseMessage(key, b, m)
}

// parseMessage parses the value of a key into m.
func parseMessage[M proto.Message](key, value []byte, m M) (M, error) {
	if err := proto.Unmarshal(value, m); err != nil {
		return m, fmt.Errorf("%w: key %q: %w", ErrState, key, err)
	}
	return m, nil
}

func putMessage(s State, key []byte, m proto.Message) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // the messages of the state hold checked UTF-8 only
	}
	s.Put(key, b)
}

// KeysOf returns the keys of a participant by index of registration.
func KeysOf(r Reader, participantID string) ([]*tracev1.Key, error) {
	var ids [][]byte
	prefix := key(ownerKeys, participantID)
	err := r.Scan(prefix, after(prefix), func(_, value []byte) bool {
		ids = append(ids, append([]byte(nil), value...))
		return true
	})
	if err != nil {
		return nil, err
	}
	keys := make([]*tracev1.Key, len(ids))
	for i, id := range ids {
		if keys[i], err = KeyByID(r, id); err != nil {
			return nil, err
		}
		if keys[i] == nil {
			return nil, fmt.Errorf("%w: key %x of %q", ErrState, id, participantID)
		}
	}
	return keys, nil
}

// Participants calls visit for each participant whose id is at least from, by
// id, until it returns false.
func Participants(r Reader, from string, visit func(*tracev1.Participant) bool) error {
	var bad error
	start := append([]byte{participantKeys}, from...)
	err := r.Scan(start, []byte{participantKeys + 1}, func(k, value []byte) bool {
		p := new(tracev1.Participant)
		if err := proto.Unmarshal(value, p); err != nil {
			bad = fmt.Errorf("%w: key %q: %w", ErrState, k, err)
			return false
		}
		return visit(p)
	})
	if err != nil {
		return err
	}
	return bad
}

// payloadAt returns the statement of an entry.
func payloadAt(r Lookup, index uint64) (*verify.Payload, error) {
	b, err := r.Payload(index)
	if err != nil {
		return nil, err
	}
	p, err := verify.ParsePayload(b)
	if err != nil {
		return nil, fmt.Errorf("%w: statement %d: %w", ErrState, index, err)
	}
	return p, nil
}
