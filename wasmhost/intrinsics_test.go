package wasmhost

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

// flat is a guest's memory as far as host functions read it.
type flat struct {
	api.Memory
	b []byte
}

func (f flat) Read(offset, count uint32) ([]byte, bool) {
	if uint64(offset)+uint64(count) > uint64(len(f.b)) {
		return nil, false
	}
	return f.b[offset : offset+count : offset+count], true
}

// ask calls a host function with two pieces of memory, the second behind the first.
func ask(i *Instance, f func(*Instance, api.Memory, []uint64), a, b string) int64 {
	stack := []uint64{3, uint64(len(a)), uint64(3 + len(a)), uint64(len(b))}
	f(i, flat{b: []byte("???" + a + b)}, stack)
	return int64(stack[0])
}

func TestTheHostSearchesAndComparesForAGuest(t *testing.T) {
	i := &Instance{}
	for _, c := range []struct {
		text, needle string
		at           int32
	}{{"abcabc", "c", 2}, {"abc", "abcd", -1}, {"abc", "", 0}, {"", "", 0}, {"", "a", -1}} {
		if got := int32(ask(i, hostFind, c.text, c.needle)); got != c.at {
			t.Errorf("%q in %q: %d", c.needle, c.text, got)
		}
		want := int64(0)
		if c.text == c.needle {
			want = 1
		}
		if got := ask(i, hostEquals, c.text, c.needle); got != want {
			t.Errorf("%q equals %q: %d", c.needle, c.text, got)
		}
	}
}

func TestTheHostFindsAFieldForAGuest(t *testing.T) {
	i := &Instance{}
	text := ` {"a":{"b":[1,"x\n"]},"a":{"b":[2,"y"]}} `
	for path, want := range map[string]string{"a.b.1": `"y"`, "a.b": `[2,"y"]`, "a.c": "", "": "", "a..b": "", "a.b.2": "", strings.Repeat("a", pathBytes+1): ""} {
		for range 2 { // the second time with the path at hand
			got := ask(i, hostJSONField, text, path)
			if want == "" {
				if got != -1 {
					t.Errorf("%.10s: %#x", path, got)
				}
				continue
			}
			if at := strings.LastIndex(text, want); got != int64(at)<<32|int64(len(want)) {
				t.Errorf("%s: %#x, want %d", path, got, at)
			}
		}
	}
	if got := ask(i, hostJSONField, text+"x", "a"); got != -1 {
		t.Errorf("found %#x in what is no JSON", got)
	}
}

func TestPointersOutsideOfMemoryTrapInEveryHelper(t *testing.T) {
	for name, f := range map[string]func(*Instance, api.Memory, []uint64){"find": hostFind, "equals": hostEquals, "json_field": hostJSONField} {
		for _, stack := range [][]uint64{{0, 17, 0, 1}, {0, 1, 0, 17}, {0xffffffff, 1, 0, 1}, {0, 1, 0xfffffff0, 0xffffffff}, {17, 0, 0, 1}} {
			func() {
				defer func() {
					var fault *guestPanic
					if err, ok := recover().(error); !ok || !errors.As(err, &fault) || !strings.Contains(fault.Error(), "millrun."+name) {
						t.Errorf("%s with %x: %v", name, stack, err)
					}
				}()
				f(&Instance{}, flat{b: make([]byte, 16)}, stack)
			}()
		}
	}
}

// FuzzAFieldIsWhatJSONSays holds json_field to encoding/json's meaning of a text.
func FuzzAFieldIsWhatJSONSays(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,-0.5e+3,"\ud83d\ude00",true,null]},"b":"x"}`), "a.b.2")
	f.Add([]byte(`[[],{},"",{"a":1}]`), "3.a")
	f.Add([]byte(`{"a":1,"\u0061":2}`), "a")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > 1000 {
			return
		}
		got := ask(&Instance{}, hostJSONField, string(text), path)
		if got == -1 {
			return
		}
		at, size := int(got>>32), int(uint32(got))
		if at < 0 || at+size > len(text) || !json.Valid(text) || !json.Valid(text[at:at+size]) {
			t.Fatalf("%q of %q: %d bytes at %d", path, text, size, at)
		}
		var whole map[string]any
		var field any
		if strings.Contains(path, ".") || !utf8.Valid(text) || !utf8.ValidString(path) || bytes.Contains(text, []byte(`\u`)) || // halves of pairs
			json.Unmarshal(text, &whole) != nil || json.Unmarshal(text[at:at+size], &field) != nil {
			return
		}
		want, _ := json.Marshal(whole[path])
		if have, _ := json.Marshal(field); !bytes.Equal(have, want) {
			t.Fatalf("%q of %q: %s, encoding/json has %s", path, text, have, want)
		}
	})
}
