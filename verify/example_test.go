package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// A reader who knows only the ledger card checks a receipt bundle offline.
func ExampleLog_VerifyBundle() {
	file, err := os.ReadFile("testdata/receipts.json")
	if err != nil {
		log.Fatal(err)
	}
	var v struct {
		Card struct {
			LedgerID string `json:"ledger_id"`
			VKey     string `json:"checkpoint_vkey"`
		} `json:"ledger_card"`
		Bundles []struct {
			Bundle json.RawMessage `json:"bundle"`
		} `json:"bundles"`
	}
	if err := json.Unmarshal(file, &v); err != nil {
		log.Fatal(err)
	}

	id, err := hex.DecodeString(v.Card.LedgerID)
	if err != nil {
		log.Fatal(err)
	}
	pinned, err := verify.NewLog(verify.Hash(id), v.Card.VKey)
	if err != nil {
		log.Fatal(err)
	}
	bundle := new(tracev1.ReceiptBundle)
	if err := protojson.Unmarshal(v.Bundles[0].Bundle, bundle); err != nil {
		log.Fatal(err)
	}
	proven, err := pinned.VerifyBundle(bundle)
	if err != nil {
		log.Fatal(err)
	}
	st := proven.Payload.Statement
	fmt.Println("index", proven.Entry.Index)
	fmt.Println("signed by", st.GetSigner())
	fmt.Println("net mass in grams", st.GetTransaction().GetLines()[0].GetNetMassGrams())
	// Output:
	// index 3
	// signed by acme
	// net mass in grams 125000
}
