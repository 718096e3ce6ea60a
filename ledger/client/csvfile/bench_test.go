package csvfile_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// rows is a file of n rows, two for each transaction, made while it is read.
func rows(n int) io.Reader {
	names, row, _ := strings.Cut(table(sale.but(values{
		"transaction_number": "INV-%07d", "line_number": "%d", "invoice_number": "25312000000012345678", "customer_lei": "HWUPKR0MPOU8FGXBT394",
		"grade": "N42SH", "lot_number": "LOT-77", "composition": "Nd 29.5; Dy 1.2; B 1.0", "value_amount": "1234.56", "value_currency": "EUR",
	})), "\n")
	r, w := io.Pipe()
	go func() {
		var b strings.Builder
		b.WriteString(names + "\n")
		for i := range n {
			fmt.Fprintf(&b, row, i/2, i%2+1)
			if b.Len() > 1<<16 || i == n-1 {
				io.WriteString(w, b.String())
				b.Reset()
			}
		}
		w.Close()
	}()
	return r
}

// BenchmarkRead reads rows; live-B/row is what is held in memory afterwards.
func BenchmarkRead(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	b.ReportAllocs()
	f, err := csvfile.Read(rows(b.N), nil)
	b.StopTimer()
	if err != nil || len(f.Rejected) > 0 || f.Rows != b.N {
		b.Fatalf("%v, %v", err, f.Rejected)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N), "live-B/row")
	runtime.KeepAlive(f)
}

// BenchmarkWrite writes transactions of two rows each.
func BenchmarkWrite(b *testing.B) {
	f, err := csvfile.Read(rows(2*b.N), nil)
	if err != nil {
		b.Fatal(err)
	}
	txs := make([]*tracev1.Transaction, len(f.Transactions))
	for i := range txs {
		txs[i] = f.Transactions[i].Message
	}
	b.ResetTimer()
	b.ReportAllocs()
	if err := csvfile.Write(io.Discard, txs); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "rows/s")
}
