package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// Where the statements of a sample stand.
const (
	acmeAdmitted   = 1
	acmeKey        = 2 // Ed25519, registered by the founding authority key
	acmeSale       = 3
	boltAdmitted   = 4
	secondDesk     = 5 // a second key of the authority
	boltKey        = 6 // P-256, registered by that second key
	boltBatch      = 7 // to 9, one signature
	acmeBatch      = 10
	acmeKeyRevoked = 11
	acmeSecondKey  = 12
	acmeLateSale   = 13
	sampleSize     = 14
)

// sample is a ledger whose history has every sort of signature and key.
type sample struct {
	*verifytest.Ledger
	*verifytest.History
}

func newSample(t testing.TB) *sample {
	t.Helper()
	l := verifytest.NewLedger(t)
	desk := verifytest.Key("second desk")
	bolt := verifytest.P256Key("bolt")
	h := l.NewHistory(l.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	h.Record(l.Transaction("acme", 125_000))
	h.Record(
		l.Admit("bolt", tracev1.Role_ROLE_ALLOY_MAKER, tracev1.Role_ROLE_TRADER),
		l.RegisterKey(verify.AuthorityID, desk),
		l.Sign(desk, statementOf(t, l.RegisterKey("bolt", bolt))),
	)
	h.Record(l.SignBatch(bolt,
		l.TransactionStatement("bolt", 1), l.TransactionStatement("bolt", 2), l.TransactionStatement("bolt", 3))...)
	h.Record(l.SignBatch(verifytest.Key("acme"), l.TransactionStatement("acme", 4))...)
	h.Record(
		l.RevokeKey(verifytest.Key("acme").Public()),
		l.RegisterKey("acme", verifytest.Key("acme's second key")),
		l.Sign(verifytest.Key("acme's second key"), l.TransactionStatement("acme", 5)),
	)
	if h.Size() != sampleSize {
		t.Fatalf("the sample has %d entries", h.Size())
	}
	return &sample{l, h}
}

// statementOf returns a copy of what an envelope says.
func statementOf(t testing.TB, env *tracev1.Envelope) *tracev1.Statement {
	t.Helper()
	st := new(tracev1.Statement)
	if err := proto.Unmarshal(env.GetPayload(), st); err != nil {
		t.Fatal(err)
	}
	return st
}

func parsePayload(t testing.TB, b []byte) *verify.Payload {
	t.Helper()
	p, err := verify.ParsePayload(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// oneLinePayload is the main job: a transaction of one line.
func oneLinePayload(t testing.TB) *verify.Payload {
	t.Helper()
	p, err := verify.NewPayload(verifytest.NewLedger(t).TransactionStatement("acme", 125_000))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flipped returns b with the lowest bit of one byte flipped.
func flipped(b []byte, at int) []byte {
	out := append([]byte(nil), b...)
	out[at] ^= 1
	return out
}

// findings prints findings for comparison: "3 broken-chain".
func findings(found []*verify.Finding) string {
	var parts []string
	for _, f := range found {
		parts = append(parts, fmt.Sprintf("%d %s", f.Index, f.Kind))
	}
	return strings.Join(parts, ", ")
}

// exampleSeed is the Ed25519 seed of the worked example in the package
// documentation.
var exampleSeed = bytes.Repeat([]byte{7}, 32)

func checkSameMessage(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(want, got) {
		t.Errorf("messages differ (-want +got):\n%s", cmp.Diff(want, got, protocmp.Transform()))
	}
}

// naiveBatchRoot returns the root that the path of a batch leads to, as RFC
// 9162, section 2.1.3.2, has it, step by step.
func naiveBatchRoot(leaf verify.Hash, b *verify.SignatureBlock) verify.Hash {
	fn, sn, r := b.Position, b.Size-1, leaf
	for _, p := range b.Path {
		if sn == 0 {
			return verify.Hash{}
		}
		if fn&1 == 1 || fn == sn {
			r = naiveNode(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = naiveNode(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return verify.Hash{}
	}
	return r
}

func naiveNode(l, r verify.Hash) verify.Hash {
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

// eachFlip calls f with copies of a message in which one byte of one of its
// bytes fields, at any depth, has its lowest bit flipped: the first, and every
// stride after it.
func eachFlip[M proto.Message](m M, stride int, f func(name string, changed M)) {
	changed := proto.Clone(m).(M)
	eachBytes(changed.ProtoReflect(), "", func(name string, b []byte) {
		for i := 0; i < len(b); i += stride {
			b[i] ^= 1
			f(fmt.Sprintf("%s byte %d", name, i), changed)
			b[i] ^= 1
		}
	})
}

// eachBytes calls f with the bytes fields of a message at any depth.
func eachBytes(m protoreflect.Message, prefix string, f func(name string, b []byte)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := prefix + string(fd.Name())
		switch {
		case fd.IsList():
			for i := range v.List().Len() {
				eachValue(fd, v.List().Get(i), fmt.Sprintf("%s[%d]", name, i), f)
			}
		default:
			eachValue(fd, v, name, f)
		}
		return true
	})
}

func eachValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, name string, f func(string, []byte)) {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		eachBytes(v.Message(), name+".", f)
	case protoreflect.BytesKind:
		f(name, v.Bytes())
	}
}

// withBlock returns an envelope with another signature block.
func withBlock(env *tracev1.Envelope, block []byte) *tracev1.Envelope {
	env = proto.CloneOf(env)
	env.SignatureBlock = block
	return env
}
