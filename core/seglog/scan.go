package seglog

import (
	"errors"

	"github.com/millrun/millrun/core/record"
)

// Scan calls fn for each batch from the one that holds from on, up to where the log ended at the call. fn gets the
// batch's header, of which only the 61 bytes of the fixed part are there; a control batch is there as a whole. The bytes
// are good until fn returns. Chains are checked; checksums only of control batches. An error of fn ends the scan and is returned.
func (l *Log) Scan(from record.Offset, fn func(h record.Batch) error) error {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return ErrClosed
	}
	list := l.list()
	from = max(from, list[0].base)
	for _, s := range list[find(list, from):] {
		if err := s.scan(from, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) scan(from record.Offset, fn func(h record.Batch) error) error {
	if err := s.ensure(); err != nil {
		return err
	}
	f, err := s.file.acquire()
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.file.release()
	size := s.size.Load()
	pos, ex, err := s.seek(f, from, size)
	if err != nil {
		return s.damaged(err)
	}
	w := s.newWalker(f, size)
	defer w.done()
	w.pos, w.ex, w.read = pos, ex, walkBuffer/4
	for {
		h, pos, n, err := w.next()
		if err != nil {
			return s.damaged(err)
		}
		if n == 0 {
			return nil
		}
		if h.IsControl() {
			if h, err = s.readBatch(f, pos, n); err != nil {
				return s.damaged(err)
			}
		}
		if err := fn(h); err != nil {
			return err
		}
	}
}
