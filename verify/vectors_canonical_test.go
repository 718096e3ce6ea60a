package verify_test

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Fields of the wire format, for payloads that no library writes.

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func tag(number protowire.Number, wireType protowire.Type) []byte {
	return protowire.AppendTag(nil, number, wireType)
}

func varintField(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(tag(number, protowire.VarintType), v)
}

func bytesField(number protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(tag(number, protowire.BytesType), cat(parts...))
}

func textField(number protowire.Number, s string) []byte { return bytesField(number, []byte(s)) }

// Field numbers that the payloads below use.
const (
	fSalt, fStatementID, fSigner, fStatedAt   = 2, 3, 4, 5
	fGenesis, fRoles, fReading, fTransaction  = 10, 23, 26, 40
	fGenesisOffset, fGenesisParameters        = 8, 7
	fTransactionKind, fTransactionLines       = 1, 12
	fTransactionDate, fTransactionCustomer    = 3, 2
	fLineMass, fLineComposition, fLineValue   = 9, 7, 11
	fCompositionPPM, fMoneyNanos, fPartyName  = 2, 3, 4
	fParticipant, fRolesRoles                 = 1, 2
	fReadingAll, fReadingSellers, fNameNative = 2, 3, 1
	fVoid, fVoidTarget, fParametersMaxPayload = 42, 1, 1
	fParametersAhead                          = 5
	minusOne                                  = ^uint64(0)
)

var (
	overlongZero = []byte{0x80, 0x00}
	elevenBytes  = append(bytes.Repeat([]byte{0x80}, 10), 0x01)
)

func makeCanonical(t testing.TB) canonicalVectors {
	var v canonicalVectors
	for _, c := range canonicalPayloads(t) {
		st := new(tracev1.Statement)
		if err := proto.Unmarshal(c.bytes, st); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		v.Accepted = append(v.Accepted, canonicalVector{c.name, c.bytes, protoJSON(t, st)})
	}
	for _, c := range otherPayloads() {
		var form *verify.FormError
		if _, err := verify.ParsePayload(c.bytes); !errors.As(err, &form) {
			t.Fatalf("%s: got error %v", c.name, err)
		}
		v.Refused = append(v.Refused, canonicalRefusal{refusalVector{c.name, c.bytes, c.class}, form.Offset})
	}
	return v
}

type wireCase struct {
	name, class string
	bytes       []byte
}

// canonicalPayloads are in the canonical form, though most are no statement
// that a ledger admits.
func canonicalPayloads(t testing.TB) []wireCase {
	line := func(grams uint64) []byte { return bytesField(fTransactionLines, varintField(fLineMass, grams)) }
	return []wireCase{
		{name: "a transaction of one line", bytes: oneLinePayload(t).Bytes},
		{name: "nothing at all", bytes: nil},
		{name: "fields in descending order", bytes: cat(varintField(fStatedAt, 1), textField(fSigner, "acme"), textField(fSalt, "salt"))},
		{name: "explicit zero of a number", bytes: varintField(fStatedAt, 0)},
		{name: "explicit empty bytes and string", bytes: cat(bytesField(fSalt), textField(fSigner, ""))},
		{name: "explicit zero of an enum", bytes: cat(
			bytesField(fTransaction, varintField(fTransactionKind, 0)))},
		{name: "empty message", bytes: bytesField(fTransaction)},
		{name: "true", bytes: bytesField(fReading, varintField(fReadingAll, 1))},
		{name: "false", bytes: bytesField(fReading, varintField(fReadingAll, 0))},
		{name: "packed enums", bytes: bytesField(fRoles, bytesField(fRolesRoles, []byte{1, 10, 1}))},
		{name: "packed enums, none", bytes: bytesField(fRoles, bytesField(fRolesRoles))},
		{name: "repeated messages with another field between", bytes: bytesField(fTransaction,
			line(1), textField(fTransactionDate, "2026-06-01"), line(2))},
		{name: "repeated strings", bytes: bytesField(fReading,
			textField(fReadingSellers, "bolt"), textField(fReadingSellers, ""), textField(fReadingSellers, "bolt"))},
		{name: "int64 minimum", bytes: varintField(fStatedAt, 1<<63)},
		{name: "int64 maximum", bytes: varintField(fStatedAt, 1<<63-1)},
		{name: "int32 minus one in 10 bytes", bytes: bytesField(fGenesis, varintField(fGenesisOffset, minusOne))},
		{name: "int32 minimum", bytes: bytesField(fGenesis, varintField(fGenesisOffset, ^uint64(1<<31-1)))},
		{name: "int32 maximum", bytes: bytesField(fGenesis, varintField(fGenesisOffset, 1<<31-1))},
		{name: "uint32 maximum", bytes: bytesField(fGenesis, bytesField(fGenesisParameters, varintField(fParametersMaxPayload, 1<<32-1)))},
		{name: "uint64 maximum", bytes: bytesField(fTransaction, line(minusOne))},
		{name: "string with U+0000, a noncharacter and U+10FFFF", bytes: textField(fSigner, "\x00\uffff\U0010ffff")},
	}
}

