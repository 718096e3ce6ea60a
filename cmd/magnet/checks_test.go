package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

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

// receipts checks that all files of a directory are receipts that verify, so
// many, and no two of one entry.
func receipts(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "receipts DIR CARD COUNT")
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	places := make(map[uint64]string)
	for _, path := range paths {
		proven, err := verifyReceipt(path, ts.MkAbs(args[1]), "")
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
				ts.Fatalf("magnet -p %s %q shows %q:\n%s", ts.Getenv("MAGNET_PROFILE"), args, secret, shown)
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
