package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func makeCheckpoints(t testing.TB) checkpointVectors {
	signer := verifytest.CheckpointSigner(verifytest.Origin)
	_, vkey := verifytest.CheckpointKey(verifytest.Origin)
	v := checkpointVectors{VKey: vkey}
	add := func(name string, entries []verify.Entry, signers ...note.Signer) {
		tree := verifytest.NewTree()
		for _, e := range entries {
			tree.Append(e.LeafHash())
		}
		root := tree.Root(tree.Size())
		text := checkpointText(verifytest.Origin, fmt.Sprint(tree.Size()), root[:])
		v.Accepted = append(v.Accepted, checkpointVector{name, string(signNote(t, text, signers...)), tree.Size(), root[:]})
	}
	stranger := verifytest.CheckpointSigner("witness.test/w1")
	add("the worked example", exampleEntries(t), signer)
	add("no entries", nil, signer)
	add("one entry", plainEntries(1), signer)
	add("also signed by an unknown key", plainEntries(chainSize), signer, stranger)
	add("first signed by an unknown key", plainEntries(chainSize), stranger, signer)
	for _, c := range refusedCheckpoints(t) {
		v.Refused = append(v.Refused, refusalVector{c.name, c.bytes, "checkpoint"})
	}
	return v
}

func checkpointText(origin, size string, root []byte) string {
	return origin + "\n" + size + "\n" + base64.StdEncoding.EncodeToString(root) + "\n"
}

func signNote(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// impostor signs under the name of another key.
type impostor struct {
	note.Signer
	hash uint32
}

func (i impostor) KeyHash() uint32 { return i.hash }

// refusedRoot is the root that refused checkpoints of size 5 would have.
var refusedRoot = verify.Hash(sha256.Sum256([]byte("a root")))

func refusedCheckpoints(t testing.TB) []keyCase {
	signer, other := verifytest.CheckpointSigner(verifytest.Origin), verifytest.CheckpointSigner("ledger.test/2025")
	root := refusedRoot
	text := checkpointText(verifytest.Origin, "5", root[:])
	sound := signNote(t, text, signer)
	signed := func(text string) []byte { return signNote(t, text, signer) }
	spare := strings.Replace(text, "=\n", "", 1)
	spare = spare[:len(spare)-1] + string(spare[len(spare)-1]+1) + "=\n" // the same 32 bytes, spare bits set
	return []keyCase{
		{"nothing", nil},
		{"garbage", []byte("garbage\n")},
		{"no signature", []byte(text)},
		{"no signature lines", []byte(text + "\n")},
		{"signed by another key only", signNote(t, text, other)},
		{"of another origin, signed by its key", signNote(t, checkpointText("ledger.test/2025", "5", root[:]), other)},
		{"of another origin, signed by this key", signed(checkpointText("ledger.test/2025", "5", root[:]))},
		{"signed under this key's name and hash by another", signNote(t, text, impostor{renamed{other, verifytest.Origin}, signer.KeyHash()})},
		{"signed under this key's name by another", signNote(t, text, renamed{other, verifytest.Origin})},
		{"signature changed", bytes.Replace(sound, sound[len(sound)-10:], append([]byte("AAAAAAAA"), sound[len(sound)-2:]...), 1)},
		{"size changed", bytes.Replace(sound, []byte("\n5\n"), []byte("\n6\n"), 1)},
		{"extension line", signed(text + "extension\n")},
		{"empty line at the end", signed(text + "\n")},
		{"size with a leading zero", signed(checkpointText(verifytest.Origin, "05", root[:]))},
		{"size with a sign", signed(checkpointText(verifytest.Origin, "+5", root[:]))},
		{"negative size", signed(checkpointText(verifytest.Origin, "-5", root[:]))},
		{"size of 2^64", signed(checkpointText(verifytest.Origin, "18446744073709551616", root[:]))},
		{"size in hexadecimal", signed(checkpointText(verifytest.Origin, "0x5", root[:]))},
		{"no size", signed(checkpointText(verifytest.Origin, "", root[:]))},
		{"root of 31 bytes", signed(checkpointText(verifytest.Origin, "5", root[:31]))},
		{"root of 33 bytes", signed(checkpointText(verifytest.Origin, "5", append(root[:], 0)))},
		{"no root", signed(checkpointText(verifytest.Origin, "5", nil))},
		{"root not in base64", signed(verifytest.Origin + "\n5\n" + strings.Repeat("*", 44) + "\n")},
		{"root in base64 with spare bits set", signed(spare)},
		{"root in base64 for URLs", signed(verifytest.Origin + "\n5\n" + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32)) + "\n")},
		{"two lines only", signed(verifytest.Origin + "\n5\n")},
		{"lines ended with CR LF", bytes.ReplaceAll(sound, []byte("\n"), []byte("\r\n"))},
		{"last newline missing", sound[:len(sound)-1]},
		{"text after the signatures", append(bytes.Clone(sound), "more\n"...)},
		{"byte before the origin", append([]byte(" "), sound...)},
	}
}

// renamed is a signer under another name.
type renamed struct {
	note.Signer
	name string
}

func (r renamed) Name() string { return r.name }
