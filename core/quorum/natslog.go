package quorum

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// maxComplaints bounds what natsLogger remembers.
const maxComplaints = 3

// natsLogger hands the server's messages to slog. The server's own logger would end the process on Fatalf; this one
// only records, so whoever starts the server has to ask complaints.
type natsLogger struct {
	log *slog.Logger

	mu   sync.Mutex
	last []string // the newest warnings, errors and fatal errors
}

func (l *natsLogger) record(format string, args []any) string {
	msg := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == maxComplaints {
		l.last = l.last[:copy(l.last, l.last[1:])]
	}
	l.last = append(l.last, strings.TrimSpace(msg))
	return msg
}

// complaints is what the server has warned of last, "" if it has not.
func (l *natsLogger) complaints() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "; ")
}

// suffix is what the server has warned of last, to be put behind an error.
func (l *natsLogger) suffix() string {
	if c := l.complaints(); c != "" {
		return " (the server says: " + c + ")"
	}
	return ""
}

// The methods of server.Logger.
func (l *natsLogger) Noticef(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *natsLogger) Debugf(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *natsLogger) Tracef(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *natsLogger) Warnf(format string, args ...any)   { l.log.Warn(l.record(format, args)) }
func (l *natsLogger) Errorf(format string, args ...any)  { l.log.Error(l.record(format, args)) }
func (l *natsLogger) Fatalf(format string, args ...any)  { l.log.Error(l.record(format, args)) }
