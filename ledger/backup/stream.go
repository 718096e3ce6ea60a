package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// blockSize is that of tar.
const blockSize = 512

// stream writes a backup as a tar archive.
type stream struct {
	out  io.Writer
	file bytes.Buffer // under way
}

// begin implements sink.
func (s *stream) begin() (io.Writer, error) {
	s.file.Reset()
	return &s.file, nil
}

// keep implements sink.
func (s *stream) keep(segment Segment) error { return s.put(segment.name(), s.file.Bytes()) }

// seal implements sink.
func (s *stream) seal(m *Manifest, last bool) error {
	if !last {
		return nil
	}
	b, err := m.bytes()
	if err != nil {
		return err
	}
	if err := s.put(manifestName, b); err != nil {
		return err
	}
	_, err = s.out.Write(make([]byte, 2*blockSize))
	return err
}

func (s *stream) put(name string, content []byte) error {
	head, err := tarHead(name, int64(len(content)))
	if err != nil {
		return err
	}
	for _, part := range [][]byte{head, content, make([]byte, padding(int64(len(content))))} {
		if _, err := s.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// close implements sink.
func (s *stream) close() error { return nil }

// tarHead returns the block in front of a file.
func tarHead(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, Format: tar.FormatUSTAR})
	return b.Bytes(), err
}

// padding returns how many zeros follow a file.
func padding(size int64) int64 { return (blockSize - size%blockSize) % blockSize }

// member is a file in a stream.
type member struct{ offset, size int64 }

// indexStream finds the files of a stream of some length. Every byte that is none
// of theirs must be what stream writes.
func indexStream(in io.ReaderAt, length int64) (map[string]member, error) {
	members, at, zeros := make(map[string]member), int64(0), make([]byte, blockSize)
	for {
		block := make([]byte, blockSize)
		if _, err := in.ReadAt(block, at); err != nil {
			return nil, cut(err)
		}
		at += blockSize
		if bytes.Equal(block, zeros) {
			break
		}
		h, err := tar.NewReader(bytes.NewReader(block)).Next()
		if err != nil {
			return nil, fmt.Errorf("%w: it is no stream of `magnet backup -`", ErrDamaged)
		}
		if head, err := tarHead(h.Name, h.Size); err != nil || !bytes.Equal(head, block) || members[h.Name].size > 0 {
			return nil, fmt.Errorf("%w: it is no stream of `magnet backup -`; unpack what was packed by other means", ErrDamaged)
		}
		members[h.Name] = member{at, h.Size}
		at += h.Size
		rest := make([]byte, padding(h.Size))
		if _, err := in.ReadAt(rest, at); err != nil {
			return nil, cut(err)
		}
		if at += int64(len(rest)); !bytes.Equal(rest, zeros[:len(rest)]) {
			return nil, fmt.Errorf("%w: behind %s", ErrDamaged, h.Name)
		}
	}
	last := make([]byte, blockSize)
	if _, err := in.ReadAt(last, at); err != nil {
		return nil, cut(err)
	}
	if at += blockSize; !bytes.Equal(last, zeros) || at != length {
		return nil, fmt.Errorf("%w: the end of the stream", ErrDamaged)
	}
	return members, nil
}

// cut says of an early end that the stream was cut.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the stream was cut", ErrDamaged)
	}
	return err
}
