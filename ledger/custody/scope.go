package custody

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Scope is which transactions a caller may read. The zero Scope reads none.
type Scope struct {
	// All transactions.
	All bool
	// Sellers whose transactions it may read.
	Sellers []string
	// Customer is the key of the customer whose transactions it may read, of
	// any seller.
	Customer string
}

// Includes reports whether a transaction of a seller with a customer is within
// the scope.
func (s Scope) Includes(seller, customer string) bool {
	return s.All || slices.Contains(s.Sellers, seller) || s.Customer != "" && s.Customer == customer
}

// Filter narrows a question: any of the values within a field, all of the
// fields together. An empty field does not narrow.
type Filter struct {
	Sellers, Customers   []string
	Kinds                []tracev1.TransactionKind
	ProductFamilies      []tracev1.ProductFamily
	HSCodes              []string
	DestinationCountries []string
	EndUses              []tracev1.EndUse
	FirstDay, LastDay    Day
}

// NewFilter returns a filter that narrows nothing.
func NewFilter() Filter {
	return Filter{FirstDay: dayOf(firstYear, 1, 1), LastDay: dayOf(lastYear, 12, 31)}
}

func in[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// narrowsLines reports whether the filter tells lines of one transaction apart.
func (f *Filter) narrowsLines() bool { return len(f.ProductFamilies) > 0 || len(f.HSCodes) > 0 }

func (f *Filter) matchesTransaction(tx *tracev1.Transaction) bool {
	return in(f.Kinds, tx.GetKind()) && in(f.EndUses, tx.GetEndUse()) && in(f.DestinationCountries, tx.GetDestinationCountry())
}

func (f *Filter) matchesLine(line *tracev1.TransactionLine) bool {
	return in(f.ProductFamilies, line.GetProductFamily()) && in(f.HSCodes, line.GetHsCode())
}

// pair is a seller and one of its customers.
type pair struct{ seller, customer string }

// pairs returns the pairs that the filter names and the scope includes, by
// seller and customer. What lies outside the scope is not even looked up. names,
// if it is not nil, gets the names that sellers gave to customers of their own, as
// far as they are at hand.
func pairs(r Reader, scope Scope, f *Filter, names map[string]string) ([]pair, error) {
	var found []pair
	add := func(p pair, name []byte) {
		if scope.Includes(p.seller, p.customer) && in(f.Sellers, p.seller) && in(f.Customers, p.customer) {
			found = append(found, p)
			if names != nil && strings.HasPrefix(p.customer, "own:") && name != nil {
				names[p.customer] = string(name)
			}
		}
	}
	sellers, customers := f.Sellers, f.Customers
	if !scope.All {
		sellers, customers = scope.Sellers, nil
		if scope.Customer != "" {
			customers = []string{scope.Customer}
		}
	}
	var err error
	switch {
	case scope.All && len(customers) > 0:
		err = eachPartner(r, customerKeys, customers, func(c, s string, _ []byte) { add(pair{s, c}, nil) })
	case scope.All && len(sellers) == 0:
		err = eachPartner(r, sellerKeys, nil, func(s, c string, name []byte) { add(pair{s, c}, name) })
	default:
		if err = eachPartner(r, sellerKeys, nonNil(sellers), func(s, c string, name []byte) { add(pair{s, c}, name) }); err == nil && !scope.All {
			err = eachPartner(r, customerKeys, nonNil(customers), func(c, s string, _ []byte) { add(pair{s, c}, nil) })
		}
	}
	slices.SortFunc(found, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.seller, b.seller), cmp.Compare(a.customer, b.customer))
	})
	return slices.Compact(found), err
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// eachPartner calls visit for the partners of each of the names, or of all when
// names is nil, with the value of the pair, which is valid only during the call.
func eachPartner(r Reader, kind byte, names []string, visit func(name, partner string, value []byte)) error {
	prefixes := [][]byte{{kind}}
	if names != nil {
		prefixes = nil
		for _, n := range names {
			prefixes = append(prefixes, key(kind, n))
		}
	}
	for _, prefix := range prefixes {
		err := r.Scan(prefix, after(prefix), func(k, value []byte) bool {
			name, rest, _ := bytes.Cut(k[1:], []byte{0})
			visit(string(name), string(bytes.TrimSuffix(rest, []byte{0})), value)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}
