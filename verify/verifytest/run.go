package verifytest

import (
	"encoding/base64"
	"strconv"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Receipts returns the receipts that a run stands for, under a signed checkpoint.
// The proof of the run must be good; signatures and statements are not looked at.
// It panics on anything else.
func Receipts(run *verify.Run, checkpoint []byte) []*tracev1.Receipt {
	lines := strings.Split(string(checkpoint), "\n")
	size := must(strconv.ParseUint(lines[1], 10, 64))
	root := must(verify.ParseHash(must(base64.StdEncoding.DecodeString(lines[2]))))
	var leaves []verify.Hash
	var receipts []*tracev1.Receipt
	for rest := run.Entries; len(rest) > 0; rest = rest[verify.EntrySize:] {
		entry := rest[:verify.EntrySize]
		leaves = append(leaves, must(verify.ParseEntry(entry)).LeafHash())
		receipts = append(receipts, &tracev1.Receipt{Entry: entry, Checkpoint: checkpoint, SignerSpki: run.SignerSPKI})
	}
	first := must(verify.ParseEntry(run.Entries[:verify.EntrySize])).Index
	paths := must(verify.VerifyRange(first, leaves, size, run.Proof, root))
	for i, r := range receipts {
		r.InclusionPath = paths.InclusionPath(i)
	}
	return receipts
}
