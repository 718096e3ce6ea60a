package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/s2"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore/badgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// commands are what scripts can do beside running programs.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"answers":    answers,
	"exits":      exits,
	"enrol":      enrol,
	"replace":    replace,
	"put":        put,
	"flip":       flip,
	"messages":   messages,
	"modes":      modes,
	"rows":       rows,
	"during":     during,
	"receipts":   receipts,
	"onekey":     oneKey,
	"edit":       edit,
	"firstkey":   firstKey,
	"hash":       hash,
	"mode":       mode,
	"everywhere": everywhere,
	"seal":       seal,
}

// patience is how long a script waits for anything.
const patience = time.Minute

// poll calls done until it returns true.
func poll(ts *testscript.TestScript, what string, done func() bool) {
	for start := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > patience {
			ts.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// usage ends the script if a command has not n arguments or more.
func usage(ts *testscript.TestScript, neg bool, args []string, n int, text string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", text)
	}
}

// answers waits until something listens on an address.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "answers ADDRESS")
	poll(ts, args[0], func() bool {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
		}
		return err == nil
	})
}

// exits runs a program that must exit with a code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "exits CODE PROGRAM ARG...")
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts.Exec(args[1], args[2:]...)); got != code {
		ts.Fatalf("exit code %d, want %d", got, code)
	}
}

// exitCodeOf returns the exit code of a program by the error of running it, -1
// if it was killed.
func exitCodeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -2
}

// enrol makes a participant with keys in the clear, in the directory of its
// name.
func enrol(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "enrol ID ROLES [FLAG...]")
	id, roles := args[0], args[1]
	request := append([]string{"enroll", "request", "--ledger", "reg/ledger.card", "--id", id, "--name", "The firm " + id, "--country", "CN", "--out", id, "--dev"}, args[2:]...)
	ts.Check(ts.Exec("magnet", request...))
	ts.Check(ts.Exec("magnet", "-p", "reg/profiles/authority.yaml", "enroll", "approve", id+"/request.json", "--role", roles))
	ts.Check(ts.Exec("magnet", "enroll", "finish", id, id+"/approval.json"))
}

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

// messages checks that a file is protobuf JSON of messages of these types, one
// after another; the last type may stand for several.
func messages(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "messages FILE TYPE...")
	in := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	types := args[1:]
	n := 0
	for ; ; n++ {
		var raw json.RawMessage
		err := in.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		name := types[min(n, len(types)-1)]
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		ts.Check(err)
		m := kind.New().Interface()
		if err := protojson.Unmarshal(raw, m); err != nil {
			ts.Fatalf("message %d is no %s: %v", n, name, err)
		}
		if proto.Size(m) == 0 {
			ts.Fatalf("message %d, a %s, is empty", n, name)
		}
	}
	if n < len(types) {
		ts.Fatalf("%d messages, want %d or more", n, len(types))
	}
}

// modes checks that nobody but its owner reads a directory, and that all keys in
// it are encrypted, or all in the clear.
func modes(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "modes DIR encrypted|clear")
	keys := 0
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() && info.Mode().Perm() != 0o700 {
			return fmt.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if filepath.Ext(path) != ".key" {
			return nil
		}
		keys++
		b, err := os.ReadFile(path)
		switch encrypted := bytes.HasPrefix(b, []byte("-----BEGIN AGE ENCRYPTED FILE-----")); {
		case err != nil:
			return err
		case info.Mode().Perm() != 0o600:
			return fmt.Errorf("%s has mode %o", path, info.Mode().Perm())
		case encrypted != (args[1] == "encrypted"):
			return fmt.Errorf("%s is encrypted: %v", path, encrypted)
		}
		return nil
	}))
	if keys == 0 {
		ts.Fatalf("no keys in %s", args[0])
	}
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

// during runs a program until there are so many files in a directory, sends it a
// signal, and checks how it ended: with an exit code, or killed.
func during(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 5, "during DIR FILES INT|KILL CODE|killed PROGRAM ARG...")
	least, err := strconv.Atoi(args[1])
	ts.Check(err)
	cmd := exec.Command(args[4], args[5:]...)
	cmd.Dir, cmd.Env = ts.Getenv("WORK"), []string{"PATH=" + ts.Getenv("PATH"), "GORACE=" + goRace}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	dir := ts.MkAbs(args[0])
	poll(ts, "files in "+args[0], func() bool { return files(dir) >= least || len(ended) > 0 })
	ts.Check(cmd.Process.Signal(map[string]os.Signal{"INT": os.Interrupt, "KILL": syscall.SIGKILL}[args[2]]))
	want, err := strconv.Atoi(args[3])
	if err != nil {
		want = -1
	}
	if got := exitCodeOf(<-ended); got != want {
		ts.Fatalf("%s\nexit code %d, want %d", out.Bytes(), got, want)
	}
	write(ts, "output", out.Bytes())
}

