package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// specimen is a stopped log whose files a test damages, one byte at a time.
type specimen struct {
	o     seglog.Options
	c     seglog.Config
	files map[string][]byte
	want  []byte // all batches
	fs    *faultfs.FS
}

// makeSpecimen writes a log of two segments; the last batches of the last segment are small.
func makeSpecimen(t testing.TB, clean, flushed bool) *specimen {
	s := &specimen{fs: faultfs.New(), c: testConfig()}
	s.o = testOptions("/log")
	s.o.FS, s.o.Files = s.fs, seglog.NewFiles(10)
	s.c.SegmentBytes, s.c.IndexIntervalBytes = 3000, 400
	l := mustOpen(t, s.o, s.c)
	for i := range 30 {
		s.want = append(s.want, mustAppend(t, l, 1+i%3, 30)...)
	}
	if n := len(l.Segments()); n != 2 {
		t.Fatalf("%d segments", n)
	}
	if flushed {
		p, err := l.Flush()
		if err != nil {
			t.Fatal(err)
		}
		s.o.RecoveryPoint = p
	}
	if clean {
		s.o.Clean = mustClose(t, l)
		s.o.RecoveryPoint = s.o.Clean.EndOffset
	} else {
		s.fs.Restart(faultfs.LoseNothing, nil)
	}
	names, _ := s.fs.ReadDir("/log")
	s.files = map[string][]byte{}
	for _, n := range names {
		s.files[n], _ = s.fs.ReadFile("/log/" + n)
	}
	return s
}

// last returns the name and contents of the last segment's file with the suffix.
func (s *specimen) last(suffix string) (string, []byte) {
	var name string
	for n := range s.files {
		if _, x, _ := seglog.ParseFileName(n); x == suffix {
			name = max(name, n)
		}
	}
	return name, s.files[name]
}

// outcome opens the log with one file replaced, and reads it.
type outcome struct {
	openErr, readErr error
	r                seglog.Recovered
	got              []byte
}

func (s *specimen) try(name string, b []byte) outcome {
	for n, orig := range s.files {
		s.fs.WriteFile("/log/"+n, orig)
	}
	s.fs.WriteFile("/log/"+name, b)
	var out outcome
	l, r, err := seglog.Open(s.o, s.c)
	if out.openErr = err; err != nil {
		return out
	}
	out.r = r
	out.got, out.readErr = readAll(l, 1000)
	_, _ = l.Close()
	return out
}

// judge fails the test unless damage to the log was noticed and nothing but what was written was read.
func (s *specimen) judge(t *testing.T, what string, out outcome) {
	t.Helper()
	if !bytes.HasPrefix(s.want, out.got) {
		t.Fatalf("%s: something was read that was never written", what)
	}
	var d *seglog.DamageError
	for _, err := range []error{out.openErr, out.readErr} {
		if err != nil && !errors.As(err, &d) {
			t.Fatalf("%s: %v is no DamageError", what, err)
		}
	}
	if d == nil && out.r.TruncatedBytes == 0 {
		t.Fatalf("%s: not noticed", what)
	}
	if d != nil && (d.File == "" || d.Why == "") {
		t.Fatalf("%s: %v does not say where and why", what, d)
	}
}

// lastTwo is the position at which the last two batches begin.
func lastTwo(t testing.TB, b []byte) int {
	var at []int
	for rest := b; len(rest) > 0; {
		at = append(at, len(b)-len(rest))
		var err error
		if _, rest, err = record.Next(rest); err != nil {
			t.Fatal(err)
		}
	}
	return at[len(at)-2]
}

var stops = []struct {
	name           string
	clean, flushed bool
}{{"clean", true, true}, {"killed", false, false}, {"killed after a flush", false, true}}

func TestCuttingTheLastTwoBatchesAnywhereIsNoticed(t *testing.T) {
	for _, stop := range stops {
		s := makeSpecimen(t, stop.clean, stop.flushed)
		name, b := s.last(seglog.LogSuffix)
		two := lastTwo(t, b)
		for n := two; n < len(b); n++ {
			what := fmt.Sprintf("%s, cut at %d", stop.name, n)
			out := s.try(name, b[:n])
			if !stop.clean && !stop.flushed && out.openErr == nil && out.r.TruncatedBytes == 0 {
				// Cut exactly between batches, and nothing was ever promised: that is a log that ended there.
				if rest := b[n:]; record.Batch(rest).BaseOffset() == out.r.EndOffset && bytes.Equal(out.got, s.want[:len(s.want)-len(rest)]) {
					continue
				}
			}
			s.judge(t, what, out)
			if stop.flushed && out.openErr == nil {
				t.Fatalf("%s: opened, though flushed batches are gone", what)
			}
		}
	}
}

