package replica

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrun/millrun/core/seglog"
)

// removing is a file system that tells of the first removal.
type removing struct {
	seglog.FS
	once  sync.Once
	first func()
}

func (r *removing) Remove(name string) error {
	if strings.Contains(name, deleteSuffix) {
		r.once.Do(r.first)
	}
	return r.FS.Remove(name)
}

func TestAStopDoesNotWaitForAllDeletedDirectoriesToBeRemoved(t *testing.T) {
	w := newWorld(t, map[string]string{"log.segment.delete.delay.ms": "0"})
	fs := &removing{FS: seglog.OS()}
	fs.first = func() {
		go w.store.upkeep.stop()
		<-w.store.upkeep.quit
	}
	w.cfg.FS = fs
	w.start()
	const topics = 20
	for i := range topics {
		id := w.create(fmt.Sprint("t", i), 1, nil)
		mustAppend(t, w.get(fmt.Sprint("t", i), 0), shape{})
		w.delete(id)
	}
	w.store.upkeep.removeTrash()
	if left := len(w.dirs()); left < topics-1 {
		t.Errorf("%d of %d directories were removed though the store is stopping", topics-left, topics)
	}
	w.stop()
	w.cfg.FS = nil
	w.start()
	w.store.upkeep.removeTrash()
	if left := w.dirs(); len(left) > 0 {
		t.Errorf("the next start leaves %q", left)
	}
}
