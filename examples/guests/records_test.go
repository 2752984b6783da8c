package guests

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/millrun/millrun/wasmhost/abi"
)

// record is one record of the test, with nil for a null key or value.
type record struct {
	timestamp  int64
	key, value []byte
	headers    []abi.Header
}

// orders are records that are meant: what a transform of orders and a filter are asked about.
func orders() []record {
	var all []record
	for n, value := range []string{
		`{"id":"o-1","total":12.5,"status":"paid","at":1700000000000,"customer":{"email":"ann@example.org","country":"NL"}}`,
		`{"id":2,"total":250,"customer":{"email":"a@b@c","country":"N\u004c"}}`,
		`{"id":"o-\u00e9\ud83d\ude00\ud83d","total":100.00,"status":"open","customer":{"email":"nobody","country":""}}`,
		`{"id":"","total":99.99,"at":"1","customer":{"email":7,"country":null}}`, `{"id":"","total":1e3}`,
		`{"id":"","total":100}`, `{"id":null,"total":0}`, `{"id":{"a":[1,2]},"total":123456789012.99}`, `{"id":1,"total":1234567890123}`,
		`{"id":1,"total":-1}`, `{"id":1,"total":0.123}`, `{"id":1,"total":"12"}`, `{"id":1}`, `{"total":1}`,
		`{"id":1,"total":500,"status":"cancelled"}`, `{"id":1,"total":500,"status":"c\u0061ncelled"}`, `{"id":1,"total":500,"status":"cancelled "}`,
		`{"id":1,"id":2,"total":1,"total":2,"customer":{"country":"NL"},"customer":{}}`, `{"i\u0064":"key with an escape","total":3}`,
		`{"id":1,"total":5,"at":999999999999999}`, `{"id":1,"total":5,"at":1000000000000000}`, `{"id":1,"total":5,"at":-5}`, `{"id":1,"total":5,"at":007}`,
		` { "id" : 1 ,` + "\n\t\r" + ` "total" : 5.0 } `, `{"id":1,"total":5}x`, `{"id":1,"total":5,}`, `{"id":1,"total":5`, `[{"id":1}]`, `{}`, `[]`, `""`, `1`, ``, ` `,
		`{"id":1,"total":5,"x":"` + "\x01" + `"}`, "{\"id\":1,\"total\":5,\"x\":\"\xff\xfe\"}", `{"id":1,"total":5,"x":"\x"}`, `{"id":1,"total":5,"x":01}`, `{"id":1,"total":5.}`,
		"\xff\xfe\x00NL\x80", "NL", strings.Repeat("N", 40) + "L", "NULL", "k1 and k11 as a value",
		`{"id":1,"total":5,"x":` + strings.Repeat("[", 999) + strings.Repeat("]", 999) + `}`, `{"id":1,"total":5,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
		`{"id":1,"total":5,"customer":{"country":"NL","note":"` + strings.Repeat("Ärger ", 50_000) + `"}}`,
		`{"customer":[{"country":"NL"},{"country":"N\/L"}],"list":[0,[1,"NL"],{"2":"NL"}],"NL":{"":"NL"}}`,
	} {
		r := record{timestamp: 1_700_000_000_000 + int64(n), key: fmt.Append(nil, "k", n), value: []byte(value), headers: []abi.Header{{Key: "n", Value: []byte{byte(n)}}}}
		switch n % 5 {
		case 1:
			r.key, r.headers = nil, nil
		case 2:
			r.key, r.headers = []byte{}, []abi.Header{{Key: "", Value: nil}, {Key: "from", Value: []byte{}}, {Key: "from", Value: []byte("\xff")}}
		}
		if value == "NULL" {
			r.value = nil
		}
		all = append(all, r)
	}
	return all
}

// randomRecords are records that nobody meant, half of which are JSON at first, and then broken now and then.
func randomRecords(random *rand.Rand, n int) []record {
	all := make([]record, n)
	for i := range all {
		all[i] = record{timestamp: random.Int64N(1 << 45), key: randomBytes(random, 20), value: randomBytes(random, 90)}
		for range random.IntN(4) {
			all[i].headers = append(all[i].headers, abi.Header{Key: string(randomBytes(random, 8)), Value: randomBytes(random, 30)})
		}
		if random.IntN(2) == 0 {
			value := []byte(randomJSON(random, 0))
			if random.IntN(3) == 0 {
				value[random.IntN(len(value))] = byte(random.IntN(256))
			}
			all[i].value = value
		}
	}
	return all
}

// randomBytes are fewer than longest, of an alphabet in which NL is met; sometimes null.
func randomBytes(random *rand.Rand, longest int) []byte {
	if random.IntN(8) == 0 {
		return nil
	}
	b := make([]byte, random.IntN(longest))
	for i := range b {
		b[i] = "NNLL\"\\{}:,x\x00\xff"[random.IntN(13)]
	}
	return b
}

func randomJSON(random *rand.Rand, depth int) string {
	kind := random.IntN(8)
	if depth == 0 {
		kind = 7
	} else if depth > 3 {
		kind = random.IntN(6)
	}
	switch kind {
	case 7, 6:
		var parts []string
		for range random.IntN(8) {
			part := randomJSON(random, depth+1)
			if kind == 7 {
				part = randomKey(random) + blank(random) + ":" + blank(random) + part
			}
			parts = append(parts, blank(random)+part+blank(random))
		}
		if kind == 7 {
			return "{" + strings.Join(parts, ",") + "}"
		}
		return "[" + strings.Join(parts, ",") + "]"
	case 5:
		return fmt.Sprint(random.IntN(2000))
	case 4:
		return fmt.Sprintf("%.2f", 200*random.Float64())
	case 3:
		return []string{"true", "false", "null", "-0", "1e5", "0.5E-2"}[random.IntN(6)]
	default:
		return []string{`"NL"`, `"N\u004C"`, `"x@y.org"`, `""`, `"a \"b\" \\ \n"`, `"` + strings.Repeat("long ", random.IntN(30)) + `"`, `"\ud83d\ude00\ud83d"`, `"é"`}[random.IntN(8)]
	}
}

func randomKey(random *rand.Rand) string {
	return []string{`"id"`, `"total"`, `"status"`, `"customer"`, `"email"`, `"country"`, `"at"`, `"i\u0064"`, `"0"`, `"x"`, `"a longer key than sixteen bytes"`}[random.IntN(11)]
}

func blank(random *rand.Rand) string { return []string{"", "", "", " ", "\n\t "}[random.IntN(5)] }

// rows are records as a module that wants these columns is given them; raw ones as they stand in a batch.
func rows(wants abi.Wants, records []record) []byte {
	var in []byte
	for i, r := range records {
		if wants.Raw() {
			in = appendRaw(in, r, i, r.timestamp-records[0].timestamp)
		} else {
			in = abi.AppendInputRow(in, wants, r.timestamp, uint32(i), r.key, r.value, r.headers)
		}
	}
	return in
}

// appendRaw appends a record of a v2 batch.
func appendRaw(in []byte, r record, offsetDelta int, timestampDelta int64) []byte {
	field := func(b, field []byte) []byte {
		if field == nil {
			return binary.AppendVarint(b, -1)
		}
		return append(binary.AppendVarint(b, int64(len(field))), field...)
	}
	body := binary.AppendVarint(binary.AppendVarint([]byte{0}, timestampDelta), int64(offsetDelta))
	body = binary.AppendVarint(field(field(body, r.key), r.value), int64(len(r.headers)))
	for _, h := range r.headers {
		body = field(field(body, []byte(h.Key)), h.Value)
	}
	return append(binary.AppendVarint(in, int64(len(body))), body...)
}
