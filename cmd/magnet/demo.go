package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

//go:embed demodata/baci_850511_china_2024.csv demodata/iso3166.csv
var demoData embed.FS

// exporterID stands for the exporters of China together: the flows do not tell
// them apart.
const exporterID = "exporters-cn"

func (a *app) demoCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo [--dir DIR]",
		Short: "Do the whole job on real trade flows: record, ask, verify, tamper",
		Long: `Do the whole job on the real trade in permanent magnets out of China in 2024
(CEPII BACI, HS 850511): found a ledger, enrol a producer, sign and submit its
exports over gRPC with mutual TLS, ask for volumes per customer, verify the chain
as an auditor, verify a receipt offline, and show that one changed byte is caught.

The directory stays for you to go on with. A second run on it records nothing
twice.`,
		Example: "  magnet demo",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", ".magnet-demo", "where to keep the ledger of the demo")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	*app
	dir     string
	address string // that the server listens on
	flows   []flow
}

// flow is a line of the trade data.
type flow struct {
	importer, name string
	tonnes, usd    uint64
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

func (d *demo) step(n int, format string, args ...any) {
	d.say("\n%d. %s", n, fmt.Sprintf(format, args...))
}

func (a *app) demo(ctx context.Context, dir string) error {
	d := &demo{app: a, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := d.readFlows(); err != nil {
		return err
	}
	if err := d.foundOnce(); err != nil {
		return err
	}
	stop, err := d.serve(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(d.acts(ctx), stop()); err != nil {
		return err
	}
	d.sayNext()
	return nil
}

// acts are what happens while the server is up.
func (d *demo) acts(ctx context.Context) error {
	for _, act := range []func(context.Context) error{d.enrol, d.submit, d.ask, d.audit, d.receipt, d.tamper} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readFlows reads the flows out of China.
func (d *demo) readFlows() error {
	names, err := readDemoCSV("demodata/iso3166.csv")
	if err != nil {
		return err
	}
	nameOf := make(map[string]string)
	for _, r := range names {
		nameOf[r["alpha2"]] = r["name_en"]
	}
	rows, err := readDemoCSV("demodata/baci_850511_china_2024.csv")
	if err != nil {
		return err
	}
	empty := 0
	for _, r := range rows {
		if r["exporter_iso2"] != "CN" {
			continue
		}
		f := flow{importer: r["importer_iso2"], name: nameOf[r["importer_iso2"]]}
		var err1, err2 error
		f.tonnes, err1 = strconv.ParseUint(r["qty_t"], 10, 64)
		f.usd, err2 = strconv.ParseUint(r["value_usd"], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if f.tonnes == 0 {
			empty++
			continue
		}
		d.flows = append(d.flows, f)
	}
	d.say("China's exports of permanent magnets in 2024 (HS 850511; CEPII BACI, Etalab Open Licence 2.0):")
	d.say("%d flows; %d of 0 t are skipped, %d remain.", empty+len(d.flows), empty, len(d.flows))
	return nil
}

// readDemoCSV reads an embedded file into rows by column name.
func readDemoCSV(name string) ([]map[string]string, error) {
	b, err := demoData.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(b))
	header, err := r.Read()
	if err != nil {
		return nil, err
	}
	var rows []map[string]string
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		row := make(map[string]string, len(header))
		for i, h := range header {
			row[h] = record[i]
		}
		rows = append(rows, row)
	}
}

func (d *demo) foundOnce() error {
	d.step(1, "Found a ledger: keys, genesis, certificates.")
	if _, err := os.Stat(d.path("reg", "magnetd.yaml")); err == nil {
		d.say("   %s is there from an earlier run.", d.path("reg"))
		return nil
	}
	return d.found(d.path("reg"), founding{origin: "demo.ledger.test/2024", listen: "127.0.0.1:7443", dev: true, offset: 8 * 3600e9})
}

// serve runs the server of the ledger within this process, on any free port.
func (d *demo) serve(ctx context.Context) (stop func() error, err error) {
	d.step(2, "Serve it over gRPC with mutual TLS.")
	cfg, err := node.ReadConfig(d.path("reg", "magnetd.yaml"))
	if err != nil {
		return nil, err
	}
	cfg.Listen = "127.0.0.1:0"
	logger := slog.New(slog.NewTextHandler(d.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Open(ctx, cfg, nil, logger)
	if err != nil {
		return nil, err
	}
	d.address = n.Addr()
	d.say("   %s, ledger id %s", d.address, n.Ledger().Genesis().Log.ID())
	serving, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- n.Serve(serving) }()
	return func() error { cancel(); return <-done }, nil
}

// as opens a session of a profile with the server of the demo.
func (d *demo) as(profilePath string) (*session, error) {
	p, err := readProfile(profilePath)
	if err != nil {
		return nil, err
	}
	p.Address = d.address
	s, err := d.open(p)
	if err == nil && p.SigningKey != "" {
		s.author, err = d.author(p)
	}
	return s, err
}

// enrol makes the exporters a participant, and lets the auditor read.
func (d *demo) enrol(ctx context.Context) error {
	d.step(3, "Enrol the producer: its keys never leave its directory.")
	authority, err := d.as(d.path("reg", "profiles", "authority.yaml"))
	if err != nil {
		return err
	}
	defer authority.Close()
	dir := d.path(exporterID)
	if _, err := os.Stat(filepath.Join(dir, "profile.yaml")); err == nil {
		d.say("   %s was enrolled in an earlier run.", exporterID)
		return nil
	}
	if err := os.RemoveAll(dir); err != nil { // of a run that was interrupted
		return err
	}
	err = d.requestEnrolment(enrolment{
		card: d.path("reg", "ledger.card"), id: exporterID, name: "China's exporters of permanent magnets", country: "CN", out: dir, dev: true,
	})
	if err != nil {
		return err
	}
	approval := filepath.Join(dir, "approval.json")
	if err := authority.approve(ctx, filepath.Join(dir, "request.json"), approval, []tracev1.Role{tracev1.Role_ROLE_PRODUCER}); err != nil {
		return err
	}
	_, err = authority.state(ctx, &tracev1.Statement{Stated: &tracev1.Statement_ReadingRightGranted{
		ReadingRightGranted: &tracev1.ReadingRightGranted{ParticipantId: "auditor", AllSellers: true},
	}})
	if err != nil {
		return err
	}
	d.say("   %s is admitted, its key registered.", exporterID)
	return finishEnrolment(dir, approval) // the profile comes last: it says that all is done
}

// transactions returns the flows as transactions: one a year and customer, as
// the source has them, dated on the last day of the year.
func (d *demo) transactions() []*tracev1.Transaction {
	var txs []*tracev1.Transaction
	for _, f := range d.flows {
		txs = append(txs, &tracev1.Transaction{
			Kind:               tracev1.TransactionKind_TRANSACTION_KIND_EXPORT,
			Customer:           &tracev1.Party{OwnCode: f.importer, Name: &tracev1.LegalName{Native: "Importers in " + f.name}, Country: f.importer},
			TransactionDate:    "2024-12-31",
			TransactionNumber:  "CN-" + f.importer + "-2024",
			DestinationCountry: f.importer,
			Lines: []*tracev1.TransactionLine{{
				ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_METAL_MAGNET, HsCode: "850511",
				NetMassGrams: f.tonnes * 1_000_000, Value: &tracev1.Money{Currency: "USD", Units: int64(f.usd)},
			}},
		})
	}
	return txs
}

func (d *demo) submit(ctx context.Context) error {
	d.step(4, "Sign the %d exports with the producer's key, and submit them.", len(d.flows))
	file := d.path("exports-2024.csv")
	var content bytes.Buffer
	if err := csvfile.Write(&content, d.transactions()); err != nil {
		return err
	}
	if err := os.WriteFile(file, content.Bytes(), 0o600); err != nil {
		return err
	}
	s, err := d.as(d.path(exporterID, "profile.yaml"))
	if err != nil {
		return err
	}
	defer s.Close()
	return s.submitFile(ctx, file, submitOptions{batch: verify.MaxBatch, receipts: d.path("receipts"), rejected: d.path("rejected.csv")})
}

// ask asks for volumes as the regulator, and compares them with the source.
func (d *demo) ask(ctx context.Context) error {
	d.step(5, "Ask, as the regulator, for volumes per customer.")
	s, err := d.as(d.path("reg", "profiles", "regulator.yaml"))
	if err != nil {
		return err
	}
	defer s.Close()
	header, rows, err := s.volumes(ctx, &ledgerv1.QueryVolumesRequest{
		GroupBy: []ledgerv1.VolumeDimension{ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER},
		Filter:  &ledgerv1.TransactionFilter{Sellers: []string{exporterID}},
		Period:  &ledgerv1.Period{FirstDay: "2024-01-01", LastDay: "2024-12-31"},
		OrderBy: ledgerv1.VolumeOrder_VOLUME_ORDER_NET_MASS_DESCENDING,
	})
	if err != nil {
		return err
	}
	if err := d.printVolumes([]string{"customer"}, header, rows); err != nil {
		return err
	}
	return d.compare(header, rows)
}

// compare adds up the source independently of the ledger.
func (d *demo) compare(header *ledgerv1.VolumeHeader, rows []*ledgerv1.VolumeRow) error {
	var total uint64
	want := make(map[string]string)
	for _, f := range d.flows {
		total += f.tonnes
		want["own:"+exporterID+"/"+f.importer] = strconv.FormatUint(f.tonnes*1_000_000, 10)
	}
	for _, r := range rows {
		if key := r.GetKeys()[0].GetValue(); want[key] != r.GetTotals().GetNetMassGrams() {
			return no("%s: the ledger says %s g, the source %s g", key, r.GetTotals().GetNetMassGrams(), want[key])
		}
	}
	if sum := strconv.FormatUint(total*1_000_000, 10); len(rows) != len(want) || header.GetTotals().GetNetMassGrams() != sum {
		return no("total: the ledger says %s g, the source %s g", header.GetTotals().GetNetMassGrams(), sum)
	}
	d.say("   Every row and the total, %s t, equal the source to the gram.", grouped(strconv.FormatUint(total, 10)))
	return nil
}

func (d *demo) audit(ctx context.Context) error {
	d.step(6, "Verify the chain as an auditor: entries, statements, signatures, keys.")
	s, err := d.as(d.path("reg", "profiles", "auditor.yaml"))
	if err != nil {
		return err
	}
	defer s.Close()
	return s.verify(ctx, d.path("auditor.state"), true, nil)
}

func (d *demo) receiptPath() string {
	return d.path("receipts", "CN-"+d.flows[0].importer+"-2024.receipt.json")
}

func (d *demo) receipt(context.Context) error {
	d.step(7, "Verify one receipt offline, with nothing but the ledger card.")
	proven, err := verifyReceipt(d.receiptPath(), d.path("reg", "ledger.card"), "")
	if err != nil {
		return err
	}
	return d.sayProven(proven)
}

// tamper changes one byte of a receipt and one of an entry.
func (d *demo) tamper(ctx context.Context) error {
	d.step(8, "Change one byte.")
	card, err := client.ReadCard(d.path("reg", "ledger.card"))
	if err != nil {
		return err
	}
	log, err := client.Pin(card)
	if err != nil {
		return err
	}
	bundle, err := client.ReadBundle(d.receiptPath())
	if err != nil {
		return err
	}
	payload := bundle.GetStatement().GetEnvelope().GetPayload()
	payload[bytes.Index(payload, []byte("Importers"))] ^= 1
	_, err = log.VerifyBundle(bundle)
	if err == nil {
		return no("a receipt with a changed byte was accepted")
	}
	d.say("   In the statement of that receipt:  caught: %v", err)
	return d.tamperLog(ctx, log)
}

// tamperLog audits the log with one byte of one entry changed on the way.
func (d *demo) tamperLog(ctx context.Context, log *verify.Log) error {
	s, err := d.as(d.path("reg", "profiles", "auditor.yaml"))
	if err != nil {
		return err
	}
	defer s.Close()
	const changed = 77
	auditor := verify.NewAuditor(log, false)
	stream, err := s.client.Audits().ReadEntries(ctx, &ledgerv1.ReadEntriesRequest{})
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return no("an entry with a changed byte was accepted")
		}
		if err != nil {
			return err
		}
		for _, e := range part.GetEntries() {
			entry := slices.Clone(e.GetEntry())
			if auditor.Size() == changed {
				entry[len(entry)-1] ^= 1
			}
			if err := auditor.Add(entry, nil); err != nil {
				d.say("   In entry %d, on the way to an auditor: caught: %v", changed, err)
				return nil
			}
		}
	}
}

func (d *demo) sayNext() {
	d.say("\nGo on with it:")
	d.say("  go install ./cmd/...                      # then, in this directory:")
	d.say("  magnetd --config %s &", d.path("reg", "magnetd.yaml"))
	d.say("  magnet -p %s volumes --by customer,month --largest --limit 10", d.path("reg", "profiles", "regulator.yaml"))
	d.say("  magnet -p %s statement list --customer own:%s/DE", d.path(exporterID, "profile.yaml"), exporterID)
	d.say("  magnet -p %s verify --state %s --full", d.path("reg", "profiles", "auditor.yaml"), d.path("auditor.state"))
	d.say("  magnet receipt verify %s --ledger %s", d.receiptPath(), d.path("reg", "ledger.card"))
}
