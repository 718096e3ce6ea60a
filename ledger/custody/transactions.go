package custody

import (
	"encoding/binary"
	"fmt"
	"math"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// How a version of a transaction was superseded.
const (
	byAmendment = 'a'
	byVoid      = 'v'
)

// posting is a version of a transaction as the projections hold it.
type posting struct {
	seller, customer string
	day              Day
	index            uint64
	tx               *tracev1.Transaction
}

func (p *posting) listingKey() []byte {
	b := key(listingKeys, p.seller, p.customer)
	b = binary.BigEndian.AppendUint32(b, uint32(p.day)^signBit)
	return binary.BigEndian.AppendUint64(b, p.index)
}

// signBit makes negative numbers sort before positive ones.
const signBit = 1 << 31

// record admits a transaction.
func (r *Rules) record(s State, at Place, signer string, tx *tracev1.Transaction) error {
	p, err := r.judge(s, at, signer, "transaction", tx)
	if err != nil {
		return err
	}
	return p.post(s)
}

// judge checks what a transaction needs state and time for.
func (r *Rules) judge(s State, at Place, seller, path string, tx *tracev1.Transaction) (*posting, error) {
	if vs := CheckDateBounds(tx, at.SequencedAtMicros, r.utcOffset, r.parameters); len(vs) > 0 {
		for i := range vs {
			vs[i].Field = path + "." + vs[i].Field
		}
		return nil, &Refusal{Reason: vs[0].Reason, Message: "the transaction is dated too far ahead", Violations: vs}
	}
	if id := tx.GetCustomer().GetParticipantId(); id != "" {
		if _, err := admitted(s, id); err != nil {
			return nil, err
		}
	}
	return postingOf(s, seller, at.Index, tx)
}

// postingOf returns the posting of a transaction that stands at an index.
func postingOf(r Lookup, seller string, index uint64, tx *tracev1.Transaction) (*posting, error) {
	customer, err := CustomerKey(r, seller, tx.GetCustomer(), index)
	if err != nil {
		return nil, err
	}
	day, ok := ParseDay(tx.GetTransactionDate())
	if !ok {
		return nil, fmt.Errorf("%w: date of statement %d", ErrState, index)
	}
	return &posting{seller: seller, customer: customer, day: day, index: index, tx: tx}, nil
}

// CustomerKey returns the key that a customer is counted under in a statement
// at an index: the best identifier present, in the order participant, lei,
// uscc, eori, gln, vat and the seller's own code, resolved to the participant
// that it was bound to by then.
func CustomerKey(r Lookup, seller string, c *tracev1.Party, index uint64) (string, error) {
	if c.GetParticipantId() != "" {
		return "participant:" + c.GetParticipantId(), nil
	}
	for _, scheme := range schemes {
		for _, id := range c.GetIdentifiers() {
			if id.GetScheme() != scheme.scheme {
				continue
			}
			holder, err := holderOf(r, id, index)
			if holder != "" {
				return "participant:" + holder, err
			}
			return identifierName(id), err
		}
	}
	return "own:" + seller + "/" + c.GetOwnCode(), nil
}

// kindValues are the rows of the listing for versions that are live.
var kindValues = func() (values [lastKind + 1][]byte) {
	for kind := range values {
		values[kind] = []byte{byte(kind)}
	}
	return values
}()

// post puts the listing row, the figures and who deals with whom.
func (p *posting) post(s State) error {
	s.Put(p.listingKey(), kindValues[p.tx.GetKind()])
	name := p.tx.GetCustomer().GetName().GetLatin()
	if name == "" {
		name = p.tx.GetCustomer().GetName().GetNative()
	}
	pair := key(sellerKeys, p.seller, p.customer)
	known, err := s.Get(pair)
	if err != nil {
		return err
	}
	if string(known) != name {
		s.Put(pair, []byte(name))
	}
	if known == nil {
		s.Put(key(customerKeys, p.customer, p.seller), []byte{1})
	}
	p.fold(s, (*Figures).addLine)
	return nil
}

// fold adds the lines to their cells, or takes them away.
func (p *posting) fold(s State, op func(*Figures, *tracev1.TransactionLine, bool)) {
	for i, line := range p.tx.GetLines() {
		op(s.Change(p.cellKey(line)), line, i == 0)
	}
}

func (p *posting) cellKey(line *tracev1.TransactionLine) []byte {
	b := key(cellKeys, p.seller, p.customer)
	b = binary.BigEndian.AppendUint32(b, uint32(p.day.Month())^signBit)
	b = append(b, byte(p.tx.GetKind()), byte(line.GetProductFamily()), byte(p.tx.GetEndUse()))
	country := [2]byte{}
	copy(country[:], p.tx.GetDestinationCountry())
	b = append(b, country[:]...)
	return append(b, line.GetHsCode()...)
}

// target returns the latest version of a transaction, which an amendment or a
// void by its signer may name. The error is a *Refusal if the target is not
// that.
func target(s State, signer string, hash []byte) (*posting, error) {
	unknown := refuse(tracev1.RefusalReason_REFUSAL_REASON_TARGET_UNKNOWN, "the target is no transaction of the signer")
	index, ok, err := StatementByHash(s, hash)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknown
	}
	v, err := versionAt(s, index)
	if err != nil {
		return nil, err
	}
	if v == nil || v.seller != signer {
		return nil, unknown
	}
	latest, err := v.latest(s, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	switch {
	case latest.how == byVoid:
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_TARGET_VOIDED, "the transaction was voided at index %d", latest.index)
	case latest.index != index:
		refusal := refuse(tracev1.RefusalReason_REFUSAL_REASON_TARGET_STALE, "the target was amended; its latest version is at index %d", latest.index)
		refusal.LatestHash, err = s.StatementHash(latest.index)
		if err != nil {
			return nil, err
		}
		return nil, refusal
	}
	return v, nil
}

