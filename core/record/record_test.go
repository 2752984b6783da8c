package record

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const testLimit = 1 << 20

var codecs = []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLZ4, CodecZstd}

func vector(t testing.TB, name string) Batch {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "spec", "vectors", "record", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenRecords are the records of the vectors, as their README has them.
func goldenRecords(repeat int) (timestamps []int64, records []Record) {
	return []int64{1700000000000, 1700000000007, 1699999999990, 1700000100000}, []Record{
		{Key: []byte("key"), Value: []byte("value")},
		{Value: []byte("no key"), Headers: []Header{{"h1", []byte("v1")}, {"", nil}, {"h3", []byte{}}}},
		{Key: []byte{}},
		{Key: []byte("repeat"), Value: bytes.Repeat([]byte("abcdefgh"), repeat)},
	}
}

func readAll(section []byte, n int) ([]Record, error) {
	r := NewReader(section, n)
	var out []Record
	for {
		var rec Record
		ok, err := r.Next(&rec)
		if err != nil || !ok {
			return out, err
		}
		out = append(out, rec)
	}
}

func sameRecord(t *testing.T, i int, got, want Record) {
	t.Helper()
	if !bytes.Equal(got.Key, want.Key) || (got.Key == nil) != (want.Key == nil) {
		t.Errorf("record %d: key %q, want %q", i, got.Key, want.Key)
	}
	if !bytes.Equal(got.Value, want.Value) || (got.Value == nil) != (want.Value == nil) {
		t.Errorf("record %d: value %.40q, want %.40q", i, got.Value, want.Value)
	}
	if len(got.Headers) != len(want.Headers) || len(want.Headers) > 0 && !reflect.DeepEqual(got.Headers, want.Headers) {
		t.Errorf("record %d: headers %v, want %v", i, got.Headers, want.Headers)
	}
}

func TestKafkasOwnBatchesAreReadInEveryCodec(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.String(), func(t *testing.T) {
			repeat := 9000
			if c == CodecNone {
				repeat = 20
			}
			b, rest, err := Next(vector(t, "batch-"+c.String()+".bin"))
			if err != nil || len(rest) != 0 {
				t.Fatalf("rest %d, err %v", len(rest), err)
			}
			if err := errors.Join(b.CheckCRC(), b.Validate()); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(b.BaseOffset(), b.LastOffset(), b.LeaderEpoch(), b.ProducerID(), b.ProducerEpoch(),
				b.BaseSequence(), b.LastSequence(), b.NumRecords(), b.Codec(), b.BaseTimestamp(), b.MaxTimestamp())
			want := fmt.Sprint(100, 103, 3, 4242, 7, 2147483646, 1, 4, c, int64(1700000000000), int64(1700000100000))
			if got != want {
				t.Errorf("header\n got %s\nwant %s", got, want)
			}
			section, err := b.Records(nil, testLimit)
			if err != nil {
				t.Fatal(err)
			}
			records, err := readAll(section, int(b.NumRecords()))
			if err != nil {
				t.Fatal(err)
			}
			timestamps, wanted := goldenRecords(repeat)
			for i, rec := range records {
				sameRecord(t, i, rec, wanted[i])
				if b.BaseTimestamp()+rec.TimestampDelta != timestamps[i] || rec.OffsetDelta != int32(i) {
					t.Errorf("record %d: timestamp delta %d, offset delta %d", i, rec.TimestampDelta, rec.OffsetDelta)
				}
			}
		})
	}
}

func TestBuilderWritesWhatKafkaWrites(t *testing.T) {
	bld := NewBuilder(nil)
	bld.SetProducer(4242, 7, 2147483646)
	timestamps, records := goldenRecords(20)
	for i, r := range records {
		bld.Append(timestamps[i], r.Key, r.Value, r.Headers)
	}
	b, err := bld.Build()
	if err != nil {
		t.Fatal(err)
	}
	b.SetBaseOffset(100)
	b.SetLeaderEpoch(3)
	if want := vector(t, "batch-none.bin"); !bytes.Equal(b, want) {
		t.Errorf("built\n%x\nwant\n%x", []byte(b), []byte(want))
	}

	bld.Reset(nil)
	bld.SetProducer(4242, 7, -1)
	bld.SetControl(true)
	bld.SetTransactional(true)
	bld.Append(1700000000123, []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 9}, nil)
	marker, err := bld.Build()
	if err != nil {
		t.Fatal(err)
	}
	marker.SetBaseOffset(55)
	marker.SetLeaderEpoch(2)
	if want := vector(t, "batch-commit-marker.bin"); !bytes.Equal(marker, want) {
		t.Errorf("marker\n%x\nwant\n%x", []byte(marker), []byte(want))
	}
	if err := marker.Validate(); err != nil {
		t.Errorf("a marker is sound: %v", err)
	}
}

// randomBatch is a batch of up to 20 records of any shape, with what went in.
func randomBatch(rnd *rand.Rand, c Codec, dst []byte) (Batch, []int64, []Record, error) {
	bytesOrNil := func(limit int) []byte {
		if rnd.IntN(5) == 0 {
			return nil
		}
		b := make([]byte, rnd.IntN(limit))
		for i := range b {
			b[i] = byte(rnd.IntN(4))
		}
		return b
	}
	bld := NewBuilder(dst)
	bld.SetCodec(c)
	bld.SetProducer(ProducerID(rnd.Int64N(1<<40)), int16(rnd.IntN(1<<15)), rnd.Int32())
	var timestamps []int64
	var records []Record
	for range 1 + rnd.IntN(20) {
		r := Record{Key: bytesOrNil(40), Value: bytesOrNil(3000)}
		for range rnd.IntN(4) {
			r.Headers = append(r.Headers, Header{string(bytesOrNil(20)), bytesOrNil(20)})
		}
		ts := 1700000000000 + rnd.Int64N(1<<uint(1+rnd.IntN(40))) - 500
		timestamps, records = append(timestamps, ts), append(records, r)
		bld.Append(ts, r.Key, r.Value, r.Headers)
	}
	b, err := bld.Build()
	return b, timestamps, records, err
}

