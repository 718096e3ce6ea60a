package runs

import "encoding/binary"

// filter is a split block Bloom filter as in Apache Parquet (parquet-format,
// BloomFilter.md): blocks of 8 words of 32 bits, in one of which a key sets one
// bit in each word. A nil filter holds everything.
type filter []uint32

const (
	blockWords = 8
	// filterBits is for each key: 1 in 700 of the keys that are not in a run are
	// taken to be, and cost the reading of a page.
	filterBits = 16
)

// salts are those of the Parquet specification.
var salts = [blockWords]uint32{
	0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
}

// newFilter returns an empty filter for n keys.
func newFilter(n uint64) filter {
	blocks := max(1, (n*filterBits+blockWords*32-1)/(blockWords*32))
	return make(filter, blocks*blockWords)
}

func (f filter) block(hash uint64) []uint32 {
	i := (hash >> 32) * uint64(len(f)/blockWords) >> 32
	return f[i*blockWords:][:blockWords]
}

func (f filter) add(hash uint64) {
	for i, b := 0, f.block(hash); i < blockWords; i++ {
		b[i] |= 1 << (uint32(hash) * salts[i] >> 27)
	}
}

// has reports whether a key with a hash may have been added.
func (f filter) has(hash uint64) bool {
	if f == nil {
		return true
	}
	for i, b := 0, f.block(hash); i < blockWords; i++ {
		if b[i]&(1<<(uint32(hash)*salts[i]>>27)) == 0 {
			return false
		}
	}
	return true
}

func (f filter) appendBytes(b []byte) []byte {
	for _, w := range f {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// parseFilter reads what appendBytes wrote. ok is false for bytes that are none.
func parseFilter(b []byte) (f filter, ok bool) {
	if len(b)%(blockWords*4) != 0 {
		return nil, false
	}
	if len(b) == 0 {
		return nil, true
	}
	f = make(filter, len(b)/4)
	for i := range f {
		f[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return f, true
}
