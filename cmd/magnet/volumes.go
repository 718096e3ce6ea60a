package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// filterFlags are the flags that narrow a question to some transactions.
type filterFlags struct {
	sellers, customers, kinds, families, codes, countries, uses []string
	from, to                                                    string
}

func (f *filterFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.sellers, "seller", nil, "participant ids of sellers")
	flags.StringSliceVar(&f.customers, "customer", nil, "customer keys: participant:ID, lei:…, uscc:…, eori:…, gln:…, vat:…, own:SELLER/CODE")
	flags.StringSliceVar(&f.kinds, "kind", nil, "sale, export, import, return, transfer")
	flags.StringSliceVar(&f.families, "family", nil, "product families, for instance ndfeb_sintered")
	flags.StringSliceVar(&f.codes, "hs", nil, "Harmonized System codes")
	flags.StringSliceVar(&f.countries, "destination", nil, "countries of destination, ISO 3166-1 alpha-2")
	flags.StringSliceVar(&f.uses, "end-use", nil, "end uses, for instance traction")
	flags.StringVar(&f.from, "from", "", "first day, month or year: 2025-06-30, 2025-06, 2025")
	flags.StringVar(&f.to, "to", "", "last day, month or year, included")
}

func (f *filterFlags) filter() (*ledgerv1.TransactionFilter, *ledgerv1.Period, error) {
	kinds, err1 := enums[tracev1.TransactionKind]("--kind", f.kinds, "TRANSACTION_KIND_", tracev1.TransactionKind_value)
	families, err2 := enums[tracev1.ProductFamily]("--family", f.families, "PRODUCT_FAMILY_", tracev1.ProductFamily_value)
	uses, err3 := enums[tracev1.EndUse]("--end-use", f.uses, "END_USE_", tracev1.EndUse_value)
	period, err4 := parsePeriod(f.from, f.to)
	return &ledgerv1.TransactionFilter{
		Sellers: f.sellers, Customers: f.customers, Kinds: kinds, ProductFamilies: families,
		HsCodes: f.codes, DestinationCountries: f.countries, EndUses: uses,
	}, period, errors.Join(err1, err2, err3, err4)
}

// enums reads enum values by their short names.
func enums[E ~int32](flag string, names []string, prefix string, values map[string]int32) ([]E, error) {
	var out []E
	for _, name := range names {
		v, ok := values[prefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
		if !ok || v == 0 {
			var known []string
			for n := range values {
				if values[n] != 0 {
					known = append(known, shortEnum(n, prefix))
				}
			}
			return nil, fmt.Errorf("%s: %q is none of %s", flag, name, sortedList(known))
		}
		out = append(out, E(v))
	}
	return out, nil
}

// parsePeriod reads days, months or years as a span of days.
func parsePeriod(from, to string) (*ledgerv1.Period, error) {
	if from == "" && to == "" {
		return nil, nil
	}
	first, last := "1900-01-01", "2199-12-31"
	for _, bound := range []struct {
		flag, text string
		end        bool
		day        *string
	}{{"--from", from, false, &first}, {"--to", to, true, &last}} {
		if bound.text == "" {
			continue
		}
		day, err := parseBound(bound.text, bound.end)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bound.flag, err)
		}
		*bound.day = day
	}
	if first > last {
		return nil, fmt.Errorf("--from %s is after --to %s", from, to)
	}
	return &ledgerv1.Period{FirstDay: first, LastDay: last}, nil
}

// parseBound returns the first or last day of a day, month or year.
func parseBound(text string, end bool) (string, error) {
	for _, form := range []struct {
		layout        string
		years, months int
	}{{"2006-01-02", 0, 0}, {"2006-01", 0, 1}, {"2006", 1, 0}} {
		t, err := time.Parse(form.layout, text)
		if err != nil {
			continue
		}
		if end && form.years+form.months > 0 {
			t = t.AddDate(form.years, form.months, -1)
		}
		return t.Format(time.DateOnly), nil
	}
	return "", fmt.Errorf("%q is no day (2025-06-30), month (2025-06) or year (2025)", text)
}

// volumeDimensions are the dimensions by their names on the command line.
var volumeDimensions = map[string]ledgerv1.VolumeDimension{
	"seller":      ledgerv1.VolumeDimension_VOLUME_DIMENSION_SELLER,
	"customer":    ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER,
	"kind":        ledgerv1.VolumeDimension_VOLUME_DIMENSION_KIND,
	"day":         ledgerv1.VolumeDimension_VOLUME_DIMENSION_DAY,
	"month":       ledgerv1.VolumeDimension_VOLUME_DIMENSION_MONTH,
	"year":        ledgerv1.VolumeDimension_VOLUME_DIMENSION_YEAR,
	"family":      ledgerv1.VolumeDimension_VOLUME_DIMENSION_PRODUCT_FAMILY,
	"hs":          ledgerv1.VolumeDimension_VOLUME_DIMENSION_HS_CODE,
	"destination": ledgerv1.VolumeDimension_VOLUME_DIMENSION_DESTINATION_COUNTRY,
	"end-use":     ledgerv1.VolumeDimension_VOLUME_DIMENSION_END_USE,
}

