package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// statements makes the statements of a producer: customers in turn, days of the
// last year.
type statements struct {
	author    *client.Author
	mark      string // begins all numbers and codes
	customers int
	lines     int
	size      int // bytes, 0: as it comes
}

// statements returns what makes the statements of a producer.
func (b *bencher) statements(p *benchSession) (*statements, error) {
	m := &statements{author: p.author, mark: b.mark, customers: b.opts.customers, lines: b.opts.lines, size: b.opts.size}
	if m.size == 0 {
		return m, nil
	}
	if least, most := m.reach(); m.size < least || m.size > most {
		return nil, fmt.Errorf("--statement-size: with --lines %d a statement has from %s to %s bytes, not %s; change --lines to reach others",
			m.lines, grouped(fmt.Sprint(least)), grouped(fmt.Sprint(most)), grouped(fmt.Sprint(m.size)))
	}
	return m, nil
}

// statement returns the i-th statement, of the size asked for to a few bytes.
func (m *statements) statement(i int) *tracev1.Statement {
	tx := m.transaction(i)
	if m.size > 0 {
		fill(tx, m.size-m.bytes(tx), rand.New(rand.NewPCG(uint64(i), 0)))
	}
	return &tracev1.Statement{Stated: &tracev1.Statement_Transaction{Transaction: tx}}
}

// bytes returns how long the payload of a transaction is.
func (m *statements) bytes(tx *tracev1.Transaction) int {
	return proto.Size(&tracev1.Statement{
		LedgerId: make([]byte, 32), Salt: make([]byte, 16), StatementId: make([]byte, 16),
		Signer: m.author.ID, StatedAtMicros: time.Now().UnixMicro(), Stated: &tracev1.Statement_Transaction{Transaction: tx},
	})
}

// reach returns the sizes that every statement can be filled up to.
func (m *statements) reach() (least, most int) {
	for _, i := range []int{0, m.customers - 1, 28, 4999} { // short numbers and long ones
		tx := m.transaction(i)
		least = max(least, m.bytes(tx))
		fill(tx, 1<<30, rand.New(rand.NewPCG(0, 0)))
		if full := m.bytes(tx); most == 0 || full < most {
			most = full
		}
	}
	return least, most
}

func (m *statements) transaction(i int) *tracev1.Transaction {
	customer := i % m.customers
	name := fmt.Sprintf("Customer %d", customer)
	if m.mark != "" {
		name += " of magnet bench"
	}
	tx := &tracev1.Transaction{
		Kind:              tracev1.TransactionKind_TRANSACTION_KIND_SALE,
		Customer:          &tracev1.Party{OwnCode: fmt.Sprintf("%sC%05d", m.mark, customer), Name: &tracev1.LegalName{Native: name}, Country: "CN"},
		TransactionDate:   time.Now().AddDate(0, 0, -(i % 365)).Format(time.DateOnly),
		TransactionNumber: fmt.Sprintf("%sT%09d", m.mark, i),
		InvoiceNumber:     fmt.Sprintf("%sI%09d", m.mark, i),
		EndUse:            tracev1.EndUse_END_USE_TRACTION,
	}
	for line := range m.lines {
		tx.Lines = append(tx.Lines, &tracev1.TransactionLine{
			ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED, Grade: "N42SH", HsCode: "8505111000",
			LotNumber: fmt.Sprintf("L%07d-%d", i/10, line), NetMassGrams: uint64(1000 + i%5000), PieceCount: uint64(100 + i%50),
			Composition: []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 295_000}, {Symbol: "Dy", Ppm: 12_000}},
		})
	}
	return tx
}

// Longest texts of a transaction.
const (
	longestName    = 256
	longestNumber  = 64
	longestCoating = 64
)

// fill adds texts to a transaction until it is so many bytes longer, to a few, or
// no text can be added.
func fill(tx *tracev1.Transaction, bytes int, random *rand.Rand) {
	text := func(longest, overhead int) string {
		return randomText(max(0, min(longest, bytes-overhead)), random)
	}
	tx.EndUserName = text(longestName, 3)
	bytes -= len(tx.GetEndUserName()) + 3
	for _, number := range []*string{&tx.ContractNumber, &tx.ExportLicenceNumber, &tx.CustomsDeclarationNumber} {
		*number = text(longestNumber, 2)
		bytes -= len(*number) + 2
	}
	for _, line := range tx.GetLines() {
		// The text, its kind, and perhaps a longer length of the line.
		if coating := text(longestCoating, 5); coating != "" {
			before := protowire.SizeBytes(proto.Size(line))
			line.Coating, line.CoatingOther = tracev1.Coating_COATING_OTHER, coating
			bytes -= protowire.SizeBytes(proto.Size(line)) - before
		}
	}
}

// randomText returns text that a store cannot compress away.
func randomText(n int, random *rand.Rand) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b strings.Builder
	for b.Len() < n {
		for bits, i := random.Uint64(), 0; i < 12 && b.Len() < n; i++ {
			b.WriteByte(letters[bits>>(5*i)&31])
		}
	}
	return b.String()
}
