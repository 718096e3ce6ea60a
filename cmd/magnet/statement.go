package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func sortedList(list []string) string {
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (a *app) statementCommand() *cobra.Command {
	return group("statement", "Look at statements: get, list", a.statementGetCommand(), a.statementListCommand())
}

// namedStatement turns what a person names a statement by into a request: an
// index, a statement hash, or a transaction number of the profile's own.
func (s *session) namedStatement(name string) (*ledgerv1.GetStatementRequest, error) {
	if index, err := strconv.ParseUint(strings.TrimPrefix(name, "#"), 10, 64); err == nil && strings.HasPrefix(name, "#") {
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: index}}, nil
	}
	if hash, err := hex.DecodeString(name); err == nil && len(hash) == verify.HashSize {
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hash}}, nil
	}
	if name == "" {
		return nil, errors.New("name a statement by #INDEX, by its hash, or by your transaction number")
	}
	id := client.TransactionID(s.client.Log().ID(), s.profile.Participant, name)
	key := &ledgerv1.StatementKey{Signer: s.profile.Participant, StatementId: id[:]}
	return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Key{Key: key}}, nil
}

const statementNames = "STATEMENT is #INDEX, a statement hash, or a transaction number of your own."

func (a *app) statementGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get STATEMENT", Short: "Show one statement, checked", Long: "Show one statement, checked against the pinned ledger.\n\n" + statementNames,
		Example: "  magnet -p acme/profile.yaml statement get INV-001\n  magnet -p acme/profile.yaml statement get '#0' --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			req, err := s.namedStatement(args[0])
			if err != nil {
				return err
			}
			return s.showStatement(cmd.Context(), req)
		},
	}
}

func (s *session) showStatement(ctx context.Context, req *ledgerv1.GetStatementRequest) error {
	resp, err := s.client.Queries().GetStatement(ctx, req)
	if err != nil {
		return err
	}
	st := resp.GetStatement()
	proven, err := s.client.Log().VerifyReceipt(st.GetEnvelope(), resp.GetReceipt())
	if err != nil {
		return answerNo{err}
	}
	if s.json {
		return s.printJSON(proven.Payload.Statement, resp)
	}
	t := s.newTable("", "")
	t.ResetHeaders()
	e := proven.Entry
	t.AppendRow(row("index", e.Index))
	t.AppendRow(row("recorded", micros(e.SequencedAtMicros)))
	t.AppendRow(row("signed by", proven.Payload.Statement.GetSigner()))
	t.AppendRow(row("statement hash", e.StatementHash))
	t.AppendRow(row("state", state(st)))
	s.render(t)
	return s.printJSON(proven.Payload.Statement)
}

func state(st *ledgerv1.RecordedStatement) string {
	text := shortEnum(st.GetState().String(), "STATEMENT_STATE_")
	if st.GetState() == ledgerv1.StatementState_STATEMENT_STATE_UNSPECIFIED {
		return "on record"
	}
	if len(st.GetLatestHash()) > 0 {
		text += ", latest " + hex.EncodeToString(st.GetLatestHash())
	}
	return text
}

func micros(t int64) string { return time.UnixMicro(t).UTC().Format("2006-01-02 15:04:05.000000Z") }

func (a *app) statementListCommand() *cobra.Command {
	var filter filterFlags
	var states []string
	var asCSV bool
	cmd := &cobra.Command{
		Use: "list", Short: "List transactions and their amendments",
		Example: `  magnet -p acme/profile.yaml statement list --from 2025-06 --to 2025-06
  magnet -p acme/profile.yaml statement list --csv > recorded.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			req := &ledgerv1.ListStatementsRequest{PageSize: 1000}
			if asCSV && len(states) == 0 {
				states = []string{"live"} // a file that can be submitted has each number once
			}
			if req.Filter, req.Period, err = filter.filter(); err != nil {
				return err
			}
			if req.States, err = enums[ledgerv1.StatementState]("--state", states, "STATEMENT_STATE_", ledgerv1.StatementState_value); err != nil {
				return err
			}
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.listStatements(cmd.Context(), req)
			if err != nil {
				return err
			}
			if asCSV {
				return s.writeCSV(list)
			}
			return s.printStatements(list)
		},
	}
	filter.add(cmd.Flags())
	cmd.Flags().StringSliceVar(&states, "state", nil, "live, amended, voided (default: all; with --csv: live)")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print in the format of `magnet submit`")
	return cmd
}

// listedStatement is a statement of a listing, checked against its entry.
type listedStatement struct {
	recorded *ledgerv1.RecordedStatement
	entry    verify.Entry
	signer   string
	tx       *tracev1.Transaction
}

// listStatements collects all pages.
func (s *session) listStatements(ctx context.Context, req *ledgerv1.ListStatementsRequest) ([]listedStatement, error) {
	var list []listedStatement
	for {
		page, err := s.client.Queries().ListStatements(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, st := range page.GetStatements() {
			l, err := readListed(st)
			if err != nil {
				return nil, err
			}
			list = append(list, l)
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return list, nil
		}
	}
}

func readListed(st *ledgerv1.RecordedStatement) (listedStatement, error) {
	env := st.GetEnvelope()
	payload, err := verify.ParsePayload(env.GetPayload())
	if err != nil {
		return listedStatement{}, err
	}
	entry, err := verify.ParseEntry(st.GetEntry())
	if err != nil {
		return listedStatement{}, err
	}
	keyID, err := verify.ParseHash(env.GetKeyId())
	if err != nil {
		return listedStatement{}, err
	}
	if verify.StatementHash(payload.Leaf, keyID, env.GetSignatureBlock()) != entry.StatementHash {
		return listedStatement{}, no("the server sent another statement for entry %d than the one it stands for", entry.Index)
	}
	return listedStatement{recorded: st, entry: entry, signer: payload.Statement.GetSigner(), tx: transactionOf(payload.Statement)}, nil
}

func (s *session) printStatements(list []listedStatement) error {
	if s.json {
		for _, l := range list {
			if err := s.printJSON(l.recorded); err != nil {
				return err
			}
		}
		return nil
	}
	t := s.newTable(">index", "date", "kind", "seller", "number", "customer", ">kg", "state")
	for _, l := range list {
		var grams uint64
		for _, line := range l.tx.GetLines() {
			grams += line.GetNetMassGrams()
		}
		t.AppendRow(row(l.entry.Index, l.tx.GetTransactionDate(), shortEnum(l.tx.GetKind().String(), "TRANSACTION_KIND_"), l.signer,
			l.tx.GetTransactionNumber(), nameOf(l.tx.GetCustomer().GetName()), kilograms(strconv.FormatUint(grams, 10)),
			shortEnum(l.recorded.GetState().String(), "STATEMENT_STATE_")))
	}
	s.render(t)
	s.say("%d statements", len(list))
	return nil
}

// writeCSV prints the transactions in the format that submit reads.
func (s *session) writeCSV(list []listedStatement) error {
	var txs []*tracev1.Transaction
	for _, l := range list {
		if l.signer == s.profile.Participant {
			txs = append(txs, l.tx)
		}
	}
	var out bytes.Buffer
	if err := csvfile.Write(&out, txs); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	_, err := s.out.Write(out.Bytes())
	return err
}
