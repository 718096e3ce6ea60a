package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// report is what a run measured.
type report struct {
	Machine      *machine          `json:"machine"`
	Settings     settings          `json:"settings"`
	Measurements []measurementLine `json:"measurements"`
	Ratios       []ratioLine       `json:"ratios"`
}

// settings are those of the run.
type settings struct {
	Count               int     `json:"count"`
	Seconds             float64 `json:"seconds"`
	Rounds              int     `json:"rounds"`
	BatchEnvelopeBytes  float64 `json:"batch_signed_envelope_bytes,omitempty"`
	SingleEnvelopeBytes float64 `json:"singly_signed_envelope_bytes,omitempty"`
	VolumeRows          int     `json:"volume_rows,omitempty"`
	VolumeCells         int     `json:"volume_cells,omitempty"`
	VolumePlan          string  `json:"volume_plan,omitempty"`
}

type measurementLine struct {
	Name   string   `json:"name"`
	What   string   `json:"what"`
	Unit   string   `json:"unit"`
	Rounds []sample `json:"rounds"`
	Median float64  `json:"median"`
	Lacks  string   `json:"without,omitempty"`
}

type ratioLine struct {
	Ratio   string    `json:"ratio"`
	Rounds  []float64 `json:"rounds"`
	Median  float64   `json:"median"`
	Wanted  string    `json:"wanted,omitempty"`
	Reached string    `json:"reached,omitempty"`
}

func (b *bench) report(m *machine) *report {
	r := &report{Machine: m, Settings: settings{
		Count: b.opts.count, Seconds: b.opts.limit.Seconds(), Rounds: b.opts.rounds,
		BatchEnvelopeBytes: envelopeBytes(b.statements, batchSigned), SingleEnvelopeBytes: envelopeBytes(b.statements, singleSigned),
	}}
	if b.volumeCells > 0 {
		r.Settings.VolumeRows, r.Settings.VolumeCells, r.Settings.VolumePlan = b.opts.volumeRows, b.volumeCells, b.volumePlan
	}
	for _, m := range b.chosen() {
		r.Measurements = append(r.Measurements, measurementLine{
			Name: m.name, What: m.what, Unit: m.unit, Rounds: b.samples[m.name], Median: median(b.values(m.name)), Lacks: m.lacks,
		})
	}
	for _, c := range claims() {
		if line, ok := b.ratio(c); ok {
			r.Ratios = append(r.Ratios, line)
		}
	}
	return r
}

// values returns what a measurement gave, round by round.
func (b *bench) values(name string) []float64 {
	var values []float64
	for _, s := range b.samples[name] {
		values = append(values, s.Value)
	}
	return values
}

// ratio returns a ratio, unless a part of it was not measured.
func (b *bench) ratio(c claim) (ratioLine, bool) {
	var over [][]float64
	for _, name := range c.over {
		over = append(over, b.values(name))
	}
	rounds := pairwise(b.values(c.of), over...)
	line := ratioLine{Ratio: c.String(), Rounds: rounds, Median: median(rounds), Wanted: c.wanted()}
	line.Reached = c.verdict(line.Median)
	return line, len(rounds) > 0
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	parts := []string{r.header(), r.measurements().Render()}
	if len(r.Ratios) > 0 {
		parts = append(parts, r.ratios().Render())
	}
	_, err := fmt.Fprintln(w, strings.Join(parts, "\n\n"))
	return err
}

func (r *report) header() string {
	m, s := r.Machine, r.Settings
	lines := []string{
		fmt.Sprintf("%s, ledger at %s", m.Date, m.Ledger),
		fmt.Sprintf("%d cores (%s), %.1f GiB, %s, %s; load before %s, after %s", m.Cores, m.Processor, m.MemoryGiB, m.Kernel, m.FileSystem, m.LoadBefore, m.LoadAfter),
		m.Go + ", " + m.Postgres,
	}
	for _, name := range modules {
		lines = append(lines, name+" "+m.Modules[name])
	}
	lines = append(lines, fmt.Sprintf("%d rounds; a measurement ends after %s statements or %g s; client and server share the cores", s.Rounds, grouped(s.Count), s.Seconds))
	if s.BatchEnvelopeBytes > 0 {
		lines = append(lines, fmt.Sprintf("envelopes of %.0f bytes batch-signed, %.0f bytes singly signed", s.BatchEnvelopeBytes, s.SingleEnvelopeBytes))
	}
	if s.VolumeRows > 0 {
		lines = append(lines, fmt.Sprintf("volumes: %s statements, a quarter of them of the producer asked for, %s cells; plan of the SQL: %s",
			grouped(s.VolumeRows), grouped(s.VolumeCells), s.VolumePlan))
	}
	return strings.Join(lines, "\n")
}

func (r *report) measurements() table.Writer {
	t := newTable("measurement", "", ">rounds", ">median", "unit", "without")
	for _, m := range r.Measurements {
		var rounds []string
		for _, s := range m.Rounds {
			rounds = append(rounds, figure(s.Value, m.Unit))
		}
		t.AppendRow(table.Row{m.Name, m.What, strings.Join(rounds, "\n"), figure(m.Median, m.Unit), m.Unit, m.Lacks})
	}
	t.Style().Options.SeparateRows = true
	return t
}

func (r *report) ratios() table.Writer {
	t := newTable("ratio, round by round", ">rounds", ">median", "wanted", "reached")
	for _, l := range r.Ratios {
		var rounds []string
		for _, v := range l.Rounds {
			rounds = append(rounds, fmt.Sprintf("%.2f", v))
		}
		t.AppendRow(table.Row{l.Ratio, strings.Join(rounds, "  "), fmt.Sprintf("%.2f", l.Median), l.Wanted, l.Reached})
	}
	return t
}

// newTable returns a table. Columns whose header begins with ">" are numbers;
// texts are broken to stay readable.
func newTable(header ...string) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	row := make(table.Row, len(header))
	var configs []table.ColumnConfig
	for i, h := range header {
		name, number := strings.CutPrefix(h, ">")
		row[i] = name
		config := table.ColumnConfig{Number: i + 1, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft}
		if number {
			config.Align, config.AlignHeader = text.AlignRight, text.AlignRight
		}
		configs = append(configs, config)
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(row)
	return t
}

// figure prints a value with the digits that mean something.
func figure(v float64, unit string) string {
	if unit == perSecond {
		return grouped(int(v + 0.5))
	}
	return fmt.Sprintf("%.3f", v)
}

// grouped prints a number with its thousands apart.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// joinPlan puts a plan on one line, outermost step first.
func joinPlan(lines []string) string {
	for i, l := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(l), "->"))
	}
	return strings.Join(lines, "; ")
}
