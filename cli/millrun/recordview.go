//go:build !windows

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordView is a record as JSON: what consume prints, what produce and wasm test read.
type recordView struct {
	Topic     string       `json:"topic,omitempty"`
	Partition *int32       `json:"partition,omitempty"`
	Offset    *int64       `json:"offset,omitempty"`
	Timestamp *int64       `json:"timestamp,omitempty"`
	Key       jsonBytes    `json:"key"`
	Value     jsonBytes    `json:"value"`
	Headers   []headerView `json:"headers"`
}

type headerView struct {
	Key   string    `json:"key"`
	Value jsonBytes `json:"value"`
}

func viewRecord(r *kgo.Record) recordView {
	timestamp := r.Timestamp.UnixMilli()
	v := recordView{Topic: r.Topic, Partition: &r.Partition, Offset: &r.Offset, Timestamp: &timestamp, Key: r.Key, Value: r.Value, Headers: []headerView{}}
	for _, h := range r.Headers {
		v.Headers = append(v.Headers, headerView{Key: h.Key, Value: h.Value})
	}
	return v
}

// matches says whether v is what the line of an expectation asks for: key and value always count, other fields if they are there.
func (v recordView) matches(want recordView) bool {
	if !equalBytes(v.Key, want.Key) || !equalBytes(v.Value, want.Value) {
		return false
	}
	if want.Topic != "" && v.Topic != want.Topic {
		return false
	}
	for _, pair := range [][2]*int64{{v.Timestamp, want.Timestamp}, {v.Offset, want.Offset}} {
		if pair[1] != nil && (pair[0] == nil || *pair[0] != *pair[1]) {
			return false
		}
	}
	if want.Partition != nil && (v.Partition == nil || *v.Partition != *want.Partition) {
		return false
	}
	return want.Headers == nil || slices.EqualFunc(v.Headers, want.Headers, func(a, b headerView) bool {
		return a.Key == b.Key && equalBytes(a.Value, b.Value)
	})
}

// equalBytes tells null from empty.
func equalBytes(a, b jsonBytes) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// jsonBytes is a string where the bytes are UTF-8, {"base64":"..."} where they are not, and null where there are none.
type jsonBytes []byte

func (b jsonBytes) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("null"), nil
	}
	if !utf8.Valid(b) {
		return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(b)})
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(string(b))
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

func (b *jsonBytes) UnmarshalJSON(text []byte) error {
	var s *string
	if err := json.Unmarshal(text, &s); err == nil {
		*b = nil
		if s != nil {
			*b = append(jsonBytes{}, *s...)
		}
		return nil
	}
	var encoded struct {
		Base64 *string `json:"base64"`
	}
	if err := json.Unmarshal(text, &encoded); err != nil || encoded.Base64 == nil {
		return fmt.Errorf("%.40s: a key or value is a string, null, or {\"base64\":\"...\"}", text)
	}
	decoded, err := base64.StdEncoding.DecodeString(*encoded.Base64)
	*b = append(jsonBytes{}, decoded...)
	return err
}
