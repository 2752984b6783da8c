//go:build !windows

package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
)

func someCase() *savedCase {
	partition, offset, timestamp := int32(3), int64(42), int64(1_700_000_000_000)
	t := &trial{name: "f", moduleName: "m", module: []byte("\x00asm\x01\x00\x00\x00"), config: map[string]string{"a": "b c"}, inputs: []string{"in"},
		outputs: []string{"out", "other"}, memory: 1 << 20, timeout: time.Second}
	r := recordView{Topic: "in", Partition: &partition, Offset: &offset, Timestamp: &timestamp, Key: jsonBytes{0xff}, Headers: []headerView{{Key: "h"}}}
	return newCase(t, r, failureView{"trap", "module f: unreachable", "f\ng"}, time.UnixMilli(1_700_000_000_500).UTC())
}

// archive is a zip file of entries with these names and texts, in turn.
func archive(t testing.TB, entries ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		f, err := w.Create(entries[i])
		if err == nil {
			_, err = f.Write([]byte(entries[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestACaseIsReadAsItWasSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	saved := someCase()
	path, err := saved.save(dir)
	if err != nil || path != filepath.Join(dir, "f-in-3-42.millcase") || !isCase(path) {
		t.Fatalf("%s %v", path, err)
	}
	again, err := readCase(path)
	if err != nil || !reflect.DeepEqual(saved, again) {
		t.Fatalf("%+v was read as %+v, %v", saved, again, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
	saved.config.Name = "../" + strings.Repeat("x", 300)
	if name := saved.fileName(); len(name) > 255 || strings.Contains(name, "/") || !strings.HasSuffix(name, "-3-42.millcase") {
		t.Errorf("file name %s", name)
	}
}

func TestACaseThatIsNoneIsRefused(t *testing.T) {
	module := "\x00asm\x01\x00\x00\x00"
	config := `{"format":1,"module":{"sha256":"93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"},"outputs":["o"],"timeout":"1s"}`
	good := archive(t, caseConfigName, config, caseRecordName, "{}", caseModuleName, module)
	if _, err := decodeCase(good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	bomb := archive(t, caseConfigName, strings.Repeat(" ", maxCaseConfigBytes+1), caseRecordName, "{}", caseModuleName, module)
	for want, text := range map[string][]byte{
		"no archive":                 []byte("PK\x03\x04 and nothing more"),
		"record.json is missing":     archive(t, caseConfigName, config, caseModuleName, module),
		"config.json is there twice": archive(t, caseConfigName, config, caseConfigName, config, caseRecordName, "{}", caseModuleName, module),
		"format 2":                   archive(t, caseConfigName, strings.Replace(config, `:1`, `:2`, 1), caseRecordName, "{}", caseModuleName, module),
		"is not the module":          archive(t, caseConfigName, config, caseRecordName, "{}", caseModuleName, module+"x"),
		"config.json has more than":  bomb,
		"record.json: ":              archive(t, caseConfigName, config, caseRecordName, "[]", caseModuleName, module),
	} {
		if _, err := decodeCase(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
	for _, change := range []func(*caseConfig){
		func(c *caseConfig) { c.Timeout = "soon" },
		func(c *caseConfig) { c.Timeout = "-1s" },
		func(c *caseConfig) { c.Outputs = nil },
		func(c *caseConfig) { c.Inputs = make([]string, transform.MaxTopics+1) },
	} {
		s := someCase()
		change(&s.config)
		if _, err := s.trial(); err == nil {
			t.Errorf("%+v can be tried", s.config)
		}
	}
}

func FuzzDecodeCase(f *testing.F) {
	good, err := someCase().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(archive(f, caseConfigName, "{}", caseRecordName, "{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := decodeCase(text)
		if err != nil {
			return
		}
		if strings.Contains(s.fileName(), "/") || len(s.fileName()) > 255 {
			t.Fatalf("file name %q", s.fileName())
		}
		// Whether it can be tried or not, asking must do no harm.
		_, _ = s.trial()
		if again, err := s.encode(); err == nil {
			if _, err := decodeCase(again); err != nil {
				t.Fatalf("written again it is refused: %v", err)
			}
		}
	})
}

func TestAFileThatIsRebuiltIsSeenOnceItIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.wasm")
	when := time.UnixMilli(1_700_000_000_000)
	write := func(text string) {
		when = when.Add(time.Second)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	w := &watchedFile{path: path}
	looks := func(n int) (seen []string) {
		for range n {
			if module := w.look(); module != nil {
				seen = append(seen, string(module))
			}
		}
		return seen
	}
	if got := looks(3); got != nil {
		t.Errorf("a file that is not there: %q", got)
	}
	write("\x00asm1")
	if got := looks(2); got != nil {
		t.Errorf("before it has settled: %q", got)
	}
	write("\x00asm1, longer") // the compiler goes on writing
	if got := looks(8); len(got) != 1 || got[0] != "\x00asm1, longer" {
		t.Errorf("settled: %q", got)
	}
	write("\x00asm1, longer") // built again, the same
	if got := looks(8); got != nil {
		t.Errorf("the same bytes: %q", got)
	}
	write("no module")
	if got := looks(8); got != nil {
		t.Errorf("no module: %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	looks(3)
	write("\x00asm2")
	if got := looks(8); len(got) != 1 || got[0] != "\x00asm2" {
		t.Errorf("after it was gone: %q", got)
	}
}

func TestBytesAreShownOnALine(t *testing.T) {
	for _, test := range []struct {
		key, value jsonBytes
		want       string
	}{
		{nil, nil, "null"},
		{nil, jsonBytes("null"), `"null"`},
		{nil, jsonBytes{}, `""`},
		{jsonBytes("k"), jsonBytes(`{"a":1}`), `k={"a":1}`},
		{nil, jsonBytes("a\nb\x1b[2J"), `a\nb\x1b[2J`},
		{nil, jsonBytes{0xff, 'a'}, `\xffa`},
		{nil, jsonBytes(strings.Repeat("ä", 30)), strings.Repeat("ä", 19) + "…"},
		{nil, jsonBytes(strings.Repeat("x", 1<<20)), strings.Repeat("x", 19) + "…"},
	} {
		if got := recordText(recordView{Key: test.key, Value: test.value}, 20); got != test.want {
			t.Errorf("%q=%.30q is shown as %s, not %s", test.key, test.value, got, test.want)
		}
	}
}
