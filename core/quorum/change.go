package quorum

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/millrun/millrun/core/meta"
)

// batch is an append: the changes that were decided while the one before it was under way. Guarded by Log.mu until it
// is sent; then data and id are immutable.
type batch struct {
	*step    // what the state will be; img grows with each command
	commands []meta.Command
	size     int // of the commands, encoded

	id       string
	serial   uint64
	data     []byte
	started  time.Time
	sent     time.Time
	repeated bool  // sent more than once
	refused  error // the answer, if it was no
}

// errAgain says that what a change was decided on has not come about.
var errAgain = errors.New("decide again")

// Change lets decide make a command for the newest image, appends it, and returns when this broker has applied and
// reconciled it: the image returned contains it. If others change the cluster at the same time, decide is called again
// on what came of that; it is never called twice at once, nor after Change has returned, and it must not call Change.
// When it returns an error that is Change's; a nil command or ErrNothing means that nothing has to be changed. Either
// answer waits for the state that it was derived from.
//
// Other errors: meta.ErrTooLarge, ErrUnavailable (nothing was changed; with meta.ErrNoSpace on a full disk), ErrUnknownOutcome (with the context's error, if
// that ended while the command was on its way), ErrClosed, and whatever has stopped the log.
func (l *Log) Change(ctx context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		on, appended, err := l.decide(decide)
		if on == nil {
			return nil, err
		}
		waited := l.wait(ctx, on)
		switch {
		case errors.Is(waited, errAgain):
			l.stats.conflicts.Add(1)
		case waited != nil && waited == ctx.Err() && appended:
			return nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, waited)
		case waited != nil:
			return nil, waited
		case err == nil:
			return l.Image(), nil
		case !errors.Is(err, errAgain):
			return nil, err
		}
	}
}

// wait waits until the step is reconciled, or never will be.
func (l *Log) wait(ctx context.Context, s *step) error {
	select {
	case <-s.done:
		return s.err
	default:
	}
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decide calls decide on the newest state, be it only expected, and adds its command to the append that comes next. The
// step returned is the one to wait for, with whose error nothing of this holds; the error is to be returned after that.
// errAgain means that there was no room. Without a step the error is final.
func (l *Log) decide(decide func(*meta.Image) (meta.Command, error)) (on *step, appended bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, false, l.failed
	}
	base := l.top
	if l.flying != nil {
		base = l.flying.step
	}
	if l.open != nil {
		base = l.open.step
	}
	c, err := decide(base.img)
	if err == nil && c == nil || errors.Is(err, ErrNothing) {
		return base, false, nil
	}
	if err != nil {
		return base, false, err
	}
	encoded := meta.AppendCommand(nil, c)
	if len(encoded) > meta.MaxCommandSize {
		return nil, false, fmt.Errorf("%w: %d bytes, at most %d", meta.ErrTooLarge, len(encoded), meta.MaxCommandSize)
	}
	if err := l.checkRoom(c); err != nil {
		return nil, false, err
	}
	if l.open != nil && (l.open.size+len(encoded) > meta.MaxCommandSize || len(l.open.commands) == maxBatch) {
		return l.flying.step, false, errAgain
	}
	if c, err = meta.DecodeCommand(encoded); err != nil { // the caller may go on using what the command refers to
		return nil, false, fmt.Errorf("metadata log: own command: %w", err)
	}
	on, err = l.add(base, c, len(encoded))
	if err != nil {
		return base, false, err
	}
	return on, true, nil
}

// add puts a command into the open batch, and sends that if nothing is under way.
func (l *Log) add(base *step, c meta.Command, size int) (*step, error) {
	if l.open == nil {
		img, err := meta.Apply(base.img, base.seq+1, c)
		if err != nil {
			return nil, err
		}
		l.open = &batch{step: &step{seq: base.seq + 1, img: img, done: make(chan struct{})}}
	} else {
		img, err := meta.ApplyMore(l.open.img, c)
		if err != nil {
			return nil, err
		}
		l.open.img = img
	}
	b := l.open
	b.commands = append(b.commands, c)
	b.size += size + 8
	if l.flying == nil {
		l.send()
	}
	return b.step, nil
}

