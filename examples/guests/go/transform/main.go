// Command transform takes orders as JSON and makes of them what may be shown around:
// the id, the total in cents, and the mail address without the name in it. Large
// orders go to the second output, keyed by their id and all to partition 0; the others to
// the first. What is no order and what was cancelled is dropped; a tombstone goes to
// both outputs, so that whatever its key had is deleted in both.
//
//	--config limit=10000     from how many cents on an order is large
package main

import (
	"bytes"
	"errors"
	"strconv"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/plugins/sdk/go/transform"
)

// orders is the transform, and the memory that it uses again for each record.
type orders struct {
	limit int64
	value []byte
}

func (o *orders) configure(config millrun.Config) error {
	if err := config.Only("limit"); err != nil {
		return err
	}
	limit, given := config["limit"]
	if !given {
		limit = "10000"
	}
	var ok bool
	if o.limit, ok = whole([]byte(limit)); !ok {
		return errors.New("limit is no number of cents")
	}
	return nil
}

func (o *orders) transform(r *millrun.Record, out *transform.Output) error {
	if r.Value == nil {
		out.To(0)
		out.To(1)
		return nil
	}
	id := millrun.Field(r.Value, "id")
	amount, ok := cents(millrun.Field(r.Value, "total"))
	if id == nil || !ok {
		return nil // no order
	}
	if string(jsonscan.Text(nil, millrun.Field(r.Value, "status"))) == "cancelled" {
		return nil
	}
	o.value = append(append(o.value[:0], `{"id":`...), id...)
	o.value = strconv.AppendInt(append(o.value, `,"cents":`...), amount, 10)
	if email := millrun.Field(r.Value, "customer.email"); jsonscan.IsString(email) {
		from := bytes.LastIndexByte(email, '@')
		if from < 0 {
			from = len(email) - 1
		}
		o.value = append(append(o.value, `,"email":"***`...), email[from:]...) // with its quote
	}
	o.value = append(o.value, '}')

	call := millrun.Current()
	place := call.Topic + "/" + strconv.Itoa(int(call.Partition)) + "/" + strconv.FormatInt(call.BaseOffset+int64(r.OffsetDelta), 10)
	output := 0
	if amount >= o.limit {
		output = 1
	}
	row := out.To(output).Value(o.value).Header("from", []byte(place))
	if country := millrun.Field(r.Value, "customer.country"); jsonscan.IsString(country) {
		row.Header("region", jsonscan.Text(nil, country))
	}
	if at, ok := whole(millrun.Field(r.Value, "at")); ok {
		row.Timestamp(at)
	}
	if output == 1 {
		row.Partition(0).Key(jsonscan.Text(nil, id))
	}
	return nil
}

// whole reads a number of at most fifteen digits and nothing else.
func whole(text []byte) (int64, bool) {
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 15
}

// cents reads an amount as 12, 12.5 or 12.50.
func cents(amount []byte) (int64, bool) {
	before, part, hasPart := bytes.Cut(amount, []byte("."))
	n, ok := whole(before)
	if !ok || len(before) > 12 || len(part) > 2 {
		return 0, false
	}
	if !hasPart {
		return n * 100, true
	}
	p, ok := whole(part)
	if len(part) == 1 {
		p *= 10
	}
	return n*100 + p, ok
}

func init() {
	o := &orders{}
	transform.Register(transform.Module{Wants: millrun.Value | millrun.Headers, Configure: o.configure, Map: o.transform})
}

func main() {}