func TestFlippingAnyByteOfASegmentIsNoticed(t *testing.T) {
	for _, stop := range stops {
		s := makeSpecimen(t, stop.clean, stop.flushed)
		for _, suffix := range []string{seglog.LogSuffix} {
			name, last := s.last(suffix)
			for n, b := range s.files {
				if _, x, _ := seglog.ParseFileName(n); x != suffix {
					continue
				}
				two := lastTwo(t, last)
				for i := range b {
					bad := slices.Clone(b)
					masks := []byte{1 << (i % 8), 0x80}
					if n != name || i < two {
						masks = masks[:1]
					}
					for _, mask := range masks {
						bad[i] = b[i] ^ mask
						out := s.try(n, bad)
						s.judge(t, fmt.Sprintf("%s, %s, byte %d of %d ^ %#x", stop.name, n, i, len(b), mask), out)
						if n == name && i < two && out.openErr == nil && out.r.TruncatedBytes > 0 {
							t.Fatalf("%s: byte %d is before a valid batch, but was truncated away", stop.name, i)
						}
						if n == name && i >= two && stop.flushed && !stop.clean && out.openErr == nil {
							t.Fatalf("%s: opened with byte %d flipped", stop.name, i)
						}
					}
				}
			}
		}
	}
}

func TestDamageToIndexesChangesNothingThatIsRead(t *testing.T) {
	for _, stop := range stops {
		s := makeSpecimen(t, stop.clean, stop.flushed)
		for n, b := range s.files {
			if _, x, _ := seglog.ParseFileName(n); x != seglog.IndexSuffix && x != seglog.TimeIndexSuffix {
				continue
			}
			check := func(what string, bad []byte) {
				t.Helper()
				out := s.try(n, bad)
				if out.openErr != nil || out.readErr != nil || !bytes.Equal(out.got, s.want) || out.r.TruncatedBytes != 0 {
					t.Fatalf("%s, %s, %s: %+v", stop.name, n, what, out)
				}
				s.searchAll(t, n, bad)
			}
			for i := range b {
				check(fmt.Sprintf("cut at %d", i), b[:i])
				bad := slices.Clone(b)
				bad[i] ^= 0x10
				check(fmt.Sprintf("byte %d flipped", i), bad)
			}
			check("garbage behind", append(slices.Clone(b), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13))
		}
	}
}

// searchAll looks up offsets and timestamps in the log with one file replaced, in an order that uses the indexes.
func (s *specimen) searchAll(t *testing.T, name string, b []byte) {
	t.Helper()
	for n, orig := range s.files {
		s.fs.WriteFile("/log/"+n, orig)
	}
	s.fs.WriteFile("/log/"+name, b)
	l := mustOpen(t, s.o, s.c)
	for o := l.EndOffset() - 1; o >= 0; o -= 7 {
		// The batches' timestamps begin with their base offsets.
		got, ok, err := l.OffsetForTimestamp(testTime+int64(o), l.EndOffset())
		if err != nil || !ok || got.Offset != o || got.Timestamp != testTime+int64(o) {
			t.Fatalf("timestamp of %d: %+v, %v, %v", o, got, ok, err)
		}
		out, err := l.ReadInto(nil, o, l.EndOffset(), 1, true)
		if err != nil || record.Batch(out).BaseOffset() > o || record.Batch(out).LastOffset() < o {
			t.Fatalf("read at %d: %v", o, err)
		}
	}
	_, _ = l.Close()
}

func TestDamageInTheMiddleIsReportedAndLeftAlone(t *testing.T) {
	s := makeSpecimen(t, false, false)
	name, b := s.last(seglog.LogSuffix)
	bad := slices.Clone(b)
	bad[len(b)/2] ^= 0xff
	out := s.try(name, bad)
	var d *seglog.DamageError
	if !errors.As(out.openErr, &d) || d.File != "/log/"+name || d.Position > int64(len(b)/2) || d.Position < int64(len(b)/2)-400 {
		t.Fatalf("opened with %v", out.openErr)
	}
	if got, _ := s.fs.ReadFile("/log/" + name); !bytes.Equal(got, bad) {
		t.Fatal("the file was changed")
	}
	// The same in the first segment, with the second one whole.
	first := seglog.FileName(0, seglog.LogSuffix)
	bad = slices.Clone(s.files[first])
	bad[len(bad)-3] ^= 1
	if out = s.try(first, bad); !errors.As(out.openErr, &d) || d.File != "/log/"+first {
		t.Fatalf("opened with %v", out.openErr)
	}
}

