package transform

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// The headers of a dead letter, behind the record's own, in this order: spec/dead-letters.md.
const (
	headerDeployment = "millrun.dlq.deployment"
	headerTopic      = "millrun.dlq.topic"
	headerPartition  = "millrun.dlq.partition"
	headerOffset     = "millrun.dlq.offset"
	headerReason     = "millrun.dlq.reason"
	headerError      = "millrun.dlq.error"
	headerStack      = "millrun.dlq.stack"
	headerModule     = "millrun.dlq.module"
	headerSHA256     = "millrun.dlq.module.sha256"
	headerVersion    = "millrun.dlq.module.version"
	headerFailedAt   = "millrun.dlq.failed-at"
	headerAttempts   = "millrun.dlq.attempts"
)

// What a dead letter's headers may hold, listed in spec/limits.md.
const (
	maxLetterErrorBytes = 4 << 10
	maxLetterStackBytes = 8 << 10
	maxLetterNameBytes  = 256
)

// reasonOutput is a letter's reason when an output topic did not take what the guest made; all others are the host's words.
const reasonOutput = "output refused"

// DeadLetter is what the headers of a dead letter say about the record that failed.
type DeadLetter struct {
	Deployment string
	Topic      string // where the record was read, as the two below
	Partition  int32
	Offset     int64
	Reason     string // what kind of failure: trap, timeout, memory, exit, failure, bad output, output refused
	Error      string // its text
	Stack      string // the guest's functions, innermost first, one a line; "" if there was none
	Module     string
	SHA256     string // of the module, in hexadecimal
	Version    int32
	FailedAt   time.Time
	Attempts   int // how often the record was given to the guest, replays included
}

// newDeadLetter describes the failure of a record in the words of whoever runs the guest.
func newDeadLetter(deployment string, module meta.ModuleRef, tp TopicPartition, f *failure, attempts int) DeadLetter {
	l := DeadLetter{
		Deployment: deployment, Topic: tp.Topic, Partition: tp.Partition, Offset: int64(f.first), Reason: "failure",
		Error: cut(f.err.Error(), maxLetterErrorBytes), Module: cut(module.Name, maxLetterNameBytes), SHA256: module.SHA256, Version: module.Version,
		FailedAt: time.Now().UTC().Truncate(time.Millisecond), Attempts: attempts,
	}
	var kind interface{ GuestFailure() string }
	var stack interface{ GuestStack() string }
	switch {
	case f.cause == causeOutput:
		l.Reason = reasonOutput
	case errors.As(f.err, &kind):
		l.Reason = cut(kind.GuestFailure(), maxLetterNameBytes)
	}
	if errors.As(f.err, &stack) {
		l.Stack = cut(stack.GuestStack(), maxLetterStackBytes)
	}
	return l
}

// cut bounds a text that a guest had a hand in, and keeps it UTF-8.
func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

// appendHeaders appends the letter's headers to the record's own.
func (l *DeadLetter) appendHeaders(own []record.Header) []record.Header {
	add := func(key, value string) { own = append(own, record.Header{Key: key, Value: []byte(value)}) }
	add(headerDeployment, l.Deployment)
	add(headerTopic, l.Topic)
	add(headerPartition, strconv.FormatInt(int64(l.Partition), 10))
	add(headerOffset, strconv.FormatInt(l.Offset, 10))
	add(headerReason, l.Reason)
	add(headerError, l.Error)
	if l.Stack != "" {
		add(headerStack, l.Stack)
	}
	add(headerModule, l.Module)
	add(headerSHA256, l.SHA256)
	add(headerVersion, strconv.FormatInt(int64(l.Version), 10))
	add(headerFailedAt, l.FailedAt.Format(time.RFC3339Nano))
	add(headerAttempts, strconv.Itoa(l.Attempts))
	return own
}

// ReadDeadLetter parts the headers of a record into its own and the letter's. ok is false if the record is no dead letter:
// where it was read cannot be told. A record that was a dead letter before it was read keeps those headers as its own.
func ReadDeadLetter(headers []record.Header) (own []record.Header, l DeadLetter, ok bool) {
	begin := -1
	for i, h := range headers {
		if h.Key == headerDeployment {
			begin = i
		}
	}
	if begin < 0 {
		return headers, l, false
	}
	l.Deployment = string(headers[begin].Value)
	found := 0 // of topic, partition, offset
	number := func(s string, bits int) int64 {
		n, err := strconv.ParseInt(s, 10, bits)
		if err != nil || n < 0 {
			found = -len(headers) // no letter, whatever follows
			return 0
		}
		return n
	}
	for _, h := range headers[begin+1:] {
		value := string(h.Value)
		switch h.Key {
		case headerTopic:
			l.Topic, found = value, found+1
		case headerPartition:
			found++
			l.Partition = int32(number(value, 32))
		case headerOffset:
			found++
			l.Offset = number(value, 64)
		default:
			l.readRest(h.Key, value)
		}
	}
	return headers[:begin:begin], l, found == 3 && meta.CheckTopicName(l.Topic) == nil
}

// readRest reads what a letter can do without; what is not understood is left out.
func (l *DeadLetter) readRest(key, value string) {
	switch key {
	case headerReason:
		l.Reason = value
	case headerError:
		l.Error = value
	case headerStack:
		l.Stack = value
	case headerModule:
		l.Module = value
	case headerSHA256:
		l.SHA256 = value
	case headerVersion:
		n, _ := strconv.ParseInt(value, 10, 32)
		l.Version = int32(n)
	case headerFailedAt:
		l.FailedAt, _ = time.Parse(time.RFC3339Nano, value)
	case headerAttempts:
		n, _ := strconv.ParseInt(value, 10, 32)
		l.Attempts = int(max(n, 0))
	}
}
