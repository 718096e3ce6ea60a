package custody

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Dimension is something to group volumes by.
type Dimension int

// Dimensions. Of ByDay, ByMonth and ByYear a question names at most one.
const (
	BySeller Dimension = iota + 1
	ByCustomer
	ByKind
	ByDay
	ByMonth
	ByYear
	ByProductFamily
	ByHSCode
	ByDestinationCountry
	ByEndUse
)

// VolumeRow is the volume of one group.
type VolumeRow struct {
	// Keys has one value for each dimension that was asked for.
	Keys []string
	Figures
}

// Volumes is the answer to a question for volumes.
type Volumes struct {
	// Rows are in ascending order of their keys. No row is empty.
	Rows []VolumeRow
	// Totals adds up the rows.
	Totals Figures
	// CustomerNames are names for people of customers that sellers named, as far as
	// they were at hand; CustomerName knows the others.
	CustomerNames map[string]string
	// CountsTransactions says whether TransactionCount means something: every
	// dimension and filter belongs to the whole transaction.
	CountsTransactions bool
}

// QueryVolumes adds up the latest versions of transactions within a scope. Its
// cost follows the monthly cells that match; days that do not make up whole
// months, or that are asked for one by one, cost their transactions.
func QueryVolumes(r Reader, scope Scope, f Filter, by []Dimension) (*Volumes, error) {
	names := make(map[string]string)
	ps, err := pairs(r, scope, &f, names)
	if err != nil {
		return nil, err
	}
	sum := &summation{by: by, filter: &f, words: make(map[string]string), months: make(map[Month]string)}
	var months []Range
	for _, p := range ps {
		if months, err = sum.addPair(r, p, months); err != nil {
			return nil, err
		}
	}
	if err := sum.addMonths(r, months); err != nil {
		return nil, err
	}
	v := sum.volumes()
	v.CustomerNames = names
	return v, nil
}

type summation struct {
	by     []Dimension
	filter *Filter
	words  map[string]string // strings of cells, each once
	months map[Month]string  // names of months, each once

	// A row is found by its name, which appendTo writes. Cells come in the order of
	// their keys; as long as that is the order of names, the last row is the only
	// one that a cell can belong to.
	rows   []VolumeRow
	name   []byte
	names  []byte         // of all rows, one after the other
	ends   []int          // of each name
	groups map[string]int // index of a row by its name; nil while they are in order

	// Keys and elements of rows are parts of these.
	keys     []string
	elements []ElementMass
}

// cell is the place of a line in all dimensions.
type cell struct {
	pair
	month   Month
	day     Day // 0 when days are not told apart
	kind    tracev1.TransactionKind
	family  tracev1.ProductFamily
	endUse  tracev1.EndUse
	country string
	hsCode  string
}

// addPair adds the days that do not make up whole months from transactions, and
// appends where the cells of the whole months stand.
func (s *summation) addPair(r Reader, p pair, months []Range) ([]Range, error) {
	first, last := s.filter.FirstDay, s.filter.LastDay
	if first > last {
		return months, nil
	}
	if slices.Contains(s.by, ByDay) {
		return months, s.addDays(r, p, first, last)
	}
	from, to := first.Month(), last.Month()
	if from.FirstDay() != first {
		end := min(from.LastDay(), last)
		if err := s.addDays(r, p, first, end); err != nil {
			return nil, err
		}
		from++
	}
	if from <= to && to.LastDay() != last {
		if err := s.addDays(r, p, to.FirstDay(), last); err != nil {
			return nil, err
		}
		to--
	}
	if from > to {
		return months, nil
	}
	prefix := key(cellKeys, p.seller, p.customer)
	return append(months, Range{
		From: binary.BigEndian.AppendUint32(slices.Clip(prefix), uint32(from)^signBit),
		To:   binary.BigEndian.AppendUint32(slices.Clip(prefix), uint32(to+1)^signBit),
	}), nil
}

