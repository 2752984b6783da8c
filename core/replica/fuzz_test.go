package replica

import (
	"strconv"
	"testing"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/record"
)

// FuzzAdmit sends anything as a client's records to topics that look at them in every way: what is admitted is one sound
// batch that a reader can go through to its end.
func FuzzAdmit(f *testing.F) {
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		f.Add([]byte(shape{n: 3, size: 20, codec: codec}.build(f)))
		f.Add([]byte(shape{n: 2, codec: codec, pid: 4, keyless: true}.build(f)))
	}
	f.Add([]byte(shape{pid: 4, control: true}.build(f)))
	topics := []*config.TopicConfig{
		topicConfig(f, nil),
		topicConfig(f, map[string]string{"cleanup.policy": "compact", "compression.type": "zstd"}),
		topicConfig(f, map[string]string{"compression.type": "uncompressed", "message.timestamp.before.max.ms": "1000"}),
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for i, c := range topics {
			b, err := OneBatch(append([]byte(nil), in...))
			if err != nil {
				return
			}
			b.SetMaxTimestamp(b.MaxTimestamp()) // a checksum that fits, or nothing would get past it
			if b, err = admit(b, c, FromClient, testNow); err != nil {
				continue
			}
			if err := b.CheckCRC(); err != nil {
				t.Fatalf("topic %d: %v", i, err)
			}
			if c.CompressionType == "producer" && b.Codec() != record.CodecNone {
				continue // not looked into
			}
			section, err := b.Records(nil, maxUncompressed)
			if err != nil {
				t.Fatalf("topic %d: %v", i, err)
			}
			if _, err := b.ScanRecords(section); err != nil {
				t.Fatalf("topic %d: %v", i, err)
			}
		}
	})
}

// FuzzNames reads a data directory's names and its meta.properties: what is taken for ours is what we would write.
func FuzzNames(f *testing.F) {
	f.Add("a-0", "#\ncluster.id=c\ndirectory.id=d\nnode.id=1\nversion=1\n")
	f.Add("a-b-12.0af90af90af90af90af90af90af90af9-delete", "version=1\nnode.id=-5\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		if topic, id, ok := parseDirName(name); ok && topic+"-"+strconv.Itoa(int(id)) != name {
			t.Errorf("%q is %q and %d", name, topic, id)
		}
		_ = isDeletedDirName(name)
		p, err := parseProperties(text)
		if err != nil {
			return
		}
		if again, err := parseProperties(string(p.encode())); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
