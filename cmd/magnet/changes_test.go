package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/s2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore/badgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// replace replaces a text in a file, once.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "replace FILE OLD NEW")
	content := ts.ReadFile(args[0])
	if !strings.Contains(content, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	write(ts, args[0], []byte(strings.Replace(content, args[1], args[2], 1)))
}

func write(ts *testscript.TestScript, name string, content []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), content, 0o600))
}

// put puts a field of one JSON object into another.
func put(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "put FIELD FROM INTO")
	from, into := object(ts, args[1]), object(ts, args[2])
	if from[args[0]] == nil {
		ts.Fatalf("%s has no %s", args[1], args[0])
	}
	into[args[0]] = from[args[0]]
	writeObject(ts, args[2], into)
}

func object(ts *testscript.TestScript, name string) map[string]any {
	var o map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &o))
	return o
}

func writeObject(ts *testscript.TestScript, name string, o map[string]any) {
	b, err := json.Marshal(o)
	ts.Check(err)
	write(ts, name, b)
}

// flip changes one byte in the middle of a bytes field of a JSON object.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "flip FROM FIELD.FIELD... INTO")
	root := object(ts, args[0])
	at, path := root, strings.Split(args[1], ".")
	for _, name := range path[:len(path)-1] {
		at, _ = at[name].(map[string]any)
	}
	last := path[len(path)-1]
	text, _ := at[last].(string)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		ts.Fatalf("%s has no bytes in %s", args[0], args[1])
	}
	b[len(b)/2] ^= 1
	at[last] = base64.StdEncoding.EncodeToString(b)
	writeObject(ts, args[2], root)
}

// rows writes a CSV file of transactions of 1 kg.
func rows(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "rows FILE COUNT")
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b bytes.Buffer
	b.WriteString("transaction_number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit\n")
	for i := range count {
		fmt.Fprintf(&b, "T-%d,sale,2025-06-%02d,C-%d,Customer %d,DE,ferrite,850519,1,KGM\n", i, 1+i%30, i%7, i%7)
	}
	write(ts, args[0], b.Bytes())
}

// oneKey writes a request for enrolment that has one key for TLS and for
// signing.
func oneKey(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "onekey CARD ID REQUEST")
	card, err := client.ReadCard(ts.MkAbs(args[0]))
	ts.Check(err)
	log, err := client.Pin(card)
	ts.Check(err)
	key, err := certs.NewKey()
	ts.Check(err)
	csr, err := certs.NewRequest(key, card.GetTrustDomain(), args[1])
	ts.Check(err)
	signer, err := verify.NewSigner(key)
	ts.Check(err)
	req := &ledgerv1.EnrolmentRequest{
		LedgerId: card.GetLedgerId(), ParticipantId: args[1], Country: "DE",
		CertificateRequestPem: string(certs.EncodeRequest(csr)), Spki: signer.Public().SPKI(),
	}
	req.Possession, err = signer.ProvePossession(log.ID(), args[1])
	ts.Check(err)
	ts.Check(writeNewMessage(ts.MkAbs(args[2]), req))
}

// seal encrypts key files, at less cost than magnet does.
func seal(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "seal PASSPHRASE FILE...")
	recipient, err := age.NewScryptRecipient(args[0])
	ts.Check(err)
	recipient.SetWorkFactor(10)
	for _, name := range args[1:] {
		var out bytes.Buffer
		text := armor.NewWriter(&out)
		w, err := age.Encrypt(text, recipient)
		ts.Check(err)
		_, err = io.WriteString(w, ts.ReadFile(name))
		ts.Check(errors.Join(err, w.Close(), text.Close()))
		write(ts, name, out.Bytes())
	}
}

// edit changes one byte of what a server that is down has stored, at a text that
// it holds: in the records of the log, in the state of custody, or in the list of
// the runs that the state is kept in.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "edit STORE records|state|list TEXT")
	prefix := map[string]string{"records": "b", "state": "s", "list": "r"}[args[1]]
	changed := false
	badgertest.Edit(ts.Value("tb").(testing.TB), ts.MkAbs(args[0]), func(x *badgertest.Txn) {
		for _, key := range x.Keys([]byte(prefix)) {
			value := x.Get(key)
			if args[1] == "records" { // they are compressed
				var err error
				value, err = s2.Decode(nil, value)
				ts.Check(err)
			}
			at := bytes.Index(value, []byte(args[2]))
			if at < 0 {
				continue
			}
			value[at] ^= 1
			if args[1] == "records" {
				value = s2.Encode(nil, value)
			}
			x.Set(key, value)
			changed = true
		}
	})
	if !changed {
		ts.Fatalf("no %s hold %q", args[1], args[2])
	}
}