func (s *summation) addMonths(r Reader, months []Range) error {
	var bad error
	var c cell
	var names, elements = []byte(nil), []ElementMass(nil)
	err := r.ScanRanges(months, func(k, value []byte) bool {
		rest := k[min(len(names), len(k)):]
		if names == nil || !bytes.HasPrefix(k, names) {
			var ok bool
			if c.pair, rest, ok = parsePair(k); !ok {
				bad = fmt.Errorf("%w: a cell", ErrState)
				return false
			}
			names = append(names[:0], k[:len(k)-len(rest)]...)
		}
		if !s.parseCell(&c, rest) {
			bad = fmt.Errorf("%w: a cell of %q", ErrState, c.seller)
			return false
		}
		if !s.wants(&c) {
			return true
		}
		figures := Figures{Elements: elements}
		if bad = figures.parse(value); bad == nil && figures.LineCount > 0 {
			s.row(&c).add(figures, &s.elements)
		}
		elements = figures.Elements
		return bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}

// parsePair reads the seller and the customer that the key of a cell begins with,
// and returns what follows.
func parsePair(k []byte) (p pair, rest []byte, ok bool) {
	seller, rest, ok1 := bytes.Cut(k[1:], []byte{0})
	customer, rest, ok2 := bytes.Cut(rest, []byte{0})
	return pair{string(seller), string(customer)}, rest, ok1 && ok2
}

// parseCell reads what follows seller and customer in the key of a cell.
func (s *summation) parseCell(c *cell, k []byte) bool {
	if len(k) < 9 {
		return false
	}
	c.month = Month(int32(binary.BigEndian.Uint32(k) ^ signBit))
	c.kind, c.family, c.endUse = tracev1.TransactionKind(k[4]), tracev1.ProductFamily(k[5]), tracev1.EndUse(k[6])
	c.country, c.hsCode = s.word(bytes.TrimRight(k[7:9], "\x00")), s.word(k[9:])
	return true
}

func (s *summation) word(b []byte) string {
	w, ok := s.words[string(b)]
	if !ok {
		w = string(b)
		s.words[w] = w
	}
	return w
}

func (s *summation) addDays(r Reader, p pair, first, last Day) error {
	var live []uint64
	err := scanListing(r, p, first, last, nil, func(row listed) bool {
		if row.next.how == 0 {
			live = append(live, row.index)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, index := range live {
		v, err := versionAt(r, index)
		if err != nil {
			return err
		}
		if v == nil {
			return fmt.Errorf("%w: listing of statement %d", ErrState, index)
		}
		for i, line := range v.tx.GetLines() {
			c := cell{
				pair: p, month: v.day.Month(), day: v.day, kind: v.tx.GetKind(), family: line.GetProductFamily(), endUse: v.tx.GetEndUse(),
				country: v.tx.GetDestinationCountry(), hsCode: line.GetHsCode(),
			}
			if s.wants(&c) {
				s.row(&c).addLine(line, i == 0)
			}
		}
	}
	return nil
}

func (s *summation) wants(c *cell) bool {
	f := s.filter
	return in(f.Kinds, c.kind) && in(f.ProductFamilies, c.family) && in(f.EndUses, c.endUse) &&
		in(f.DestinationCountries, c.country) && in(f.HSCodes, c.hsCode)
}

// row returns the row that a cell is counted in. It stays there until the next
// call.
func (s *summation) row(c *cell) *VolumeRow {
	s.name = s.name[:0]
	for _, d := range s.by {
		s.name = c.appendTo(s.name, d)
	}
	if i, ok := s.find(); ok {
		return &s.rows[i]
	}
	if s.groups != nil {
		s.groups[string(s.name)] = len(s.rows)
	}
	s.names = append(s.names, s.name...)
	s.ends = append(s.ends, len(s.names))
	from := len(s.keys)
	for _, d := range s.by {
		s.keys = append(s.keys, s.value(c, d))
	}
	s.rows = append(s.rows, VolumeRow{Keys: s.keys[from:len(s.keys):len(s.keys)]})
	return &s.rows[len(s.rows)-1]
}

// find returns the row with the present name, if there is one.
func (s *summation) find() (int, bool) {
	if s.groups == nil {
		last := len(s.rows) - 1
		if last < 0 {
			return 0, false
		}
		switch order := bytes.Compare(s.name, s.nameOf(last)); {
		case order == 0:
			return last, true
		case order > 0:
			return 0, false
		}
		s.groups = make(map[string]int, 2*len(s.rows))
		for i := range s.rows {
			s.groups[string(s.nameOf(i))] = i
		}
	}
	i, ok := s.groups[string(s.name)]
	return i, ok
}

func (s *summation) nameOf(row int) []byte {
	from := 0
	if row > 0 {
		from = s.ends[row-1]
	}
	return s.names[from:s.ends[row]]
}

// appendTo appends the place in one dimension, so that cells differ where it
// does.
func (c *cell) appendTo(b []byte, d Dimension) []byte {
	switch d {
	case BySeller:
		return append(append(b, c.seller...), 0)
	case ByCustomer:
		return append(append(b, c.customer...), 0)
	case ByKind:
		return append(b, byte(c.kind))
	case ByDay:
		return binary.BigEndian.AppendUint32(b, uint32(c.day))
	case ByMonth:
		return binary.BigEndian.AppendUint32(b, uint32(c.month))
	case ByYear:
		return binary.BigEndian.AppendUint32(b, uint32(c.month.Year()))
	case ByProductFamily:
		return append(b, byte(c.family))
	case ByHSCode:
		return append(append(b, c.hsCode...), 0)
	case ByDestinationCountry:
		return append(append(b, c.country...), 0)
	case ByEndUse:
		return append(b, byte(c.endUse))
	}
	panic(fmt.Sprintf("dimension %d", d))
}

// value is the place of a cell in one dimension, in words.
func (s *summation) value(c *cell, d Dimension) string {
	switch d {
	case BySeller:
		return c.seller
	case ByCustomer:
		return c.customer
	case ByKind:
		return c.kind.String()
	case ByDay:
		return c.day.String()
	case ByMonth:
		name, ok := s.months[c.month]
		if !ok {
			name = c.month.String()
			s.months[c.month] = name
		}
		return name
	case ByYear:
		return fmt.Sprintf("%04d", c.month.Year())
	case ByProductFamily:
		return c.family.String()
	case ByHSCode:
		return c.hsCode
	case ByDestinationCountry:
		return c.country
	case ByEndUse:
		return c.endUse.String()
	}
	panic(fmt.Sprintf("dimension %d", d))
}

func (s *summation) volumes() *Volumes {
	v := &Volumes{Rows: s.rows, CountsTransactions: !s.filter.narrowsLines() &&
		!slices.Contains(s.by, ByProductFamily) && !slices.Contains(s.by, ByHSCode)}
	for i := range v.Rows {
		v.Totals.Add(v.Rows[i].Figures)
	}
	byKeys := func(a, b VolumeRow) int { return slices.Compare(a.Keys, b.Keys) }
	if !slices.IsSortedFunc(v.Rows, byKeys) {
		slices.SortFunc(v.Rows, byKeys)
	}
	return v
}

// CustomerName returns the name of a customer for people: that of the
// participant, or the one that a seller within the scope stated last. It is
// empty when there is none.
func CustomerName(r Reader, scope Scope, customer string) (string, error) {
	if id, ok := strings.CutPrefix(customer, "participant:"); ok {
		return ParticipantName(r, id)
	}
	sellers := scope.Sellers
	if scope.All {
		sellers = nil
		err := eachPartner(r, customerKeys, []string{customer}, func(_, seller string, _ []byte) { sellers = append(sellers, seller) })
		if err != nil {
			return "", err
		}
	}
	for _, seller := range sellers {
		name, err := r.Get(key(sellerKeys, seller, customer))
		if err != nil || name != nil {
			return string(name), err
		}
	}
	return "", nil
}

// ParticipantName returns the name of a participant for people, or "".
func ParticipantName(r Lookup, id string) (string, error) {
	p, err := ParticipantByID(r, id)
	if err != nil {
		return "", err
	}
	if latin := p.GetName().GetLatin(); latin != "" {
		return latin, nil
	}
	return p.GetName().GetNative(), nil
}
