package verify

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// MaxNesting is how deep messages may stand within a payload; the statement
// itself is at depth 1.
const MaxNesting = 16

// Errors of a payload's form.
var (
	// ErrMalformed says that bytes are no protobuf message of the expected type.
	ErrMalformed = errors.New("malformed")
	// ErrNotCanonical says that bytes are such a message, but not in the
	// canonical form.
	ErrNotCanonical = errors.New("not canonical")
)

// FormError tells where a payload departs from its form. It wraps ErrMalformed
// or ErrNotCanonical.
type FormError struct {
	// Offset is the position in the payload, in bytes.
	Offset int
	// Problem says what is wrong there.
	Problem string
	// Err is ErrMalformed or ErrNotCanonical.
	Err error
}

func (e *FormError) Error() string {
	return fmt.Sprintf("payload is %v at byte %d: %s", e.Err, e.Offset, e.Problem)
}

func (e *FormError) Unwrap() error { return e.Err }

// statementShape is what the walk over a payload follows.
var statementShape = shapeOf((*tracev1.Statement)(nil).ProtoReflect().Descriptor(), map[protoreflect.FullName]*messageShape{})

// messageShape says which fields a message may hold, by field number.
type messageShape struct {
	fields [128]*fieldShape
}

type fieldShape struct {
	name     protoreflect.Name
	kind     protoreflect.Kind
	repeated bool
	oneof    int // 1 + index of its oneof, 0 for none
	message  *messageShape
	enum     uint64 // set of its numbers
	scalar   bool   // neither a message nor a string nor bytes
}

// shapeOf builds the shape of a message and all it may hold. It panics on what
// the canonical form has no place for: maps, groups, fixed-width and
// floating-point fields, field numbers above 127, enum numbers above 63. That is
// a fault of the schema, and every test finds it.
func shapeOf(md protoreflect.MessageDescriptor, known map[protoreflect.FullName]*messageShape) *messageShape {
	if s := known[md.FullName()]; s != nil {
		return s
	}
	s := new(messageShape)
	known[md.FullName()] = s
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f := &fieldShape{name: fd.Name(), kind: fd.Kind(), repeated: fd.IsList(), scalar: true}
		if fd.IsMap() {
			panic("no canonical form for the map " + fd.FullName())
		}
		if o := fd.ContainingOneof(); o != nil {
			f.oneof = 1 + o.Index()
		}
		switch fd.Kind() {
		case protoreflect.MessageKind:
			f.message, f.scalar = shapeOf(fd.Message(), known), false
		case protoreflect.StringKind, protoreflect.BytesKind:
			f.scalar = false
		case protoreflect.EnumKind:
			f.enum = enumNumbers(fd.Enum())
		case protoreflect.BoolKind, protoreflect.Int32Kind, protoreflect.Int64Kind,
			protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		default:
			panic("no canonical form for " + string(fd.FullName()))
		}
		s.fields[fd.Number()] = f
	}
	return s
}

func enumNumbers(ed protoreflect.EnumDescriptor) (set uint64) {
	for i := range ed.Values().Len() {
		n := ed.Values().Get(i).Number()
		if n < 0 || n > 63 {
			panic("no canonical form for " + ed.Values().Get(i).FullName())
		}
		set |= 1 << n
	}
	return set
}

// checkCanonical walks a serialized statement and returns a *FormError at the
// first departure from the canonical form, which the package documentation
// lists.
func checkCanonical(payload []byte) error {
	w := walker{b: payload}
	return w.message(statementShape, 0, len(payload), 1)
}

type walker struct{ b []byte }

func (w *walker) fail(err error, at int, format string, args ...any) error {
	return &FormError{Offset: at, Problem: fmt.Sprintf(format, args...), Err: err}
}

