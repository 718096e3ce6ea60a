package csvfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// maxRowBytes bounds a row, and with it what a quotation mark that is never
// closed can swallow. A row of the format takes a few kilobytes.
const maxRowBytes = 256 << 10

// input hands a file on to the CSV parser: valid UTF-8 without a byte order
// mark and without NUL, with LF as the only line end, in rows of at most
// maxRowBytes. Anything else ends it with a FormatError.
type input struct {
	src *bufio.Reader
	// checked is how many of the next bytes in src are known to be good.
	checked int
	err     error // sticky
	// sample is the line on which checked ended before all that is buffered.
	sample []byte

	line     int  // of the next byte
	afterCR  bool // the last byte was a CR
	ended    bool // the last byte ended a line
	quoted   bool // within quotation marks, if the file is well formed
	rowLine  int  // where the row began
	rowBytes int  // how much of it was read
}

// newInput looks at the first bytes of r and drops a byte order mark.
func newInput(r io.Reader) *input {
	in := &input{src: bufio.NewReaderSize(r, 64<<10), line: 1, rowLine: 1, ended: true}
	start, _ := in.src.Peek(8)
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, in.err = in.src.Discard(3)
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		in.err = formatError(0, `the file is UTF-16, which Excel calls "Unicode Text"; %s`, saveAsUTF8)
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")):
		in.err = formatError(0, "the file is a workbook, not a CSV file; open it in Excel and %s", saveAsUTF8)
	}
	return in
}

// saveAsUTF8 is the way out of every other encoding.
const saveAsUTF8 = `save it as "CSV UTF-8 (Comma delimited)"`

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	for {
		if in.err != nil {
			return 0, in.err
		}
		if in.checked == 0 {
			in.check()
			continue
		}
		src, _ := in.src.Peek(in.checked)
		written, used := in.copyLines(p, src)
		in.checked -= used
		if _, err := in.src.Discard(used); err != nil {
			in.err = err
		}
		if written > 0 || len(p) == 0 {
			return written, nil
		}
	}
}

// check finds out how much of what is buffered is good, or sets err.
func (in *input) check() {
	_, err := in.src.Peek(utf8.UTFMax)
	buffered, _ := in.src.Peek(in.src.Buffered())
	in.checked = goodPrefix(buffered)
	switch {
	case in.checked == len(buffered):
		in.sample = nil
	case in.checked > 0 || in.sample == nil:
		in.sample = bytes.Clone(lineAround(buffered, in.checked))
	}
	switch {
	case in.checked > 0:
	case len(buffered) == 0 || err != nil && err != io.EOF:
		in.err = readError(err)
	case buffered[0] == 0:
		in.err = formatError(in.line, "the file holds a NUL byte, as UTF-16 and damaged files do; %s", saveAsUTF8)
	default:
		in.err = encodingError(in.line, in.sample)
	}
}

// readError keeps io.EOF and says of anything else where it comes from.
func readError(err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("reading CSV file: %w", err)
}

// goodPrefix returns how many bytes of b, from the first, are whole characters
// other than NUL.
func goodPrefix(b []byte) int {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if utf8.Valid(b) {
		return len(b)
	}
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// copyLines copies src to p with LF for CR and CR LF. It stops where a row gets
// too long and sets err.
func (in *input) copyLines(p, src []byte) (written, used int) {
	for used < len(src) && written < len(p) {
		b := src[used]
		used++
		if b == '\n' && in.afterCR {
			in.afterCR = false
			continue
		}
		in.afterCR = b == '\r'
		if b == '\r' {
			b = '\n'
		}
		p[written] = b
		written++
		if in.count(b); in.rowBytes > maxRowBytes {
			in.err = formatError(in.rowLine, "the row is longer than %d bytes; is there a quotation mark that is not closed?", maxRowBytes)
			break
		}
	}
	return written, used
}

// count keeps account of lines and rows.
func (in *input) count(b byte) {
	in.rowBytes++
	in.ended = b == '\n'
	switch {
	case b == '"':
		in.quoted = !in.quoted
	case in.ended:
		in.line++
		if !in.quoted {
			in.rowLine, in.rowBytes = in.line, 0
		}
	}
}

// lineAround returns the line of b in which b[at] is.
func lineAround(b []byte, at int) []byte {
	start := bytes.LastIndexAny(b[:at], "\r\n") + 1
	if n := bytes.IndexAny(b[at:], "\r\n"); n >= 0 {
		return b[start : at+n]
	}
	return b[start:]
}

// encodingError says which encoding a line that is not UTF-8 is likely to be in.
func encodingError(line int, sample []byte) *FormatError {
	if words := chineseText(sample); words != "" {
		return formatError(line, "the file is not UTF-8 but GBK or GB18030, as Excel in China writes for plain CSV (it reads %q there); %s", words, saveAsUTF8)
	}
	return formatError(line, `the file is not UTF-8; Excel's plain "CSV" is in the encoding of the Windows it runs on, GBK in China or Windows-1252 in Western Europe; %s`, saveAsUTF8)
}

// chineseText returns the first words of b that read as common Chinese
// characters (GB 2312) in GB18030, "" if none do.
func chineseText(b []byte) string {
	for len(b) > 0 {
		run := 0
		for run < len(b) && b[run] >= utf8.RuneSelf {
			run++
		}
		if decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b[:run]); err == nil && commonChinese(b[:run]) {
			return shorten(string(decoded))
		}
		b = b[min(run+1, len(b)):]
	}
	return ""
}

// commonChinese reports whether b is made of Chinese characters of GB 2312, at
// least one.
func commonChinese(b []byte) bool {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] < 0xB0 || b[i] > 0xF7 || b[i+1] < 0xA1 || b[i+1] == 0xFF {
			return false
		}
	}
	return len(b) > 0 && len(b)%2 == 0
}