func (a *app) volumesCommand() *cobra.Command {
	var filter filterFlags
	var by []string
	var largest bool
	req := new(ledgerv1.QueryVolumesRequest)
	cmd := &cobra.Command{
		Use:   "volumes --by DIMENSION[,DIMENSION]",
		Short: "Ask for volumes per customer, and by nine other dimensions",
		Long: `Ask for volumes: what you may read, added up over the latest versions.

Kinds are never netted. Without --kind: sales, exports and transfers.`,
		Example: `  magnet -p reg/profiles/regulator.yaml volumes --by customer,month --from 2025-06 --to 2025-06
  magnet -p acme/profile.yaml volumes --by customer --largest --limit 10 --elements`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if req.Filter, req.Period, err = filter.filter(); err != nil {
				return err
			}
			for _, name := range by {
				d, ok := volumeDimensions[name]
				if !ok {
					return fmt.Errorf("--by: %q is none of seller, customer, kind, day, month, year, family, hs, destination, end-use", name)
				}
				req.GroupBy = append(req.GetGroupBy(), d)
			}
			if largest {
				req.OrderBy = ledgerv1.VolumeOrder_VOLUME_ORDER_NET_MASS_DESCENDING
			}
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			header, rows, err := s.volumes(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.printVolumes(by, header, rows)
		},
	}
	cmd.Flags().StringSliceVar(&by, "by", []string{"customer"}, "dimensions: seller, customer, kind, day, month, year, family, hs, destination, end-use")
	cmd.Flags().BoolVar(&largest, "largest", false, "largest net mass first")
	cmd.Flags().Uint32Var(&req.Limit, "limit", 0, "most rows; the total counts all")
	cmd.Flags().BoolVar(&req.IncludeElements, "elements", false, "element masses too")
	filter.add(cmd.Flags())
	return cmd
}

// volumes asks and collects the answer.
func (s *session) volumes(ctx context.Context, req *ledgerv1.QueryVolumesRequest) (*ledgerv1.VolumeHeader, []*ledgerv1.VolumeRow, error) {
	stream, err := s.client.Queries().QueryVolumes(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	var header *ledgerv1.VolumeHeader
	var rows []*ledgerv1.VolumeRow
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if h := part.GetHeader(); h != nil {
			header = h
		}
		rows = append(rows, part.GetRows().GetRows()...)
	}
	if _, err := s.client.Log().OpenCheckpoint(header.GetCheckpoint()); err != nil {
		return nil, nil, err
	}
	return header, rows, nil
}

func (a *app) printVolumes(by []string, header *ledgerv1.VolumeHeader, rows []*ledgerv1.VolumeRow) error {
	if a.json {
		if err := a.printJSON(header); err != nil {
			return err
		}
		for _, r := range rows {
			if err := a.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	counted := header.GetTotals().TransactionCount != nil
	columns := append([]string{}, by...)
	columns = append(columns, ">kg", ">lines")
	if counted {
		columns = append(columns, ">transactions")
	}
	t := a.newTable(append(columns, "")...)
	most := 0.0
	for _, r := range rows {
		most = max(most, tonnes(r.GetTotals().GetNetMassGrams()))
	}
	for _, r := range rows {
		var cells []any
		for _, k := range r.GetKeys() {
			cells = append(cells, keyText(k))
		}
		cells = append(cells, figureCells(r.GetTotals(), counted)...)
		t.AppendRow(append(cells, bar(tonnes(r.GetTotals().GetNetMassGrams()), most, 24)+elements(r.GetTotals())))
	}
	var cells []any
	for i := range by {
		cells = append(cells, "")
		if i == 0 {
			cells[i] = fmt.Sprintf("total of %d", header.GetRowCount())
		}
	}
	t.AppendFooter(append(append(cells, figureCells(header.GetTotals(), counted)...), elements(header.GetTotals())))
	a.render(t)
	return nil
}

func keyText(k *ledgerv1.VolumeKey) string {
	text := k.GetValue()
	for _, prefix := range []string{"TRANSACTION_KIND_", "PRODUCT_FAMILY_", "END_USE_"} {
		if strings.HasPrefix(text, prefix) {
			text = shortEnum(text, prefix)
		}
	}
	if k.GetDisplayName() != "" {
		text += "  " + k.GetDisplayName()
	}
	return text
}

func figureCells(t *ledgerv1.VolumeTotals, counted bool) []any {
	cells := []any{kilograms(t.GetNetMassGrams()), grouped(fmt.Sprint(t.GetLineCount()))}
	if counted {
		cells = append(cells, grouped(fmt.Sprint(t.GetTransactionCount())))
	}
	return cells
}

// kilograms prints grams as kilograms, exactly.
func kilograms(grams string) string { return shifted(grams, 3) }

// shifted prints a number with the decimal point some places further left,
// exactly.
func shifted(digits string, places int) string {
	for len(digits) <= places {
		digits = "0" + digits
	}
	whole, rest := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if rest == "" {
		return grouped(whole)
	}
	return grouped(whole) + "." + rest
}

// tonnes is for charts, where a rounded number will do.
func tonnes(grams string) float64 {
	n, ok := new(big.Float).SetString(grams)
	if !ok {
		return 0
	}
	f, _ := n.Float64()
	return f / 1e6
}

func elements(t *ledgerv1.VolumeTotals) string {
	var parts []string
	for _, e := range t.GetElements() {
		parts = append(parts, fmt.Sprintf("%s %s kg", e.GetSymbol(), shifted(e.GetMassMicrograms(), 9)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "  " + strings.Join(parts, ", ")
}
