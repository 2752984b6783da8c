//go:build !windows

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// column is a column of a table.
type column struct {
	title string
	right bool // numbers
	// spare says that the table may do without it: the columns with the highest number go first when it is too wide.
	spare int
}

// table is rows of cells that line up.
type table struct {
	columns []column
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

const gap = 2

// write prints the table. If it is wider than width, spare columns are left out; 0 is any width.
func (t *table) write(w io.Writer, width int) error {
	widths := make([]int, len(t.columns))
	total := -gap
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i] + gap
	}
	hidden := make([]bool, len(t.columns))
	for width > 0 && total > width {
		spare := 0
		for i, c := range t.columns {
			if !hidden[i] && c.spare > t.columns[spare].spare {
				spare = i
			}
		}
		if t.columns[spare].spare == 0 || hidden[spare] {
			break
		}
		hidden[spare], total = true, total-widths[spare]-gap
	}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	var out strings.Builder
	for _, row := range slices.Concat([][]string{titles}, t.rows) {
		var line strings.Builder
		for i, cell := range row {
			if hidden[i] {
				continue
			}
			if line.Len() > 0 {
				line.WriteString(strings.Repeat(" ", gap))
			}
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.columns[i].right {
				line.WriteString(blank + cell)
			} else {
				line.WriteString(cell + blank)
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// widthOf is how many columns fit on a line of w: those of the terminal, or what COLUMNS says; 0 if nobody does.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	width, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || width < 0 {
		return 0
	}
	return width
}

// printable replaces what a terminal would obey: some texts are written by guests.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' {
			return utf8.RuneError
		}
		return r
	}, text)
}

// wrapped prints a text behind a label, broken between words where it is wider than width (0 is any), its lines below
// each other.
func wrapped(w io.Writer, label, text string, width int) {
	indent, line := len(label), label
	for _, word := range strings.Fields(printable(text)) {
		if width > 0 && len(line) > indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", indent)
		}
		if len(line) > indent {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}
