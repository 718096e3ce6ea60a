package verify

import (
	"errors"
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Range is a part of a tree: some leaves that follow each other, and what proves
// where they stand. It knows the inclusion path of each.
type Range struct {
	first, size uint64
	rows        []rangeRow // by level, without the root
}

// rangeRow are the nodes of one level that the paths of a range go through or
// stand on.
type rangeRow struct {
	first uint64
	nodes []Hash
}

// VerifyRange checks that leaves stand from index first on in the tree with a
// size and root, as the package documentation says. It costs a hash for each
// leaf, however large the tree is, and some for its height. The error wraps
// ErrProof.
func VerifyRange(first uint64, leaves []Hash, size uint64, proof [][]byte, root Hash) (*Range, error) {
	r, got, err := foldRange(first, leaves, size, proof)
	if err == nil && got != root {
		err = fmt.Errorf("it leads to root %s, not %s", got, root)
	}
	if err != nil {
		return nil, fmt.Errorf("%d entries from %d on in %d: %w: %w", len(leaves), first, size, ErrProof, err)
	}
	return r, nil
}

// foldRange returns a range and the root that its proof leads to.
func foldRange(first uint64, leaves []Hash, size uint64, proof [][]byte) (*Range, Hash, error) {
	if len(leaves) == 0 || first >= size || uint64(len(leaves)) > size-first {
		return nil, Hash{}, errors.New("the tree has no such leaves")
	}
	r := &Range{first: first, size: size}
	shape := rangeShape{lo: first, hi: first + uint64(len(leaves)), count: size}
	row := append(make([]Hash, 0, len(leaves)+2), leaves...)
	next := func() (Hash, error) {
		if len(proof) == 0 {
			return Hash{}, errors.New("the proof is too short")
		}
		h, err := ParseHash(proof[0])
		proof = proof[1:]
		return h, err
	}
	for ; shape.count > 1; shape.up() {
		if shape.left() {
			h, err := next()
			if err != nil {
				return nil, Hash{}, err
			}
			row = append(row, Hash{})
			copy(row[1:], row)
			row[0] = h
		}
		if shape.right() {
			h, err := next()
			if err != nil {
				return nil, Hash{}, err
			}
			row = append(row, h)
		}
		r.rows = append(r.rows, rangeRow{shape.lo &^ 1, row})
		row = parents(row)
	}
	if len(proof) > 0 {
		return nil, Hash{}, errors.New("the proof is too long")
	}
	return r, row[0], nil
}

// parents returns the nodes above those of a row that begins at an even number.
// The last one goes up alone if it has no sibling.
func parents(row []Hash) []Hash {
	up := make([]Hash, 0, (len(row)+1)/2+2)
	for ; len(row) > 1; row = row[2:] {
		up = append(up, NodeHash(row[0], row[1]))
	}
	return append(up, row...)
}

// rangeShape says which nodes of a level belong to a range: from lo to below hi,
// of count. Node and sibling differ in the last bit of their number.
type rangeShape struct{ lo, hi, count uint64 }

// left reports whether the first node has a sibling outside the range.
func (s rangeShape) left() bool { return s.lo%2 == 1 }

// right reports whether the last node has a sibling outside the range.
func (s rangeShape) right() bool { return s.hi%2 == 1 && s.hi < s.count }

// up goes to the next level.
func (s *rangeShape) up() {
	s.lo, s.hi, s.count = s.lo/2, s.hi/2+s.hi%2, s.count/2+s.count%2
}

// RangeProof returns what VerifyRange takes for count leaves from index first on,
// of a tree with a size; for one leaf it is the inclusion path. node returns the
// hash over the leaves that stand under a node: number 0 of level 0 is the first
// leaf, and the last node of a level may be of fewer leaves than the others.
func RangeProof(first, count, size uint64, node func(level uint, number uint64) (Hash, error)) ([][]byte, error) {
	if count == 0 || first >= size || count > size-first {
		return nil, fmt.Errorf("%d entries from %d on in %d: there are none", count, first, size)
	}
	hashes := make([]byte, 0, 2*HashSize*24)
	add := func(level uint, number uint64) error {
		h, err := node(level, number)
		hashes = append(hashes, h[:]...)
		return err
	}
	shape := rangeShape{first, first + count, size}
	for level := uint(0); shape.count > 1; level++ {
		if shape.left() {
			if err := add(level, shape.lo-1); err != nil {
				return nil, err
			}
		}
		if shape.right() {
			if err := add(level, shape.hi); err != nil {
				return nil, err
			}
		}
		shape.up()
	}
	return splitHashes(hashes), nil
}

// splitHashes returns the hashes that b consists of.
func splitHashes(b []byte) [][]byte {
	hashes := make([][]byte, len(b)/HashSize)
	for i := range hashes {
		hashes[i] = b[i*HashSize : (i+1)*HashSize : (i+1)*HashSize]
	}
	return hashes
}

// InclusionPath returns the path of the i-th leaf of the range, for
// VerifyInclusion. It costs no hash, and shares no memory with the range.
func (r *Range) InclusionPath(i int) [][]byte {
	number, count := r.first+uint64(i), r.size
	path := make([]byte, 0, pathLength(number, count)*HashSize)
	for _, row := range r.rows {
		if sibling := number ^ 1; sibling < count {
			path = append(path, row.nodes[sibling-row.first][:]...)
		}
		number, count = number/2, count/2+count%2
	}
	return splitHashes(path)
}

// Run is the common part of the receipts of statements that one key signed and
// that stand one after another on the log.
type Run struct {
	// Entries are the entries, EntrySize bytes each.
	Entries []byte
	// Proof proves them all under one checkpoint; see VerifyRange.
	Proof [][]byte
	// SignerSPKI is the DER SubjectPublicKeyInfo of the key.
	SignerSPKI []byte
}

// VerifyRun is VerifyRecorded for statements that stand one after another. It
// returns a receipt for each, under the checkpoint, and what its entry says. The
// error wraps ErrReceipt.
func VerifyRun(envs []*tracev1.Envelope, run *Run, cp *Checkpoint) ([]*tracev1.Receipt, []Entry, error) {
	entries, paths, err := run.prove(envs, cp)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	receipts := make([]*tracev1.Receipt, len(entries))
	for i, e := range entries {
		receipts[i] = &tracev1.Receipt{
			Entry: e.Bytes(), InclusionPath: paths.InclusionPath(i), Checkpoint: cp.Note, SignerSpki: run.SignerSPKI,
		}
	}
	return receipts, entries, nil
}

func (run *Run) prove(envs []*tracev1.Envelope, cp *Checkpoint) ([]Entry, *Range, error) {
	if len(envs) == 0 || len(run.Entries) != len(envs)*EntrySize {
		return nil, nil, fmt.Errorf("entries of %d bytes for %d statements", len(run.Entries), len(envs))
	}
	keyID := keyIDOf(run.SignerSPKI)
	entries, leaves := make([]Entry, len(envs)), make([]Hash, len(envs))
	for i, env := range envs {
		e, err := recordedEntry(env, run.Entries[i*EntrySize:(i+1)*EntrySize], keyID)
		if err != nil {
			return nil, nil, fmt.Errorf("statement %d of the run: %w", i, err)
		}
		if e.Index != entries[0].Index+uint64(i) && i > 0 {
			return nil, nil, fmt.Errorf("statement %d of the run stands at %d, the first at %d", i, e.Index, entries[0].Index)
		}
		entries[i], leaves[i] = e, e.LeafHash()
	}
	paths, err := VerifyRange(entries[0].Index, leaves, cp.Size, run.Proof, cp.Root)
	return entries, paths, err
}
