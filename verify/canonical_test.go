package verify_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestRandomStatements checks that whatever NewPayload makes is canonical, and
// that the order of its fields can be any other.
func TestRandomStatements(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		st := new(tracev1.Statement)
		fillRandomly(rng, st.ProtoReflect())
		p, err := verify.NewPayload(st)
		if err != nil {
			t.Fatalf("%v: %v", st, err)
		}
		checkSameMessage(t, p.Statement, st)
		fields := topFields(t, p.Bytes)
		rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		checkSameMessage(t, parsePayload(t, cat(fields...)).Statement, st)
		if len(fields) > 0 {
			if _, err := verify.ParsePayload(append(cat(fields...), fields[0]...)); !errors.Is(err, verify.ErrNotCanonical) {
				t.Errorf("a repeated field: got error %v", err)
			}
		}
	}
}

// fillRandomly sets fields of a message to values that have a canonical form.
func fillRandomly(rng *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for _, i := range rng.Perm(fields.Len()) {
		fd := fields.Get(i)
		if rng.IntN(3) == 0 || fd.ContainingOneof() != nil && m.WhichOneof(fd.ContainingOneof()) != nil {
			continue
		}
		if fd.IsList() {
			list := m.Mutable(fd).List()
			for range rng.IntN(4) {
				if fd.Message() != nil {
					fillRandomly(rng, list.AppendMutable().Message())
				} else {
					list.Append(randomValue(rng, fd))
				}
			}
		} else if fd.Message() != nil {
			fillRandomly(rng, m.Mutable(fd).Message())
		} else {
			m.Set(fd, randomValue(rng, fd))
		}
	}
}

func randomValue(rng *rand.Rand, fd protoreflect.FieldDescriptor) protoreflect.Value {
	bits := rng.Uint64() >> rng.IntN(64)
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(bits&1 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(fd.Enum().Values().Get(rng.IntN(fd.Enum().Values().Len())).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(bits))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(bits))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(bits))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(bits)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(be64(bits)[:rng.IntN(9)])
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.ToValidUTF8(string(rune(bits%0x110000))+"磁铁"[:3*rng.IntN(3)], "?"))
	}
	panic("a field of kind " + fd.Kind().String())
}

// topFields cuts a serialized message into its fields.
func topFields(t *testing.T, b []byte) [][]byte {
	t.Helper()
	var fields [][]byte
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		fields, b = append(fields, b[:n]), b[n:]
	}
	return fields
}

// TestTruncatedPayload checks that a payload cut anywhere but between two
// fields is refused, so that no tail can be lost unseen within a field.
func TestTruncatedPayload(t *testing.T) {
	whole := oneLinePayload(t).Bytes
	between, at := map[int]bool{0: true}, 0
	for _, f := range topFields(t, whole) {
		at += len(f)
		between[at] = true
	}
	for n := range whole {
		_, err := verify.ParsePayload(whole[:n])
		if between[n] != (err == nil) || err != nil && !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("%d of %d bytes: got error %v", n, len(whole), err)
		}
	}
}

func TestNewPayloadRefuses(t *testing.T) {
	unknown := verifytest.NewLedger(t).TransactionStatement("acme", 1)
	unknown.ProtoReflect().SetUnknown(varintField(99, 1))
	for name, st := range map[string]*tracev1.Statement{
		"a string that is not UTF-8": {Signer: "\xff"},
		"an unknown enum number": {Stated: &tracev1.Statement_Transaction{
			Transaction: &tracev1.Transaction{Kind: 99}}},
		"an unknown field": unknown,
	} {
		if _, err := verify.NewPayload(st); err == nil {
			t.Errorf("%s is serialized", name)
		}
	}
}

func TestFormError(t *testing.T) {
	_, err := verify.ParsePayload([]byte{0x28, 0x80, 0x00})
	if got, want := fmt.Sprint(err), "payload is not canonical at byte 1: varint longer than needed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// shapeFile declares messages that statements do not have.
const shapeFile = `
name: "shape.proto" package: "shape" syntax: "proto3"
message_type { name: "Nest" field { name: "nest" number: 1 type: TYPE_MESSAGE type_name: ".shape.Nest" label: LABEL_OPTIONAL } }
message_type { name: "Number128" field { name: "f" number: 128 type: TYPE_BOOL label: LABEL_OPTIONAL } }
message_type { name: "Float" field { name: "f" number: 1 type: TYPE_FLOAT label: LABEL_OPTIONAL } }
message_type { name: "Double" field { name: "f" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL } }
message_type { name: "Fixed" field { name: "f" number: 1 type: TYPE_FIXED64 label: LABEL_OPTIONAL } }
message_type { name: "ZigZag" field { name: "f" number: 1 type: TYPE_SINT64 label: LABEL_OPTIONAL } }
message_type {
  name: "Map" field { name: "f" number: 1 type: TYPE_MESSAGE type_name: ".shape.Map.FEntry" label: LABEL_REPEATED }
  nested_type { name: "FEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL } field { name: "value" number: 2 type: TYPE_BOOL label: LABEL_OPTIONAL } }
}
`

func shape(t *testing.T, name protoreflect.Name) protoreflect.MessageDescriptor {
	t.Helper()
	file := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(shapeFile), file); err != nil {
		t.Fatal(err)
	}
	fd, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Messages().ByName(name)
}

func TestNesting(t *testing.T) {
	nest := func(depth int) []byte {
		var b []byte
		for range depth - 1 {
			b = bytesField(1, b)
		}
		return b
	}
	if err := verify.CheckCanonical(shape(t, "Nest"), nest(verify.MaxNesting)); err != nil {
		t.Errorf("depth %d: %v", verify.MaxNesting, err)
	}
	if err := verify.CheckCanonical(shape(t, "Nest"), nest(verify.MaxNesting+1)); !errors.Is(err, verify.ErrNotCanonical) {
		t.Errorf("depth %d: got error %v", verify.MaxNesting+1, err)
	}
}

// TestStatementDepth holds what the documentation says of the messages.
func TestStatementDepth(t *testing.T) {
	var depth func(md protoreflect.MessageDescriptor) int
	depth = func(md protoreflect.MessageDescriptor) int {
		deepest := 0
		for i := range md.Fields().Len() {
			if m := md.Fields().Get(i).Message(); m != nil {
				deepest = max(deepest, depth(m))
			}
		}
		return 1 + deepest
	}
	if got := depth(new(tracev1.Statement).ProtoReflect().Descriptor()); got != 5 {
		t.Errorf("statements nest %d deep, not 5", got)
	}
}

// TestSchemaWithoutForm checks that a schema with a field that has no canonical
// form does not start.
func TestSchemaWithoutForm(t *testing.T) {
	for _, name := range []protoreflect.Name{"Number128", "Float", "Double", "Fixed", "ZigZag", "Map"} {
		t.Run(string(name), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = verify.CheckCanonical(shape(t, name), nil)
		})
	}
}