// send appends the open batch, whose base has become the top.
func (l *Log) send() {
	b := l.open
	l.open, l.flying = nil, b
	var c meta.Command = &meta.Batch{Commands: b.commands}
	if len(b.commands) == 1 {
		c = b.commands[0]
	}
	command := meta.AppendCommand(nil, c)
	l.serial++
	b.serial = l.serial
	b.id = l.prefix + strconv.FormatUint(b.serial, 36)
	b.data = l.top.chain.seal(command)
	b.chain = l.top.chain.next(b.seq, command)
	b.started = time.Now()
	l.publish(b)
}

func (l *Log) publish(b *batch) {
	b.sent = time.Now()
	if err := l.node.publish(l.inbox+"."+strconv.FormatUint(b.serial, 10), b.id, b.seq-1, b.data); err != nil {
		l.refuse(b, fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
}

// answered takes the stream's answers to appends. A yes is not used: that the command is committed is known when it is
// read. A no is not final either: the stream refuses a repeated append, since it has its sequence already.
func (l *Log) answered(msg *nats.Msg) {
	serial, err := strconv.ParseUint(msg.Subject[len(l.inbox)+1:], 10, 64)
	if err != nil {
		return
	}
	if err := parseAnswer(msg); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.flying != nil && l.flying.serial == serial {
			l.refuse(l.flying, err)
		}
	}
}

// refuse notes that an append was refused and lets the apply goroutine find out what became of it.
func (l *Log) refuse(b *batch, err error) {
	b.refused = err
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// void ends the batches that are under way: what they were decided on has not come about.
func (l *Log) void(err error) {
	for _, b := range []*batch{l.flying, l.open} {
		if b != nil {
			b.err = err
			close(b.done)
		}
	}
	l.flying, l.open = nil, nil
}

// settle finds out what became of a refused append: the log is read to its end, and if the append is not there nor
// another in its place, it never will be. The refusal has to be known before the reading begins: a later one may be of an
// append, or a repetition of one, that was stored when the end had been read.
func (l *Log) settle() error {
	l.mu.Lock()
	b := l.flying
	if b == nil || b.refused == nil {
		l.mu.Unlock()
		return nil
	}
	refused := b.refused
	l.mu.Unlock()
	err := l.fill()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.flying != b: // it was there, or another
	case errors.Is(refused, errNoStream) && b.repeated: // nobody took it now, but perhaps before
		l.void(fmt.Errorf("%w: append: %w%s", ErrUnknownOutcome, refused, l.node.log.suffix()))
	case errors.Is(refused, errNoStream): // nobody was there to take it, so reading is not needed
		l.void(fmt.Errorf("metadata log: append: %w%s", refused, l.node.log.suffix()))
	case err != nil:
	case errors.Is(refused, errConflict):
		l.void(errAgain)
	default:
		l.void(fmt.Errorf("metadata log: append: %w%s", refused, l.node.log.suffix()))
	}
	if errors.Is(err, errNoStream) {
		return nil
	}
	return err
}

// resend repeats an append that nobody has answered; it has the same id and expects the same sequence, so that it cannot
// happen twice.
func (l *Log) resend(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.flying
	switch {
	case b == nil:
	case now.Sub(b.started) > giveUpAfter:
		l.void(fmt.Errorf("%w: the stream does not answer%s", ErrUnknownOutcome, l.node.log.suffix()))
	case b.refused != nil: // and the log could not be read then
		l.refuse(b, b.refused)
	case now.Sub(b.sent) < resendAfter:
	default:
		l.stats.resends.Add(1)
		b.repeated = true
		l.publish(b)
	}
}
