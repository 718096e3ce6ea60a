package rpc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

// token is where a listing goes on. It pins the size of the log, and by its
// seal the caller and the other fields of the request.
type token struct {
	size   uint64
	cursor custody.Cursor
}

var errToken = status.Error(codes.InvalidArgument, "page_token: not a token of this listing; a token goes with the request that gave it, by the same caller, until the server restarts")

// sealToken returns the token for the next page of a request.
func (s *Server) sealToken(caller string, req proto.Message, t token) string {
	b := binary.BigEndian.AppendUint64(nil, t.size)
	b = append(b, t.cursor...)
	return base64.RawURLEncoding.EncodeToString(append(s.tokenSeal(caller, req, b), b...))
}

// openToken returns what sealToken sealed; an empty token is the beginning of a
// listing at a size.
func (s *Server) openToken(caller string, req proto.Message, text string, size uint64) (token, error) {
	if text == "" {
		return token{size: size}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < sha256.Size+8 {
		return token{}, errToken
	}
	seal, b := b[:sha256.Size], b[sha256.Size:]
	t := token{size: binary.BigEndian.Uint64(b), cursor: b[8:]}
	if !hmac.Equal(seal, s.tokenSeal(caller, req, b)) || t.size > size {
		return token{}, errToken
	}
	return t, nil
}

// tokenSeal covers the caller, the request without its page fields and the
// content of the token.
func (s *Server) tokenSeal(caller string, req proto.Message, content []byte) []byte {
	bare := proto.Clone(req)
	fields := bare.ProtoReflect().Descriptor().Fields()
	for _, name := range []protoreflect.Name{"page_token", "page_size"} {
		if fd := fields.ByName(name); fd != nil {
			bare.ProtoReflect().Clear(fd)
		}
	}
	question, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		question = nil // a request that came over the wire can be marshalled
	}
	mac := hmac.New(sha256.New, s.tokenKey[:])
	for _, part := range [][]byte{[]byte(caller), question, content} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)
}
