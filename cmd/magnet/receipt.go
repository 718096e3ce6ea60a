package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) receiptCommand() *cobra.Command {
	return group("receipt", "Fetch and verify receipts", a.receiptGetCommand(), a.receiptVerifyCommand())
}

func (a *app) receiptGetCommand() *cobra.Command {
	var out string
	var cosigned bool
	cmd := &cobra.Command{
		Use: "get STATEMENT", Short: "Fetch a receipt that verifies offline", Args: cobra.ExactArgs(1),
		Long:    "Fetch a receipt with all that an offline reader needs who has the ledger card.\n\n" + statementNames,
		Example: "  magnet -p acme/profile.yaml receipt get INV-001 --out INV-001.receipt.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			return s.fetchReceipt(cmd.Context(), args[0], out, cosigned)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	cmd.Flags().BoolVar(&cosigned, "cosigned", false, "under checkpoints that witnesses have cosigned")
	return cmd
}

func (s *session) fetchReceipt(ctx context.Context, name, out string, cosigned bool) error {
	req, err := s.namedStatement(name)
	if err != nil {
		return err
	}
	bundle, err := s.client.Bundle(ctx, req)
	if err == nil && cosigned {
		err = s.client.Cosign(ctx, bundle, nil)
	}
	if err != nil {
		return err
	}
	if out == "" {
		return s.printJSON(bundle)
	}
	if err := client.WriteBundle(out, bundle); err != nil {
		return err
	}
	s.say("Wrote %s. To verify it offline:\n  magnet receipt verify %s --ledger %s", out, out, s.profile.path(s.profile.Ledger))
	return nil
}

// writeReceipt writes a receipt bundle, replacing an older one of the same
// statement. It is not synced: it can be fetched again.
func writeReceipt(path string, bundle *tracev1.ReceiptBundle) error {
	b, err := protojson.Marshal(bundle)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Compact(&text, b); err != nil {
		return err
	}
	text.WriteByte('\n')
	return os.WriteFile(path, text.Bytes(), 0o600)
}

func (a *app) receiptVerifyCommand() *cobra.Command {
	var card, policy string
	cmd := &cobra.Command{
		Use: "verify FILE --ledger CARD", Short: "Verify a receipt offline, against the ledger card alone", Args: cobra.ExactArgs(1),
		Example: "  magnet receipt verify june.receipts/INV-001.receipt.json --ledger reg/ledger.card",
		RunE: func(_ *cobra.Command, args []string) error {
			proven, err := verifyReceipt(args[0], card, policy)
			if err != nil {
				return err
			}
			return a.sayProven(proven)
		},
	}
	cmd.Flags().StringVar(&card, "ledger", "", "ledger card, got out of band")
	cmd.Flags().StringVar(&policy, "policy", "", policyUsage)
	must(cmd.MarkFlagRequired("ledger"))
	return cmd
}

// verifyReceipt verifies a receipt file offline. policyPath may be empty.
func verifyReceipt(path, cardPath, policyPath string) (*verify.Proven, error) {
	policy, err := readPolicy(policyPath)
	if err != nil {
		return nil, err
	}
	card, err := client.ReadCard(cardPath)
	if err != nil {
		return nil, err
	}
	log, err := client.Pin(card)
	if err != nil {
		return nil, err
	}
	bundle, err := client.ReadBundle(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, answerNo{err}
	}
	proven, err := log.VerifyBundle(bundle)
	if err == nil && policy != nil {
		err = policy.CheckBundle(log, bundle)
	}
	if err != nil {
		return nil, answerNo{fmt.Errorf("%s: %w", path, err)}
	}
	return proven, nil
}

func (a *app) sayProven(p *verify.Proven) error {
	if a.json {
		return a.printJSON(p.Payload.Statement)
	}
	a.say("The receipt is true: these bytes, signed by key %s,", p.Key.ID())
	a.say("which is registered for %s, stand at index %d of the ledger,", p.Payload.Statement.GetSigner(), p.Entry.Index)
	a.say("recorded on %s, covered by the checkpoint of size %d.", micros(p.Entry.SequencedAtMicros), p.Checkpoint.Size)
	return nil
}
