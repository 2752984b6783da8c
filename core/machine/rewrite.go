package machine

import (
	"context"

	"github.com/millrun/millrun/core/record"
)

// rewriteRatio is how many times the records of the state the log may hold before it is rewritten.
const rewriteRatio = 4

// maybeRewrite shortens the log when it holds many times the records of the state: the state is appended again in full
// and, once that is committed, everything in front of it is trimmed. A crash on the way leaves a longer log with the
// same meaning.
func (l *Loop[O, R]) maybeRewrite() {
	if l.logged < l.rewriteAt {
		return
	}
	if n := l.shard.Len(); l.logged < rewriteRatio*n {
		l.rewriteAt = rewriteRatio * n
		return
	}
	_, from, err := l.cfg.Log.Bounds()
	before := l.logged
	if err != nil || !l.appendState() || l.shard == nil {
		return
	}
	l.rewriteAt = l.cfg.RewriteAfter
	ctx, cancel := context.WithTimeout(l.ctx, l.cfg.AckTimeout)
	defer cancel()
	if err := l.trim(ctx, from); err != nil {
		l.cfg.Logger.Warn("log not trimmed", "shard", l.cfg.Name, "to", int64(from), "error", err)
		l.rewriteAt = 2 * l.logged
		return
	}
	l.logged -= before
	l.cfg.Logger.Debug("log rewritten", "shard", l.cfg.Name, "records", l.logged, "before", before)
}

func (l *Loop[O, R]) trim(ctx context.Context, to record.Offset) error {
	if l.appended >= to && !l.cfg.Log.Acked(l.appended) {
		if err := l.cfg.Log.WaitAcked(ctx, l.appended); err != nil {
			return err
		}
	}
	return l.cfg.Log.Trim(to)
}

// appendState appends the shard's durable state to the log. False: an append failed, and the shard with it.
func (l *Loop[O, R]) appendState() bool {
	now := l.now()
	for r := range l.shard.Durable() {
		if !l.put(now, r) {
			return false
		}
	}
	return l.flush()
}
