package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) forkCommand() *cobra.Command {
	return group("fork", "Check proofs that a ledger was forked", a.forkVerifyCommand())
}

func (a *app) forkVerifyCommand() *cobra.Command {
	var card string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check a proof that a checkpoint key signed two logs", Args: cobra.ExactArgs(1),
		Long: `Check a file that proves a fork: two checkpoints that one key signed, of which the
second does not extend the first. With --ledger the key must be that of the ledger
card; without, the command prints the key, and whose it is you must know.
Exit code 0 says that the fork is proved, 1 that it is not.`,
		Example: "  magnet fork verify log.fork.json --ledger reg/ledger.card",
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			return a.verifyFork(b, card)
		},
	}
	cmd.Flags().StringVar(&card, "ledger", "", "ledger card, got out of band")
	return cmd
}

func (a *app) verifyFork(b []byte, cardPath string) error {
	log, fork, err := verify.OpenFork(b)
	if err != nil {
		return answerNo{err}
	}
	whose := "the holder of that key, whoever it is,"
	if cardPath != "" {
		card, err := client.ReadCard(cardPath)
		if err != nil {
			return err
		}
		pinned, err := client.Pin(card)
		if err != nil {
			return err
		}
		if pinned.CheckpointVKey() != log.CheckpointVKey() {
			return no("the file is of another key than the ledger card: %s", log.CheckpointVKey())
		}
		whose = "the operator of this ledger"
	}
	if a.json {
		_, err := a.out.Write(b)
		return err
	}
	a.say("The fork is proved. The key %s\nsigned a log of %d entries with root %s,", log.CheckpointVKey(), fork.Older.Size, fork.Older.Root)
	a.say("and one of %d entries whose root at %d entries is %s:\n%s showed two histories.", fork.Newer.Size, fork.Older.Size, fork.Root, whose)
	return nil
}
