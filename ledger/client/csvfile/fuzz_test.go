package csvfile_test

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// FuzzRead reads any file. What is accepted is written and read back equal; what
// is rejected can be handed back, and read again.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"utf8_bom.csv", "utf16le.csv", "gbk.csv", "semicolon.csv", "excel_damage.csv", "cr.csv"} {
		f.Add([]byte(testdata(f, name)))
	}
	var template bytes.Buffer
	if err := csvfile.WriteTemplate(&template); err != nil {
		f.Fatal(err)
	}
	f.Add(template.Bytes())
	f.Add([]byte(table(sale, sale.but(values{"line_number": "3"}), sale.but(values{"customer_name": "'=a\nb\"", "transaction_number": "+1"}))))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := csvfile.Read(bytes.NewReader(data), nil)
		var fault *csvfile.FormatError
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("Read: %v, which is no FormatError", err)
		}
		if err != nil {
			return
		}
		checkWritten(t, file)
		checkRejected(t, file)
	})
}

// checkWritten writes what was accepted and reads it back.
func checkWritten(t *testing.T, file *csvfile.File) {
	var txs []*tracev1.Transaction
	for _, tx := range file.Transactions {
		txs = append(txs, tx.Message)
	}
	var b bytes.Buffer
	if err := csvfile.Write(&b, txs); err != nil {
		t.Fatalf("Write: %v", err)
	}
	again, err := csvfile.Read(&b, nil)
	if err != nil || len(again.Transactions) != len(txs) {
		t.Fatalf("reading back: %v, %d of %d transactions, rejected %v", err, len(again.Transactions), len(txs), again.Rejected)
	}
	for i, tx := range again.Transactions {
		if !proto.Equal(tx.Message, txs[i]) {
			t.Fatalf("wrote %v\nread %v", txs[i], tx.Message)
		}
	}
}

// checkRejected writes all transactions as rejected and reads them again: the
// same are accepted.
func checkRejected(t *testing.T, file *csvfile.File) {
	extra := make(map[string]string)
	for _, tx := range file.Transactions {
		extra[tx.Number] = "refused"
	}
	var b bytes.Buffer
	if err := file.WriteRejected(&b, extra); err != nil {
		t.Fatalf("WriteRejected: %v", err)
	}
	again, err := csvfile.Read(&b, nil)
	if err != nil {
		t.Fatalf("reading the rejected: %v", err)
	}
	if len(again.Transactions) != len(file.Transactions) || again.Rows != file.Rows {
		t.Fatalf("rejected %d transactions in %d rows, read %d in %d: %v",
			len(file.Transactions), file.Rows, len(again.Transactions), again.Rows, again.Rejected)
	}
}