// files returns the number of files in a directory, 0 if there is none.
func files(dir string) int {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return len(entries)
}

// receipts checks that all files of a directory are receipts that verify, so
// many, and no two of one entry.
func receipts(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "receipts DIR CARD COUNT")
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	places := make(map[uint64]string)
	for _, path := range paths {
		proven, err := verifyReceipt(path, ts.MkAbs(args[1]))
		ts.Check(err)
		if other := places[proven.Entry.Index]; other != "" {
			ts.Fatalf("%s and %s are of entry %d", other, path, proven.Entry.Index)
		}
		places[proven.Entry.Index] = path
	}
	if strconv.Itoa(len(paths)) != args[2] {
		ts.Fatalf("%d receipts in %s, want %s", len(paths), args[0], args[2])
	}
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

// firstKey sets a variable to the id of the key that a participant registered
// first.
func firstKey(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "firstkey PROFILE PARTICIPANT VARIABLE")
	ts.Check(ts.Exec("magnet", "-p", args[0], "key", "list", args[1], "--json"))
	resp := new(ledgerv1.GetParticipantResponse)
	ts.Check(protojson.Unmarshal([]byte(ts.ReadFile("stdout")), resp))
	key := slices.MinFunc(resp.GetKeys(), func(a, b *tracev1.Key) int { return cmp.Compare(a.GetRegisteredIndex(), b.GetRegisteredIndex()) })
	ts.Setenv(args[2], hex.EncodeToString(key.GetKeyId()))
}

// hash sets a variable to the statement hash of what `magnet statement get`
// printed.
func hash(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "hash FILE VARIABLE")
	in := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	var raw json.RawMessage
	ts.Check(errors.Join(in.Decode(&raw), in.Decode(&raw))) // the second message
	resp := new(ledgerv1.GetStatementResponse)
	ts.Check(protojson.Unmarshal(raw, resp))
	entry, err := verify.ParseEntry(resp.GetStatement().GetEntry())
	ts.Check(err)
	ts.Setenv(args[1], entry.StatementHash.String())
}

// mode checks the permissions of files.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "mode OCTAL FILE...")
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// everywhere runs every command that reads, by every name that a stranger could
// try, and checks that none shows what is secret in the script private.
func everywhere(ts *testscript.TestScript, neg bool, _ []string) {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "states-")
	ts.Check(err)
	reading := [][]string{
		{"participant", "list"}, {"key", "list", "acme"}, {"checkpoint"}, {"statement", "list"}, {"statement", "list", "--csv"},
		{"statement", "list", "--seller", "acme"}, {"statement", "list", "--customer", "own:acme/SECRET-CODE"},
		{"statement", "get", "TX-SECRET-1"}, {"receipt", "get", "TX-SECRET-1"}, {"void", "TX-SECRET-1", "--reason", "x"},
		{"amend", ts.MkAbs("mended.csv"), "--reason", "x"},
		{"verify", "--state", filepath.Join(dir, "light")}, {"verify", "--state", filepath.Join(dir, "full"), "--full"},
	}
	for index := range 20 {
		name := "#" + strconv.Itoa(index)
		reading = append(reading, []string{"statement", "get", name}, []string{"receipt", "get", name})
	}
	for by := range volumeDimensions {
		reading = append(reading, []string{"volumes", "--by", by, "--elements"}, []string{"volumes", "--by", by, "--seller", "acme", "--customer", "own:acme/SECRET-CODE"})
	}
	for _, args := range reading {
		shown := said(ts, args...) + said(ts, append(args, "--json")...)
		shown = strings.ReplaceAll(shown, "own:acme/SECRET-CODE", "") // the question comes back
		for _, secret := range []string{"Hidden", "SECRET-CODE", "Marmalade", "LOT-X", "123456", "123.456", "123457", "123.457"} {
			if strings.Contains(shown, secret) {
				ts.Fatalf("magnet %q shows %q:\n%s", args, secret, shown)
			}
		}
	}
}

// said returns all that a command prints, whether it is refused or not. It runs
// in this process, which is quicker.
func said(ts *testscript.TestScript, args ...string) string {
	var out bytes.Buffer
	args = append([]string{"-p", ts.MkAbs(ts.Getenv("MAGNET_PROFILE"))}, args...)
	if code := run(context.Background(), args, strings.NewReader(""), &out, &out); code == exitNoServer {
		ts.Fatalf("magnet %q: exit code %d\n%s", args, code, out.Bytes())
	}
	return out.String()
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
// it holds: in the records of the log, or in the state of custody.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "edit STORE records|state TEXT")
	prefix := map[string]string{"records": "b", "state": "s"}[args[1]]
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
