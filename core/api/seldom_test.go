package api

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatClientsBringAboutDoesNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newSeldom(slog.New(slog.NewTextHandler(&out, nil)))
		for range 100 {
			l.Error("cannot append", "err", "full")
			l.With("a", 1).Error("cannot append", "err", "full")
		}
		l.Warn("cannot read")
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines at once:\n%s", n, &out)
		}
		out.Reset()
		time.Sleep(time.Second)
		l.Error("cannot append")
		l.Error("cannot append")
		time.Sleep(time.Second)
		l.Error("cannot append")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.HasSuffix(lines[0], "left_out=199") || !strings.HasSuffix(lines[1], "left_out=1") {
			t.Errorf("later:\n%s", &out)
		}
	})
}
