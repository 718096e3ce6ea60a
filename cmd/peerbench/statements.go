package main

import (
	"crypto/ed25519"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// What the statements are like: transactions of one line by producers that each
// have customers of their own, dated over the last year.
const (
	producers            = 4
	customersPerProducer = 500
	batchSize            = 1024 // statements under one batch signature
)

// form says how an envelope is signed.
type form int

const (
	batchSigned form = iota
	singleSigned
)

// statement is one transaction: signed, and in the columns that a database needs.
type statement struct {
	envelopes [2]*tracev1.Envelope // by form; nil where it was not asked for
	row       columns
}

// columns are what a database has to know of a statement to answer by id and by
// customer and month. They are taken from the transaction before any clock
// starts.
type columns struct {
	seller   string
	id       client.StatementID
	customer string
	month    time.Time
	grams    int64
}

// producer is one who states, with the keys to do so.
type producer struct {
	id      string
	private ed25519.PrivateKey
	author  *client.Author
}

// makeStatements returns the statements from one number to another, signed in
// the forms. The producers have them in turn. All cores are used.
func makeStatements(by []*producer, from, to int, forms ...form) ([]statement, error) {
	made := make([]statement, to-from)
	payloads := make([]*verify.Payload, len(made))
	err := inParallel(len(made), func(i int) (err error) {
		payloads[i], made[i].row, err = makePayload(by[i%len(by)], from+i)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range forms {
		if err := sign(by, payloads, made, f); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// inParallel calls do for 0 to n-1 from as many goroutines as there are cores.
func inParallel(n int, do func(i int) error) error {
	var group errgroup.Group
	work := newFeed(n, 0)
	for range runtime.NumCPU() {
		group.Go(func() error {
			for {
				from, to := work.take(256)
				if from == to {
					return nil
				}
				for i := from; i < to; i++ {
					if err := do(i); err != nil {
						return err
					}
				}
			}
		})
	}
	return group.Wait()
}

// makePayload returns the i-th statement. Its id follows from its number, as
// those of the project's own importer do, and is as good as random.
func makePayload(by *producer, i int) (*verify.Payload, columns, error) {
	tx, day := transaction(i), time.Now().AddDate(0, 0, -(i%365))
	tx.TransactionDate = day.Format(time.DateOnly)
	id := client.TransactionID(by.author.Log.ID(), by.id, tx.GetTransactionNumber())
	row := columns{
		seller: by.id, id: id, customer: "own:" + by.id + "/" + tx.GetCustomer().GetOwnCode(),
		month: time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC), grams: int64(tx.GetLines()[0].GetNetMassGrams()),
	}
	p, err := by.author.Payload(&tracev1.Statement{Stated: &tracev1.Statement_Transaction{Transaction: tx}}, id, time.Now())
	return p, row, err
}

func transaction(i int) *tracev1.Transaction {
	customer := i / producers % customersPerProducer
	return &tracev1.Transaction{
		Kind:              tracev1.TransactionKind_TRANSACTION_KIND_SALE,
		Customer:          &tracev1.Party{OwnCode: fmt.Sprintf("C%05d", customer), Name: &tracev1.LegalName{Native: fmt.Sprintf("Customer %d", customer)}, Country: "CN"},
		TransactionNumber: fmt.Sprintf("T%09d", i),
		InvoiceNumber:     fmt.Sprintf("I%09d", i),
		EndUse:            tracev1.EndUse_END_USE_TRACTION,
		Lines: []*tracev1.TransactionLine{{
			ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED, Grade: "N42SH", HsCode: "8505111000",
			LotNumber: fmt.Sprintf("L%07d", i/10), NetMassGrams: uint64(1000 + i%5000), PieceCount: uint64(100 + i%50),
			Composition: []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 295_000}, {Symbol: "Dy", Ppm: 12_000}},
		}},
	}
}

// sign signs payloads in a form, each producer's by itself. A payload's producer
// is the one of its place in the slice.
func sign(by []*producer, payloads []*verify.Payload, made []statement, f form) error {
	size := batchSize
	if f == singleSigned {
		size = 1
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for p, producer := range by {
		group.Go(func() error {
			envelopes, err := producer.author.SignAll(everyNth(payloads, p, len(by)), size)
			for i, e := range envelopes {
				made[p+i*len(by)].envelopes[f] = e
			}
			return err
		})
	}
	return group.Wait()
}

// everyNth returns each n-th of the values, from one on.
func everyNth[T any](values []T, from, n int) []T {
	var some []T
	for i := from; i < len(values); i += n {
		some = append(some, values[i])
	}
	return some
}

// envelopesOf returns the envelopes of one producer.
func envelopesOf(statements []statement, p int, f form) []*tracev1.Envelope {
	var envelopes []*tracev1.Envelope
	for _, s := range everyNth(statements, p, producers) {
		envelopes = append(envelopes, s.envelopes[f])
	}
	return envelopes
}

// wire returns the envelopes in the bytes in which they travel.
func wire(statements []statement, f form) ([][]byte, error) {
	all := make([][]byte, len(statements))
	err := inParallel(len(all), func(i int) (err error) {
		all[i], err = proto.Marshal(statements[i].envelopes[f])
		return err
	})
	return all, err
}

// envelopeBytes returns the mean size of the envelopes of a form.
func envelopeBytes(statements []statement, f form) float64 {
	total := 0
	for _, s := range statements {
		total += proto.Size(s.envelopes[f])
	}
	return float64(total) / float64(max(1, len(statements)))
}