// message walks the fields in [at, end).
func (w *walker) message(s *messageShape, at, end, depth int) error {
	if depth > MaxNesting {
		return w.fail(ErrNotCanonical, at, "nested deeper than %d", MaxNesting)
	}
	var seen [2]uint64
	var oneofs uint64
	for at < end {
		start := at
		tag, next, err := w.varint(at, end)
		if err != nil {
			return err
		}
		at = next
		number, wireType := tag>>3, protowire.Type(tag&7)
		if number == 0 || number > uint64(protowire.MaxValidNumber) {
			return w.fail(ErrMalformed, start, "field number %d", number)
		}
		if number >= uint64(len(s.fields)) || s.fields[number] == nil {
			return w.fail(ErrNotCanonical, start, "unknown field %d", number)
		}
		f := s.fields[number]
		bit := uint64(1) << (number % 64)
		if seen[number/64]&bit != 0 && (f.scalar || !f.repeated) {
			return w.fail(ErrNotCanonical, start, "field %s stands twice", f.name)
		}
		seen[number/64] |= bit
		if f.oneof != 0 {
			if oneofs&(1<<f.oneof) != 0 {
				return w.fail(ErrNotCanonical, start, "%s is a second choice of one oneof", f.name)
			}
			oneofs |= 1 << f.oneof
		}
		if at, err = w.field(f, wireType, start, at, end, depth); err != nil {
			return err
		}
	}
	return nil
}

// field walks the value of one field that begins at at, and returns where the
// next field begins.
func (w *walker) field(f *fieldShape, wireType protowire.Type, start, at, end, depth int) (int, error) {
	want := protowire.BytesType
	if f.scalar && !f.repeated {
		want = protowire.VarintType
	}
	if wireType != want {
		return 0, w.fail(ErrNotCanonical, start, "field %s has wire type %d, not %d", f.name, wireType, want)
	}
	if want == protowire.VarintType {
		return w.scalar(f, at, end)
	}
	length, at, err := w.varint(at, end)
	if err != nil {
		return 0, err
	}
	if length > uint64(end-at) {
		return 0, w.fail(ErrMalformed, at, "field %s is cut off", f.name)
	}
	stop := at + int(length)
	switch {
	case f.kind == protoreflect.MessageKind:
		err = w.message(f.message, at, stop, depth+1)
	case f.kind == protoreflect.StringKind:
		if !utf8.Valid(w.b[at:stop]) {
			err = w.fail(ErrMalformed, at, "field %s is not UTF-8", f.name)
		}
	case f.scalar:
		for at < stop && err == nil {
			at, err = w.scalar(f, at, stop)
		}
	}
	return stop, err
}

// scalar checks that a varint is a value of the field's type.
func (w *walker) scalar(f *fieldShape, at, end int) (int, error) {
	v, next, err := w.varint(at, end)
	if err != nil {
		return 0, err
	}
	ok := true
	switch f.kind {
	case protoreflect.BoolKind:
		ok = v <= 1
	case protoreflect.Uint32Kind:
		ok = v <= 1<<32-1
	case protoreflect.Int32Kind:
		ok = int64(v) == int64(int32(v))
	case protoreflect.EnumKind:
		ok = v < 64 && f.enum>>v&1 != 0
	}
	if !ok {
		return 0, w.fail(ErrNotCanonical, at, "field %s cannot have the value %d", f.name, int64(v))
	}
	return next, nil
}

// varint reads a base-128 varint in its shortest form.
func (w *walker) varint(at, end int) (v uint64, next int, err error) {
	if at < end && w.b[at] < 0x80 { // most are of one byte
		return uint64(w.b[at]), at + 1, nil
	}
	return w.longVarint(at, end)
}

func (w *walker) longVarint(at, end int) (v uint64, next int, err error) {
	for i := at; i < end; i++ {
		c := w.b[i]
		if i-at == 9 && c > 1 {
			return 0, 0, w.fail(ErrMalformed, at, "varint above 64 bits")
		}
		v |= uint64(c&0x7f) << (7 * (i - at))
		if c < 0x80 {
			if c == 0 && i > at {
				return 0, 0, w.fail(ErrNotCanonical, at, "varint longer than needed")
			}
			return v, i + 1, nil
		}
	}
	return 0, 0, w.fail(ErrMalformed, at, "varint is cut off")
}
