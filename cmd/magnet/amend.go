package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) amendCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "amend FILE.csv --reason TEXT", Short: "Replace recorded transactions by those of a file", Args: cobra.ExactArgs(1),
		Long: `Replace recorded transactions by those of a file, found by their transaction
numbers. Nothing is overwritten: original and amendment both stay on the log.
Transactions that are on record as the file has them are left alone.`,
		Example: "  magnet -p acme/profile.yaml amend june-mended.csv --reason \"weight of lot L-7 was gross\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			if len(f.Rejected) > 0 {
				a.sayRejections(f)
				return no("%s has faults; nothing was amended", args[0])
			}
			s, err := a.signing()
			if err != nil {
				return err
			}
			defer s.Close()
			for _, t := range f.Transactions {
				if err := s.amend(cmd.Context(), t.Number, t.Message, reason); err != nil {
					return fmt.Errorf("%s: %w", t.Number, err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands on the log for ever, so no personal data")
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}

// latest returns the latest version of a transaction by its number, as the
// client checked it, and its statement hash.
func (s *session) latest(ctx context.Context, number string) (*tracev1.Statement, verify.Hash, error) {
	req, err := s.namedStatement(number)
	if err != nil {
		return nil, verify.Hash{}, err
	}
	for {
		resp, err := s.client.Queries().GetStatement(ctx, req)
		if err != nil {
			return nil, verify.Hash{}, err
		}
		proven, err := s.client.Log().VerifyReceipt(resp.GetStatement().GetEnvelope(), resp.GetReceipt())
		if err != nil {
			return nil, verify.Hash{}, err
		}
		state := resp.GetStatement().GetState()
		switch {
		case state == ledgerv1.StatementState_STATEMENT_STATE_VOIDED, proven.Payload.Statement.GetVoid() != nil:
			return nil, verify.Hash{}, no("the transaction was voided")
		case state == ledgerv1.StatementState_STATEMENT_STATE_AMENDED:
			req = &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: resp.GetStatement().GetLatestHash()}}
			continue
		}
		return proven.Payload.Statement, proven.Entry.StatementHash, nil
	}
}

// amend replaces one transaction, unless it is on record like this.
func (s *session) amend(ctx context.Context, number string, tx *tracev1.Transaction, reason string) error {
	st, hash, err := s.latest(ctx, number)
	if err != nil {
		return err
	}
	if proto.Equal(transactionOf(st), tx) {
		s.say("%s is on record like this.", number)
		return nil
	}
	return s.follow(ctx, hash, &tracev1.Statement{Stated: &tracev1.Statement_Amendment{
		Amendment: &tracev1.Amendment{Target: hash[:], Replacement: tx, Reason: reason},
	}}, "amended "+number)
}

// transactionOf returns the transaction that a statement or an amendment states,
// or nil.
func transactionOf(st *tracev1.Statement) *tracev1.Transaction {
	if a := st.GetAmendment(); a != nil {
		return a.GetReplacement()
	}
	return st.GetTransaction()
}

// follow records a statement that follows another. Its id comes from what it
// follows, so that a retry cannot follow twice.
func (s *session) follow(ctx context.Context, hash verify.Hash, st *tracev1.Statement, what string) error {
	id := client.TransactionID(s.author.Log.ID(), s.author.ID, "after "+hex.EncodeToString(hash[:]))
	payload, err := s.author.Payload(st, id, time.Now())
	if err != nil {
		return err
	}
	envs, err := s.author.SignAll(oneOf(payload), 1)
	if err != nil {
		return err
	}
	r, err := s.client.Submit(ctx, envs[0])
	var refusal *client.RefusalError
	if errors.As(err, &refusal) && (refusal.Refusal.GetReason() == tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS ||
		refusal.Refusal.GetReason() == tracev1.RefusalReason_REFUSAL_REASON_TARGET_STALE) {
		return no("the transaction was amended or voided at the same moment; run the command again if it still holds: %w", err)
	}
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r.Receipt)
	}
	s.say("%s, at index %d.", what, r.Entry.Index)
	return nil
}

func (a *app) voidCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "void NUMBER --reason TEXT", Short: "Withdraw a recorded transaction, for good", Args: cobra.ExactArgs(1),
		Example: "  magnet -p acme/profile.yaml void INV-001 --reason \"the order was cancelled before delivery\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.signing()
			if err != nil {
				return err
			}
			defer s.Close()
			_, hash, err := s.latest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.follow(cmd.Context(), hash, &tracev1.Statement{Stated: &tracev1.Statement_Void{
				Void: &tracev1.Void{Target: hash[:], Reason: reason},
			}}, "voided "+args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands on the log for ever, so no personal data")
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}
