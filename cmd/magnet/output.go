package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// printJSON prints messages as protobuf JSON, one after another, each on lines
// of its own.
func (a *app) printJSON(messages ...proto.Message) error {
	for _, m := range messages {
		b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
		if err != nil {
			return err
		}
		var indented bytes.Buffer // protojson's own spacing varies on purpose
		if err := json.Indent(&indented, b, "", "  "); err != nil {
			return err
		}
		fmt.Fprintln(a.out, indented.String())
	}
	return nil
}

// say prints a line for people; with --json nothing.
func (a *app) say(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// newTable returns a table that render prints. Columns whose header begins with
// ">" are numbers and aligned right.
func (a *app) newTable(header ...string) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.Style().Options.SeparateColumns = false
	t.Style().Options.DrawBorder = false
	row := make(table.Row, len(header))
	var configs []table.ColumnConfig
	for i, h := range header {
		name, number := strings.CutPrefix(h, ">")
		row[i] = name
		if number {
			configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(row)
	return t
}

func row(cells ...any) table.Row { return cells }

func (a *app) render(t table.Writer) { fmt.Fprintln(a.out, t.Render()) }

// grouped returns a decimal number with a thin separation of thousands.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// bar returns a bar of the share part/whole of width characters, in eighths.
func bar(part, whole float64, width int) string {
	if whole <= 0 {
		return ""
	}
	eighths := int(part/whole*float64(width)*8 + 0.5)
	return strings.Repeat("█", eighths/8) + []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}[eighths%8]
}

// shortEnum returns an enum name without its prefix, in lower case.
func shortEnum(name, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}
