//go:build unix

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// table collects the figures of one case: for each measure, what each broker showed in each of its turns.
type table struct {
	name, what string
	grid       [][]string // instead of all that follows: lines that are ready, the head first
	columns    []string   // what takes turns instead of the three brokers; each has its ratio to the first
	measures   []string
	figures    map[string]map[string][]float64 // measure, broker, one figure a turn
	failures   []string
}

func newTable(name, what string) *table {
	return &table{name: name, what: what, figures: map[string]map[string][]float64{}}
}

func (t *table) add(measure, broker string, figure float64) {
	if t.figures[measure] == nil {
		t.measures = append(t.measures, measure)
		t.figures[measure] = map[string][]float64{}
	}
	t.figures[measure][broker] = append(t.figures[measure][broker], figure)
}

// print writes the medians, and the median over the turns of each turn's ratio.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s  %s\n", t.name, t.what)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if t.grid != nil {
		for _, line := range t.grid {
			fmt.Fprintln(tw, "  "+strings.Join(line, "\t"))
		}
		tw.Flush()
		t.printFailures(w)
		return
	}
	if t.columns != nil {
		t.printColumns(tw)
		t.printFailures(w)
		return
	}
	fmt.Fprintln(tw, "  measure\tmillrun\tkafka\tnull\tmillrun/kafka\tmillrun/null\tturns")
	for _, m := range t.measures {
		f := t.figures[m]
		row := []string{"  " + m, number(f["millrun"]), number(f["kafka"]), number(f["null"]),
			ratio(f["millrun"], f["kafka"]), ratio(f["millrun"], f["null"]), fmt.Sprint(len(f["millrun"]))}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
	t.printFailures(w)
}

func (t *table) printFailures(w io.Writer) {
	for _, f := range t.failures {
		fmt.Fprintln(w, " ", f)
	}
}

func (t *table) printColumns(tw *tabwriter.Writer) {
	fmt.Fprintln(tw, "  measure\t"+strings.Join(t.columns, "\t"))
	for _, m := range t.measures {
		row := []string{"  " + m}
		for n, column := range t.columns {
			figure := number(t.figures[m][column])
			if n > 0 {
				figure += " (x" + ratio(t.figures[m][column], t.figures[m][t.columns[0]]) + ")"
			}
			row = append(row, figure)
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
}

func number(figures []float64) string {
	if len(figures) == 0 {
		return "-"
	}
	m := median(figures)
	switch {
	case m >= 100:
		return fmt.Sprintf("%.0f", m)
	case m >= 10:
		return fmt.Sprintf("%.1f", m)
	}
	return fmt.Sprintf("%.3g", m)
}

func ratio(a, b []float64) string {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", median(ratios))
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
