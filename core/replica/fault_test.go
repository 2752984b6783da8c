package replica

import (
	"testing"

	"github.com/millrun/millrun/core/seglog/faultfs"
)

// faultOptions are testOptions on a file system that fails when it is told to.
func faultOptions(t testing.TB, set map[string]string) (*faultfs.FS, Options) {
	t.Helper()
	fs := faultfs.New()
	if err := fs.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	o := testOptions(t, set)
	o.FS, o.Dir = fs, "/data"
	return fs, o
}

// restart ends p, cleanly or by a crash that keeps the page cache, and opens it again.
func restart(t testing.TB, fs *faultfs.FS, p *Partition, o *Options, clean bool) *Partition {
	t.Helper()
	o.RecoveryPoint, o.Clean = p.RecoveryPoint(), nil
	if clean {
		mark, err := p.Close()
		if err != nil {
			t.Fatal(err)
		}
		o.Clean, o.RecoveryPoint = mark, mark.EndOffset
	}
	fs.Restart(faultfs.LoseNothing, nil)
	p = New(*o)
	if err := p.Failed(); err != nil {
		t.Fatal(err)
	}
	return p
}