func TestBatchesRoundTripThroughEveryCodecAndBehindOtherBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		c := codecs[i%len(codecs)]
		b, _, records, err := randomBatch(rnd, c, []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.CheckCRC(), b.Validate()); err != nil {
			t.Fatalf("batch %d (%s): %v", i, c, err)
		}
		section, err := b.Records([]byte("also before"), testLimit)
		if err != nil {
			t.Fatalf("batch %d (%s): %v", i, c, err)
		}
		if _, err := b.ScanRecords(section); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(section, int(b.NumRecords()))
		if err != nil || len(got) != len(records) {
			t.Fatalf("batch %d (%s): %d records of %d, %v", i, c, len(got), len(records), err)
		}
		for j := range got {
			sameRecord(t, j, got[j], records[j])
		}
	}
}

func TestBatchesAreWhatKmsgReadsAndWrites(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		b, timestamps, records, err := randomBatch(rnd, CodecNone, nil)
		if err != nil {
			t.Fatal(err)
		}
		var theirs kmsg.RecordBatch
		if err := theirs.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		if out := theirs.AppendTo(nil); !bytes.Equal(out, b) {
			t.Fatalf("kmsg writes\n%x\nnot\n%x", out, []byte(b))
		}
		section := theirs.Records
		for i, want := range records {
			var rec kmsg.Record
			size, n := varint32(section)
			if err := rec.ReadFrom(section[:n+int(size)]); err != nil {
				t.Fatal(err)
			}
			section = section[n+int(size):]
			if theirs.FirstTimestamp+rec.TimestampDelta64 != timestamps[i] || int(rec.OffsetDelta) != i {
				t.Fatalf("record %d: %+v", i, rec)
			}
			got := Record{Key: rec.Key, Value: rec.Value}
			for _, h := range rec.Headers {
				got.Headers = append(got.Headers, Header{h.Key, h.Value})
			}
			sameRecord(t, i, got, want)
		}
	}
}

func TestRawIsTheWholeRecordWithItsLength(t *testing.T) {
	b := vector(t, "batch-none.bin")
	records, err := readAll(b.StoredRecords(), 4)
	if err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for _, r := range records {
		joined = append(joined, r.Raw...)
	}
	if !bytes.Equal(joined, b.StoredRecords()) {
		t.Error("the raw records do not make up the section")
	}
}

func TestRepackKeepsTheHeaderAndChangesTheCodec(t *testing.T) {
	zstd := vector(t, "batch-zstd.bin")
	section, err := zstd.Records(nil, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range codecs {
		b, err := zstd.Repack([]byte("x"), section, c, DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.CheckCRC(), b.Validate()); err != nil {
			t.Errorf("%s: %v", c, err)
		}
		again, err := b.Records(nil, testLimit)
		if err != nil || !bytes.Equal(again, section) || b.Codec() != c || b.BaseSequence() != zstd.BaseSequence() {
			t.Errorf("%s: %v, codec %s", c, err, b.Codec())
		}
	}
}

func TestSettersRenewTheChecksumAndPatchesNeedNone(t *testing.T) {
	b := vector(t, "batch-none.bin")
	b.SetLogAppendTime(1800000000000)
	if !b.IsLogAppendTime() || b.MaxTimestamp() != 1800000000000 || b.CheckCRC() != nil {
		t.Error("log append time is not set, or the checksum is stale")
	}
	b.SetMaxTimestamp(5)
	if b.MaxTimestamp() != 5 || b.CheckCRC() != nil {
		t.Error("max timestamp is not set, or the checksum is stale")
	}
	b.SetBaseOffset(math.MaxInt64 - 10)
	b.SetLeaderEpoch(77)
	if b.CheckCRC() != nil || b.LeaderEpoch() != 77 {
		t.Error("base offset and leader epoch are outside the checksum")
	}
}

func TestBuilderRefusesAnEmptyBatch(t *testing.T) {
	if _, err := NewBuilder(nil).Build(); !errors.Is(err, ErrEmpty) {
		t.Errorf("err %v", err)
	}
}

func TestVarintsAreKafkasAndEndWhereTheyMust(t *testing.T) {
	for _, v := range []int64{0, -1, 1, 63, -64, 64, 8191, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		b := appendVarint(nil, v)
		if got, n := varint64(b); got != v || n != len(b) || varintSize(v) != n {
			t.Errorf("%d: read %d in %d of %d bytes", v, got, n, len(b))
		}
		if got, n := varint32(b); v == int64(int32(v)) && (int64(got) != v || n != len(b)) {
			t.Errorf("%d: read %d in %d of %d bytes", v, got, n, len(b))
		}
		if _, n := varint64(b[:len(b)-1]); n != 0 {
			t.Errorf("%d cut off was read", v)
		}
	}
	tooLong := bytes.Repeat([]byte{0xff}, 11)
	if _, n := varint32(append(tooLong[:4:4], 0x1f)); n != 0 {
		t.Error("33 bits were read as 32")
	}
	if _, n := varint32(tooLong[:5]); n != 0 {
		t.Error("a sixth byte was waited for")
	}
	if _, n := varint64(append(tooLong[:9:9], 0x02)); n != 0 {
		t.Error("65 bits were read as 64")
	}
	if _, n := varint64(tooLong); n != 0 {
		t.Error("an eleventh byte was waited for")
	}
}