func TestATornTailIsCutOffAndTheLogGoesOn(t *testing.T) {
	s := makeSpecimen(t, false, false)
	name, b := s.last(seglog.LogSuffix)
	for _, tail := range [][]byte{make([]byte, 5000), bytes.Repeat([]byte{2}, 3000), b[:100], {0}} {
		for n, orig := range s.files {
			s.fs.WriteFile("/log/"+n, orig)
		}
		s.fs.WriteFile("/log/"+name, append(slices.Clone(b), tail...))
		l, r, err := seglog.Open(s.o, s.c)
		if err != nil || r.TruncatedBytes != int64(len(tail)) {
			t.Fatalf("%+v %v", r, err)
		}
		want := append(slices.Clone(s.want), mustAppend(t, l, 3, 10)...)
		if got, err := readAll(l, 500); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes of %d: %v", len(got), len(want), err)
		}
		mustClose(t, l)
	}
}

func TestSegmentsThatAreMissingAreNoticed(t *testing.T) {
	for _, stop := range stops {
		s := makeSpecimen(t, stop.clean, stop.flushed)
		for n := range s.files {
			if _, x, _ := seglog.ParseFileName(n); x != seglog.LogSuffix {
				continue
			}
			for n, orig := range s.files {
				s.fs.WriteFile("/log/"+n, orig)
			}
			if err := s.fs.Remove("/log/" + n); err != nil {
				t.Fatal(err)
			}
			_, r, err := seglog.Open(s.o, s.c)
			var d *seglog.DamageError
			if errors.As(err, &d) {
				continue
			}
			// A log whose first segment is gone may have been retained so; one whose last is gone was never promised.
			if stop.clean || err != nil || r.StartOffset == 0 && stop.flushed {
				t.Fatalf("%s without %s: %+v, %v", stop.name, n, r, err)
			}
		}
	}
}

func TestADirectoryThatIsGoneIsDamageUnlessItHeldNothing(t *testing.T) {
	l, fs, _ := memLog(t, testConfig())
	o := testOptions("/log")
	o.FS, o.Clean = fs, mustClose(t, l)
	o.Clean.EndOffset, o.Clean.LastSegment = 7, 7 // as if retention had emptied it
	_ = fs.Remove("/log/" + seglog.FileName(0, seglog.LogSuffix))
	_ = fs.Remove("/log")
	l, r, err := seglog.Open(o, testConfig())
	if err != nil || !r.Created || r.StartOffset != 7 || r.EndOffset != 7 {
		t.Fatalf("%+v %v", r, err)
	}
	mustAppend(t, l, 1, 1)
	o.Clean = mustClose(t, l)
	o.Dir = "/elsewhere"
	if _, _, err := seglog.Open(o, testConfig()); !errors.As(err, new(*seglog.DamageError)) {
		t.Fatal(err)
	}
}

func TestWhatIsBeforeADamagedBatchIsStillServed(t *testing.T) {
	fs := faultfs.New()
	o := testOptions("/log")
	o.FS = fs
	c := testConfig()
	c.IndexIntervalBytes = 100 // only what is behind the last but one index entry is checked at the start
	l := mustOpen(t, o, c)
	var batches [][]byte
	at := 0
	for i := range 10 {
		b := mustAppend(t, l, 1, 50)
		batches = append(batches, b)
		if i < 5 {
			at += len(b)
		}
	}
	o.Clean = mustClose(t, l)
	path := o.Dir + "/" + seglog.FileName(0, seglog.LogSuffix)
	file, ok := fs.ReadFile(path)
	if !ok {
		t.Fatal("no segment")
	}
	file[at+len(batches[5])-1] ^= 1
	fs.WriteFile(path, file)
	l = mustOpen(t, o, c)
	defer l.Close()
	read := func(from record.Offset) ([]byte, error) { return l.ReadInto(nil, from, 10, 1<<20, true) }
	for range 2 {
		if got, err := read(0); err != nil || !bytes.Equal(got, bytes.Join(batches[:5], nil)) {
			t.Errorf("from 0: %d bytes, %v", len(got), err)
		}
		var damage *seglog.DamageError
		if got, err := read(5); !errors.As(err, &damage) || len(got) > 0 || damage.Position != int64(at) {
			t.Errorf("the damaged batch: %d bytes, %v", len(got), err)
		}
		if got, err := read(6); err != nil || !bytes.Equal(got, bytes.Join(batches[6:], nil)) {
			t.Errorf("from 6: %d bytes, %v", len(got), err)
		}
	}
}
