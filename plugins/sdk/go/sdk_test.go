package millrun

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/millrun/millrun/wasmhost/abi"
)

func TestRowsReadWhatTheHostWrites(t *testing.T) {
	headers := []abi.Header{{Key: "a", Value: []byte("1")}, {Key: "b", Value: nil}, {Key: "a", Value: []byte{}}}
	in := abi.AppendInputRow(nil, abi.WantRows, 17, 5, []byte("key"), nil, headers)
	in = abi.AppendInputRow(in, abi.WantValue, 17, 6, []byte("key"), []byte{}, headers)
	rows := NewRows(in)
	var r Record
	if !rows.Next(&r) || r.Timestamp != 17 || r.OffsetDelta != 5 || string(r.Key) != "key" || r.Value != nil || r.NumHeaders() != 3 {
		t.Errorf("first row %+v", r)
	}
	var got []string
	for k, v := range r.EachHeader {
		got = append(got, string(k)+"="+string(v))
		if string(k) == "b" && v != nil {
			t.Error("a null header is not null")
		}
	}
	if strings.Join(got, " ") != "a=1 b= a=" {
		t.Errorf("headers %v", got)
	}
	if v, ok := r.Header("a"); !ok || v == nil || len(v) != 0 {
		t.Errorf("the last of two headers: %q %v", v, ok)
	}
	if _, ok := r.Header("c"); ok {
		t.Error("found a header that is not there")
	}
	if !rows.Next(&r) || r.Timestamp != -1 || r.Key != nil || r.Value == nil || r.NumHeaders() != 0 || r.RawHeaders() != nil {
		t.Errorf("second row %+v", r)
	}
	if rows.Next(&r) {
		t.Error("a third row of two")
	}
}

func TestCallsAreReadAsTheHostWritesThem(t *testing.T) {
	want := abi.Call{Topic: "orders", Partition: 3, BaseOffset: 1 << 40, BaseTimestamp: -1}
	if got := parseCall(want.AppendContext(nil)); got != (Call{"orders", 3, 1 << 40, -1}) {
		t.Errorf("%+v", got)
	}
	if got := parseCall(nil); got != (Call{}) {
		t.Errorf("no call: %+v", got)
	}
}

func TestConfigurationIsReadLikeJSON(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { "a" : "b" , "c":"" } `, `{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d\ud83dx"}`, `{"a":"1","a":"2"}`, `{"é":"ü"}`,
	} {
		var want map[string]string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got, err := ParseConfig([]byte(text))
		if err != nil || !reflect.DeepEqual(map[string]string(got), want) {
			t.Errorf("%s: %q, want %q, %v", text, got, want, err)
		}
	}
	for _, text := range []string{``, `{`, `{"a"}`, `{"a":1}`, `{"a":"b",}`, `{"a":"b"}x`, `["a"]`, `{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"\n\"}", `{"a":"b" "c":"d"}`} {
		if got, err := ParseConfig([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}

func TestConfigureAnswersOneForARefusal(t *testing.T) {
	defer Register(Guest{})
	for _, c := range []struct {
		configure func(Config) error
		text      string
		want      int32
	}{
		{nil, `{}`, 0},
		{nil, `{"a":"b"}`, 1},
		{func(c Config) error { return c.Only("a") }, `{"a":"b"}`, 0},
		{func(c Config) error { return errors.New("no") }, `{}`, 1},
		{nil, `x`, 1},
	} {
		Register(Guest{Configure: c.configure})
		if got := configure([]byte(c.text)); got != c.want {
			t.Errorf("%s: %d", c.text, got)
		}
	}
}

func TestOutputsComeFromTheEnvironmentInOrder(t *testing.T) {
	if got := Outputs(); got != nil {
		t.Errorf("none: %v", got)
	}
	t.Setenv(abi.EnvOutputTopic+"0", "a")
	t.Setenv(abi.EnvOutputTopic+"1", "b")
	t.Setenv(abi.EnvOutputTopic+"3", "d")
	if got := Outputs(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("%v", got)
	}
}
