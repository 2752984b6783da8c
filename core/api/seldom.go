package api

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// seldom is a log in which each message comes once a second at most: what clients bring about, on a full disk every
// produce, must not fill the log. How many were left out is told with the next.
type seldom struct {
	slog.Handler
	said *said // shared by what With makes
}

type said struct {
	mu   sync.Mutex
	last map[string]saying // by message, of which the code has a few
}

type saying struct {
	at      time.Time
	leftOut int
}

func newSeldom(l *slog.Logger) *slog.Logger {
	return slog.New(seldom{l.Handler(), &said{last: map[string]saying{}}})
}

// Handle implements slog.Handler.
func (s seldom) Handle(ctx context.Context, r slog.Record) error {
	s.said.mu.Lock()
	last := s.said.last[r.Message]
	now := time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < time.Second {
		last.leftOut++
		s.said.last[r.Message] = last
		s.said.mu.Unlock()
		return nil
	}
	s.said.last[r.Message] = saying{at: now}
	s.said.mu.Unlock()
	if last.leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", last.leftOut))
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s seldom) WithAttrs(attrs []slog.Attr) slog.Handler {
	return seldom{s.Handler.WithAttrs(attrs), s.said}
}

// WithGroup implements slog.Handler.
func (s seldom) WithGroup(name string) slog.Handler { return seldom{s.Handler.WithGroup(name), s.said} }
