package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Bytes are a record's key or value in JSON: null if there is none, a string if it is UTF-8, else {"base64":"..."}.
type Bytes []byte

type base64Bytes struct {
	Base64 *[]byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	}
	plain := []byte(b)
	return json.Marshal(base64Bytes{&plain})
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	text = bytes.TrimSpace(text)
	switch {
	case bytes.Equal(text, []byte("null")):
		*b = nil
		return nil
	case len(text) > 0 && text[0] == '"':
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*b = Bytes(s)
		return nil
	}
	var encoded base64Bytes
	if err := json.Unmarshal(text, &encoded); err != nil {
		return err
	}
	if encoded.Base64 == nil {
		return fmt.Errorf("%.40q is neither null, a string nor {\"base64\":...}", text)
	}
	*b = *encoded.Base64
	return nil
}

// equal tells null from empty.
func (b Bytes) equal(other Bytes) bool {
	return (b == nil) == (other == nil) && bytes.Equal(b, other)
}

// cloneBytes copies what is there; nil stays nil, and empty stays empty.
func cloneBytes(b []byte) Bytes {
	if b == nil {
		return nil
	}
	return append(Bytes{}, b...)
}