// otherPayloads are refused. Each departs from the form in one way.
func otherPayloads() []wireCase {
	const malformed, other = "malformed", "not canonical"
	transaction := func(parts ...[]byte) []byte { return bytesField(fTransaction, parts...) }
	return []wireCase{
		{"tag cut off", malformed, []byte{0x80}},
		{"varint cut off", malformed, cat(tag(fStatedAt, protowire.VarintType), []byte{0xff})},
		{"length missing", malformed, tag(fSalt, protowire.BytesType)},
		{"value missing", malformed, tag(fStatedAt, protowire.VarintType)},
		{"bytes cut off", malformed, cat(tag(fSalt, protowire.BytesType), []byte{2, 'a'})},
		{"length of 2^64-1", malformed, protowire.AppendVarint(tag(fSalt, protowire.BytesType), minusOne)},
		{"message cut off", malformed, cat(tag(fTransaction, protowire.BytesType), []byte{3, 0x08, 0x01})},
		{"field longer than its message", malformed, cat(transaction(cat(tag(fTransactionDate, protowire.BytesType), []byte{4})), []byte("2026"))},
		{"varint across the end of its message", malformed, cat(transaction([]byte{0x08, 0x81}), []byte{0x01})},
		{"packed varint across the end of its field", malformed, bytesField(fRoles, bytesField(fRolesRoles, []byte{0x81}), textField(fParticipant, "acme"))},
		{"varint above 64 bits", malformed, cat(tag(fStatedAt, protowire.VarintType), bytes.Repeat([]byte{0xff}, 9), []byte{0x02})},
		{"varint of 11 bytes", malformed, cat(tag(fStatedAt, protowire.VarintType), elevenBytes)},
		{"field number 0", malformed, []byte{0x00, 0x00}},
		{"field number 2^29", malformed, protowire.AppendVarint(nil, 1<<29<<3)},
		{"string with a byte that is no UTF-8", malformed, textField(fSigner, "a\xff")},
		{"string with an overlong U+0000", malformed, textField(fSigner, "\xc0\x80")},
		{"string with a surrogate", malformed, textField(fSigner, "\xed\xa0\x80")},
		{"string with U+110000", malformed, textField(fSigner, "\xf4\x90\x80\x80")},
		{"string with a cut character", malformed, textField(fSigner, "\xe5\xae")},
		{"nested string that is no UTF-8", malformed, transaction(bytesField(fTransactionCustomer, bytesField(fPartyName, textField(fNameNative, "\x80"))))},

		{"tag in two bytes instead of one", other, []byte{0xa8, 0x00, 0x01}},
		{"tag in three bytes instead of two", other, []byte{0xc2, 0x82, 0x00, 0x00}},
		{"zero in two bytes", other, cat(tag(fStatedAt, protowire.VarintType), overlongZero)},
		{"one in two bytes", other, cat(tag(fStatedAt, protowire.VarintType), []byte{0x81, 0x00})},
		{"one in 10 bytes", other, cat(tag(fStatedAt, protowire.VarintType), []byte{0x81}, bytes.Repeat([]byte{0x80}, 8), []byte{0x00})},
		{"length in two bytes instead of one", other, cat(tag(fSalt, protowire.BytesType), []byte{0x81, 0x00, 'a'})},
		{"packed number in two bytes instead of one", other, bytesField(fRoles, bytesField(fRolesRoles, []byte{0x81, 0x00}))},
		{"unknown field 6", other, varintField(6, 1)},
		{"unknown field 127", other, textField(127, "a")},
		{"unknown field 128", other, textField(128, "a")},
		{"unknown field 2^29-1", other, varintField(1<<29-1, 1)},
		{"unknown field in a nested message", other, transaction(varintField(99, 1))},
		{"empty group", other, cat(tag(6, protowire.StartGroupType), tag(6, protowire.EndGroupType))},
		{"message as a group", other, cat(tag(fTransaction, protowire.StartGroupType), tag(fTransaction, protowire.EndGroupType))},
		{"end of a group that never began", other, tag(fTransaction, protowire.EndGroupType)},
		{"number as 64 bits", other, protowire.AppendFixed64(tag(fStatedAt, protowire.Fixed64Type), 1)},
		{"number as 32 bits", other, protowire.AppendFixed32(tag(fStatedAt, protowire.Fixed32Type), 1)},
		{"number as bytes", other, bytesField(fStatedAt, []byte{1})},
		{"bytes as a number", other, varintField(fSalt, 1)},
		{"message as a number", other, varintField(fTransaction, 1)},
		{"wire type 6", other, []byte{fStatedAt<<3 | 6, 1}},
		{"wire type 7", other, []byte{fStatedAt<<3 | 7, 1}},
		{"packed enum unpacked", other, bytesField(fRoles, varintField(fRolesRoles, 1))},
		{"packed enums in two runs", other, bytesField(fRoles, bytesField(fRolesRoles, []byte{1}), bytesField(fRolesRoles, []byte{2}))},
		{"number twice", other, cat(varintField(fStatedAt, 1), varintField(fStatedAt, 1))},
		{"number twice, another field between", other, cat(varintField(fStatedAt, 1), textField(fSigner, "acme"), varintField(fStatedAt, 2))},
		{"bytes twice", other, cat(textField(fSalt, "a"), textField(fSalt, "a"))},
		{"string twice in a nested message", other, transaction(textField(fTransactionDate, ""), textField(fTransactionDate, ""))},
		{"nested message twice", other, transaction(bytesField(fTransactionCustomer), bytesField(fTransactionCustomer))},
		{"one choice of a oneof twice", other, cat(transaction(), transaction())},
		{"two choices of a oneof", other, cat(transaction(), bytesField(fVoid))},
		{"enum number that is not defined", other, transaction(varintField(fTransactionKind, 6))},
		{"enum number minus one", other, transaction(varintField(fTransactionKind, minusOne))},
		{"enum number plus 2^32", other, transaction(varintField(fTransactionKind, 1<<32|1))},
		{"packed enum number that is not defined", other, bytesField(fRoles, bytesField(fRolesRoles, []byte{1, 11}))},
		{"bool of two", other, bytesField(fReading, varintField(fReadingAll, 2))},
		{"uint32 of 2^32", other, transaction(bytesField(fTransactionLines, bytesField(fLineComposition, varintField(fCompositionPPM, 1<<32))))},
		{"int32 of 2^31", other, transaction(bytesField(fTransactionLines, bytesField(fLineValue, varintField(fMoneyNanos, 1<<31))))},
		{"int32 minus one in 5 bytes", other, transaction(bytesField(fTransactionLines, bytesField(fLineValue, varintField(fMoneyNanos, 1<<32-1))))},
	}
}
