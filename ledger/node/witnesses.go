package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// errRolledBack says why nothing is recorded any more.
var errRolledBack = errors.New("a witness has a later checkpoint with this ledger's signature: the ledger was rolled back; restore what is not older, or found a new epoch")

// openWitnesses reads the policy, if the configuration has one, and what witnesses
// have cosigned before.
func (n *Node) openWitnesses() error {
	c := n.cfg.Witnesses
	if c.Policy == "" {
		return nil
	}
	text, err := os.ReadFile(c.Policy)
	if err != nil {
		return fmt.Errorf("reading policy of witnesses: %w", err)
	}
	policy, err := verify.ParsePolicy(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Policy, err)
	}
	n.feeder, err = witness.NewFeeder(witness.FeederConfig{
		Log: n.ledger.Genesis().Log, Policy: policy, Latest: n.checkpoint, Consistency: n.consistency,
		Path: filepath.Join(n.cfg.DataDir, "cosigned"), Ahead: n.rolledBack,
		Timeout: c.Timeout, Patience: c.Patience, Logger: n.logger,
	})
	return err
}

// checkpoint returns the latest checkpoint.
func (n *Node) checkpoint() *verify.Checkpoint {
	v := n.ledger.View()
	defer v.Close()
	return v.Checkpoint()
}

func (n *Node) consistency(from, to uint64) ([][]byte, error) {
	v := n.ledger.View()
	defer v.Close()
	return v.ConsistencyPath(from, to)
}

// rolledBack makes the ledger read-only: what it would record, it would record a
// second time at indexes that it had issued before.
func (n *Node) rolledBack(cp *verify.Checkpoint) {
	if n.ahead.Swap(cp) != nil {
		return
	}
	n.logger.LogAttrs(context.Background(), slog.LevelError, "the ledger is read-only", slog.Any("error", errRolledBack),
		slog.Uint64("witnessed_size", cp.Size), slog.String("witnessed_checkpoint", string(cp.Note)))
	n.stopRecording()
}
