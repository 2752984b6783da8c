//go:build !windows

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
)

const (
	// watchInterval is how often a file is looked at.
	watchInterval = 200 * time.Millisecond
	// watchSettle is how many looks in a row must find it the same: a compiler writes it in pieces.
	watchSettle = 2
)

// watch runs once, and again whenever the file has been rebuilt, until the context ends. What fails is printed: the next
// build may mend it.
func (d *dryRun) watch(c *cli.Context) error {
	w := &watchedFile{path: d.file, last: sha256.Sum256(d.trial.module)}
	d.again(c)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.Context.Done():
			return nil
		case <-tick.C:
		}
		if module := w.look(); module != nil {
			if !d.asJSON {
				fmt.Fprintf(d.out, "\n%s was rebuilt at %s\n", d.file, time.Now().Format(time.TimeOnly))
			}
			d.trial.module = module
			d.again(c)
		}
	}
}

func (d *dryRun) again(c *cli.Context) {
	if err := d.run(c.Context); err != nil && c.Context.Err() == nil {
		fmt.Fprintf(c.App.ErrWriter, "millrun: %v\n", err)
	}
}

// watchedFile tells when a module has been written anew, and as a whole.
type watchedFile struct {
	path string
	last [sha256.Size]byte // of what was run

	size    int64
	written time.Time
	same    int // looks in a row that found the file as it was
}

// look returns the module if it has changed since it was returned last and has settled, else nil.
func (w *watchedFile) look() []byte {
	info, err := os.Stat(w.path)
	if err != nil {
		w.same = 0 // a build may remove it first
		return nil
	}
	if info.Size() != w.size || !info.ModTime().Equal(w.written) {
		w.size, w.written, w.same = info.Size(), info.ModTime(), 0
		return nil
	}
	if w.same++; w.same != watchSettle {
		return nil
	}
	module, err := os.ReadFile(w.path)
	if err != nil || int64(len(module)) != w.size || !bytes.HasPrefix(module, []byte("\x00asm")) {
		w.same = 0
		return nil
	}
	sum := sha256.Sum256(module)
	if sum == w.last {
		return nil
	}
	w.last = sum
	return module
}
