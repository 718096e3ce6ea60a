package tlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ForkError says that the log's key signed two logs, and holds the proof.
type ForkError struct{ Proof *verify.Fork }

func (e *ForkError) Error() string {
	return fmt.Sprintf("the log is forked: its key signed two checkpoints, of sizes %d and %d, and the second does not extend the first",
		e.Proof.Older.Size, e.Proof.Newer.Size)
}

// FindFork reads the log of the newer of two checkpoints, from its beginning, and
// proves that it does not extend the older. It returns nil if it does. An error
// says that the log could not be read, or that what was read is not the log of the
// newer: that proves nothing to others.
//
// It takes constant memory, and a hash for each entry.
func FindFork(ctx context.Context, log *verify.Log, older, newer *verify.Checkpoint, src Source) (*verify.Fork, error) {
	if older.Size == 0 || older.Size > newer.Size {
		return nil, fmt.Errorf("comparing sizes %d and %d: %w", older.Size, newer.Size, verify.ErrNoFork)
	}
	nodes, err := proof.Consistency(older.Size, newer.Size)
	if err != nil {
		return nil, err
	}
	wanted := make(map[compact.NodeID]verify.Hash, len(nodes.IDs))
	for _, id := range nodes.IDs {
		wanted[id] = verify.Hash{}
	}
	tree, root := factory.NewEmptyRange(0), verify.Hash{}
	err = src.Entries(ctx, 0, newer.Size, func(e verify.Entry) error {
		leaf := e.LeafHash()
		err := tree.Append(leaf[:], func(id compact.NodeID, hash []byte) {
			if _, ok := wanted[id]; ok {
				wanted[id] = verify.Hash(hash)
			}
		})
		if err == nil && tree.End() == older.Size {
			root, err = rootOf(tree)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if read, err := rootOf(tree); err != nil || tree.End() != newer.Size || read != newer.Root {
		return nil, errors.Join(&NotLogError{Size: newer.Size}, err)
	}
	if root == older.Root {
		return nil, nil
	}
	var path [][]byte
	for _, id := range nodes.IDs {
		hash := wanted[id]
		path = append(path, hash[:])
	}
	if path, err = nodes.Rehash(path, rfc6962.DefaultHasher.HashChildren); err != nil {
		return nil, err
	}
	return log.NewFork(older.Note, newer.Note, root, path)
}

// NotLogError says that entries that were read are not those of the checkpoint.
type NotLogError struct {
	Size uint64
	// Finding says what does not fit; nil if only the root does not.
	Finding *verify.Finding
}

func (e *NotLogError) Error() string {
	if e.Finding != nil {
		return fmt.Sprintf("the entries are not those of the checkpoint of size %d: %v", e.Size, e.Finding)
	}
	return fmt.Sprintf("the entries do not lead to the root of the checkpoint of size %d", e.Size)
}

// factory makes trees over leaves, whatever their entries say.
var factory = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func rootOf(tree *compact.Range) (verify.Hash, error) {
	b, err := tree.GetRootHash(nil)
	if err != nil {
		return verify.Hash{}, err
	}
	return verify.ParseHash(b)
}
