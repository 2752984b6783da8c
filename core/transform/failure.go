package transform

import (
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/record"
)

// cause is what kind of thing went wrong with records.
type cause int8

const (
	causeGuest   cause = iota // a call of the guest: trap, time, failure, bad output
	causeStart                // no instance could be started
	causeDamaged              // the batch cannot be read
	causeOutput               // an output topic takes no such records, and never will
)

// failure is why records could not be processed. Everything before first was. The refusal of an output is about some of
// the records from first to last, which are n.
type failure struct {
	cause       cause
	first, last record.Offset
	n           int // how many records failed together
	err         error
	unclear     bool // which of the records it is about can only be told when they are tried again, one by one
}

func (f *failure) Error() string { return fmt.Sprintf("offsets %d to %d: %v", f.first, f.last, f.err) }
func (f *failure) Unwrap() error { return f.err }

// errNoCounterpart is wrapped when an output topic lacks the partition that a record has to go to.
var errNoCounterpart = errors.New("no such partition")

// errStuck is returned by a step that read a batch and got nowhere.
var errStuck = errors.New("the stored batch does not lead on to another offset")
