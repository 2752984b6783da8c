package millrun

// What the host does for a guest, as Go has no SIMD in WebAssembly. A call costs about
// as much as looking at thirty bytes in Go; outside of WebAssembly they are Go.

// Find is where needle first lies in text, or -1; an empty one lies at 0.
func Find(text, needle []byte) int { return hostFind(text, needle) }

// Contains tells whether needle lies in text. Nil, which is null, contains nothing.
func Contains(text, needle []byte) bool { return text != nil && hostFind(text, needle) >= 0 }

// Equal tells whether two slices hold the same bytes; for long ones.
func Equal(a, b []byte) bool { return len(a) == len(b) && hostEquals(a, b) }

// Field finds the value at a dotted path ("customer.addresses.0.city") of a JSON text,
// as it stands there: with its quotes and escapes, if it is a string. It is nil if
// there is none, if the text, anywhere, is no JSON, or if the path is none. Of a key
// that an object holds twice the last counts.
func Field(text []byte, path string) []byte {
	at, size, ok := hostJSONField(text, path)
	if !ok {
		return nil
	}
	return text[at : at+size : at+size]
}
