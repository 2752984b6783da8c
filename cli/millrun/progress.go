//go:build !windows

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress tells a person on a terminal what takes so long: from the second second on, one line on stderr that is drawn
// over itself and wiped away at the end. Where there is no terminal it says nothing.
type progress struct {
	stop chan struct{}
	done sync.WaitGroup
}

// showProgress begins to show what text returns, until finish.
func showProgress(stderr io.Writer, text func() string) *progress {
	p := &progress{stop: make(chan struct{})}
	f, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.done.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		drawn := false
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(f, "\r\x1b[K%s", text())
				drawn = true
			case <-p.stop:
				if drawn {
					fmt.Fprint(f, "\r\x1b[K")
				}
				return
			}
		}
	})
	return p
}

func (p *progress) finish() {
	close(p.stop)
	p.done.Wait()
}

// elapsed is a text that counts the seconds of a piece of work.
func elapsed(what string) func() string {
	began := time.Now()
	return func() string { return fmt.Sprintf("%s: %.0f s", what, time.Since(began).Seconds()) }
}