// versionAt returns the version of a transaction that an entry states, or nil.
func versionAt(r Lookup, index uint64) (*posting, error) {
	p, err := payloadAt(r, index)
	if err != nil {
		return nil, err
	}
	tx := p.Statement.GetTransaction()
	if a := p.Statement.GetAmendment(); a != nil {
		tx = a.GetReplacement()
	}
	if tx == nil {
		return nil, nil
	}
	return postingOf(r, p.Statement.GetSigner(), index, tx)
}

// successor is what superseded a version, or the version itself: how is 0 then.
type successor struct {
	index uint64
	how   byte
}

// supersededBy returns what superseded the version, if anything did.
func (p *posting) supersededBy(r Lookup) (successor, error) {
	row, err := r.Get(p.listingKey())
	if err != nil {
		return successor{}, err
	}
	_, next, ok := parseListing(row)
	if !ok {
		return successor{}, fmt.Errorf("%w: listing of statement %d", ErrState, p.index)
	}
	return next, nil
}

// latest follows the versions to the last one below size, or to the void.
func (p *posting) latest(r Lookup, size uint64) (successor, error) {
	at := successor{index: p.index}
	for {
		next, err := p.supersededBy(r)
		if err != nil {
			return successor{}, err
		}
		if next.how == 0 || next.index >= size {
			return at, nil
		}
		if at = next; next.how == byVoid {
			return at, nil
		}
		if p, err = versionAt(r, next.index); err != nil {
			return successor{}, err
		}
		if p == nil {
			return successor{}, fmt.Errorf("%w: statement %d is no amendment", ErrState, next.index)
		}
	}
}

// parseListing reads the value of a listing row.
func parseListing(row []byte) (kind tracev1.TransactionKind, next successor, ok bool) {
	switch len(row) {
	case 1:
		return tracev1.TransactionKind(row[0]), successor{}, true
	case 10:
		return tracev1.TransactionKind(row[0]), successor{index: binary.BigEndian.Uint64(row[1:]), how: row[9]}, true
	}
	return 0, successor{}, false
}

// supersede marks the version and takes its figures away.
func (p *posting) supersede(s State, by successor) {
	row := binary.BigEndian.AppendUint64([]byte{byte(p.tx.GetKind())}, by.index)
	s.Put(p.listingKey(), append(row, by.how))
	p.fold(s, (*Figures).subtractLine)
}

func (r *Rules) amend(s State, at Place, signer string, a *tracev1.Amendment) error {
	old, err := target(s, signer, a.GetTarget())
	if err != nil {
		return err
	}
	replacement, err := r.judge(s, at, signer, "amendment.replacement", a.GetReplacement())
	if err != nil {
		return err
	}
	old.supersede(s, successor{at.Index, byAmendment})
	return replacement.post(s)
}

func (r *Rules) void(s State, at Place, signer string, v *tracev1.Void) error {
	old, err := target(s, signer, v.GetTarget())
	if err != nil {
		return err
	}
	old.supersede(s, successor{at.Index, byVoid})
	return nil
}
