package abi

import (
	"fmt"
	"strings"
)

// Wants says which columns of its records a guest is given.
type Wants uint32

const (
	WantRaw       Wants = 1 << iota // the records section of a v2 batch as it stands; a filter's default, alone
	WantKey                         // rows with the key
	WantValue                       // rows with the value
	WantHeaders                     // rows with the headers
	WantTimestamp                   // rows with the timestamp

	// WantRows is every column of a row: what a transform gets that does not say.
	WantRows = WantKey | WantValue | WantHeaders | WantTimestamp
)

// DefaultWants is what a module without millrun_wants gets.
func DefaultWants(filter bool) Wants {
	if filter {
		return WantRaw
	}
	return WantRows
}

// Raw reports whether records go over as they stand in the batch, not as rows.
func (w Wants) Raw() bool { return w&WantRaw != 0 }

// Has reports whether all columns of c are wanted.
func (w Wants) Has(c Wants) bool { return w&c == c }

// Check refuses what a module may not ask for. No bit at all is allowed: such a
// module gets rows that carry nothing but their offset delta.
func (w Wants) Check(filter bool) error {
	if unknown := w &^ (WantRaw | WantRows); unknown != 0 {
		return fmt.Errorf("%s returned %d: bits %#x are not known (RAW=1 KEY=2 VALUE=4 HEADERS=8 TIMESTAMP=16)",
			ExportWants, uint32(w), uint32(unknown))
	}
	if !w.Raw() {
		return nil
	}
	if !filter {
		return fmt.Errorf("%s returned %d: RAW is for filters, a transform gets rows", ExportWants, uint32(w))
	}
	if w != WantRaw {
		return fmt.Errorf("%s returned %d: RAW stands alone", ExportWants, uint32(w))
	}
	return nil
}

// String names the columns, as "key,value".
func (w Wants) String() string {
	names := [...]string{"raw", "key", "value", "headers", "timestamp"}
	var out []string
	for i, name := range names {
		if w&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ",")
}
