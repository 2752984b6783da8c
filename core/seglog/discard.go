package seglog

// Discard closes the log without making anything durable: its directory is about to be deleted. There is no mark.
func (l *Log) Discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life.Lock()
	defer l.life.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for _, s := range l.list() {
		s.file.doom()
	}
}
