package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// machines returns two sessions of one participant with one server, as from two
// machines, and the transaction that one of them recorded.
func machines(t *testing.T) (one, two *session, tx *tracev1.Transaction) {
	t.Helper()
	ctx := context.Background()
	d := &demo{app: &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}, dir: t.TempDir()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(d.foundOnce())
	stop, err := d.serve(ctx)
	check(err)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	check(d.enrol(ctx))
	path := filepath.Join(d.dir, exporterID, "profile.yaml")
	one, err = d.as(path)
	check(err)
	t.Cleanup(one.Close)
	two, err = d.as(path)
	check(err)
	t.Cleanup(two.Close)
	file := d.path("one.csv")
	check(os.WriteFile(file, []byte("transaction_number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit\n"+
		"INV-1,sale,2025-06-02,C-1,Customer 1,DE,ferrite,850519,1,KGM\n"), 0o600))
	check(one.submitFile(ctx, file, submitOptions{batch: 1, receipts: d.path("receipts"), rejected: d.path("rejected.csv")}))
	f, err := one.readFile(file)
	check(err)
	return one, two, f.Transactions[0].Message
}

// weighing returns a transaction with another mass.
func weighing(tx *tracev1.Transaction, grams uint64) *tracev1.Transaction {
	tx = proto.CloneOf(tx)
	tx.GetLines()[0].NetMassGrams = grams
	return tx
}

func TestFollowingWhatWasFollowed(t *testing.T) {
	ctx := context.Background()
	one, two, tx := machines(t)
	_, original, err := one.latest(ctx, "INV-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := two.amend(ctx, "INV-1", weighing(tx, 2000), "first"); err != nil {
		t.Fatal(err)
	}
	for name, st := range map[string]*tracev1.Statement{
		"amendment": {Stated: &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{Target: original[:], Replacement: weighing(tx, 3000), Reason: "late"}}},
		"void":      {Stated: &tracev1.Statement_Void{Void: &tracev1.Void{Target: original[:], Reason: "late"}}},
	} {
		t.Run(name, func(t *testing.T) {
			err := one.follow(ctx, original, st, name)
			if exitCode(err) != exitNo || !strings.Contains(errorText(err), "at the same moment; run the command again") {
				t.Errorf("exit code %d: %v", exitCode(err), err)
			}
		})
	}

	// Run again, it amends the latest version.
	if err := one.amend(ctx, "INV-1", weighing(tx, 3000), "late"); err != nil {
		t.Fatal(err)
	}
	st, _, err := two.latest(ctx, "INV-1")
	if err != nil || transactionOf(st).GetLines()[0].GetNetMassGrams() != 3000 {
		t.Errorf("latest: %v, %v", st, err)
	}
}

// The reply to a void may be lost, and the process with it.
func TestFollowingTwice(t *testing.T) {
	ctx := context.Background()
	one, two, _ := machines(t)
	_, original, err := one.latest(ctx, "INV-1")
	if err != nil {
		t.Fatal(err)
	}
	void := &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{Target: original[:], Reason: "cancelled"}}}
	if err := one.follow(ctx, original, void, "void"); err != nil {
		t.Fatal(err)
	}
	var voided answerNo
	if _, _, err := two.latest(ctx, "INV-1"); !errors.As(err, &voided) {
		t.Errorf("latest of what was voided: %v", err)
	}
	if err := two.follow(ctx, original, void, "void"); exitCode(err) != exitNo {
		t.Errorf("voided twice: %v", err)
	}
}
