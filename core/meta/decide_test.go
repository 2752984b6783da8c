package meta

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestTopicNamesAreThoseOfKafka(t *testing.T) {
	for _, good := range []string{"a", "A-b_c.9", "...", "__consumer_offsets", strings.Repeat("x", 249)} {
		if err := CheckTopicName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, why := range map[string]string{
		"":                       "Topic name is invalid: the empty string is not allowed",
		".":                      "Topic name is invalid: '.' is not allowed",
		"..":                     "Topic name is invalid: '..' is not allowed",
		"a b":                    "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"ä":                      "Topic name is invalid: 'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"a/b":                    "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		strings.Repeat("x", 250): "Topic name is invalid: the length of '" + strings.Repeat("x", 250) + "' is longer than the max allowed length 249",
	} {
		if err := CheckTopicName(bad); !errors.Is(err, ErrInvalidTopic) || err.Error() != why {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTopicIDsReadBackAsWritten(t *testing.T) {
	id := NewTopicID([16]byte{0xf8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	if s := id.String(); strings.HasPrefix(s, "-") || len(s) != 22 {
		t.Errorf("text %q", s)
	}
	if back, err := ParseTopicID(id.String()); err != nil || back != id {
		t.Errorf("%v came back as %v, %v", id, back, err)
	}
	for _, bad := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAA/", "AAAAAAAAAAAAAAAAAAAAAB"} {
		if id, err := ParseTopicID(bad); err == nil {
			t.Errorf("%q is read as %v", bad, id)
		}
	}
}

func TestCreateTopicsRefusesWithKafkasErrors(t *testing.T) {
	img := withBrokers(t, 3)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "is.here", ID: TopicID{1}, Partitions: 1, ReplicationFactor: 1}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	by := func(rows ...[]NodeID) (as []Assignment) {
		for i, r := range rows {
			as = append(as, Assignment{int32(i), r})
		}
		return as
	}
	for name, tt := range map[string]struct {
		topic NewTopic
		want  error
	}{
		"name":              {NewTopic{Name: "a b", Partitions: 1, ReplicationFactor: 1}, ErrInvalidTopic},
		"exists":            {NewTopic{Name: "is.here", Partitions: 1, ReplicationFactor: 1}, ErrTopicExists},
		"collides":          {NewTopic{Name: "is_here", Partitions: 1, ReplicationFactor: 1}, ErrInvalidTopic},
		"id taken":          {NewTopic{Name: "x", ID: TopicID{1}, Partitions: 1, ReplicationFactor: 1}, ErrInvalidRequest},
		"no partitions":     {NewTopic{Name: "x", Partitions: 0, ReplicationFactor: 1}, ErrInvalidPartitions},
		"fewer than none":   {NewTopic{Name: "x", Partitions: -2, ReplicationFactor: 1}, ErrInvalidPartitions},
		"no replicas":       {NewTopic{Name: "x", Partitions: 1, ReplicationFactor: 0}, ErrInvalidReplicationFactor},
		"too many replicas": {NewTopic{Name: "x", Partitions: 1, ReplicationFactor: 4}, ErrInvalidReplicationFactor},
		"too many":          {NewTopic{Name: "x", Partitions: 10_001, ReplicationFactor: 1}, ErrTooManyPartitions},
		"far too many":      {NewTopic{Name: "x", Partitions: 1<<31 - 1, ReplicationFactor: 1}, ErrTooManyPartitions},
		"count and manual":  {NewTopic{Name: "x", Partitions: 1, ReplicationFactor: -1, Assignments: by([]NodeID{1})}, ErrInvalidRequest},
		"factor and manual": {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: 1, Assignments: by([]NodeID{1})}, ErrInvalidRequest},
		"not from 0":        {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{1, []NodeID{1}}}}, ErrInvalidAssignment},
		"twice":             {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, []NodeID{1}}, {0, []NodeID{1}}}}, ErrInvalidAssignment},
		"empty":             {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: by([]NodeID{})}, ErrInvalidAssignment},
		"no such broker":    {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: by([]NodeID{9})}, ErrInvalidAssignment},
		"the same broker":   {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: by([]NodeID{1, 1})}, ErrInvalidAssignment},
		"differing factors": {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: by([]NodeID{1}, []NodeID{1, 2})}, ErrInvalidAssignment},
		"defaults":          {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1}, nil},
		"by hand":           {NewTopic{Name: "x", Partitions: -1, ReplicationFactor: -1, Assignments: by([]NodeID{3, 1}, []NodeID{2, 3})}, nil},
		"ten thousand":      {NewTopic{Name: "x", Partitions: 10_000, ReplicationFactor: 3}, nil},
		"dash for dot":      {NewTopic{Name: "is-here", Partitions: 1, ReplicationFactor: 1}, nil},
		"the same dots":     {NewTopic{Name: "is.there", Partitions: 1, ReplicationFactor: 1}, nil},
	} {
		if tt.topic.ID.IsZero() {
			tt.topic.ID = TopicID{2}
		}
		c, errs := DecideCreateTopics(img, []NewTopic{tt.topic}, TopicDefaults{4, 2})
		if !errors.Is(errs[0], tt.want) || (c == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, %v", name, c, errs[0])
		} else if c != nil {
			apply(t, img, c, errs[0])
		}
	}
}

func TestOneBadTopicDoesNotStopTheOthers(t *testing.T) {
	img := withBrokers(t, 1)
	ask := func(name string, id byte, partitions int32) NewTopic {
		return NewTopic{Name: name, ID: TopicID{id}, Partitions: partitions, ReplicationFactor: -1}
	}
	c, errs := DecideCreateTopics(img, []NewTopic{ask("a", 1, 1), ask("twice", 2, 1), ask("twice", 3, 1), ask("b.c", 4, 6000),
		ask("b_c", 5, 1), ask("d", 6, 6000), ask("e", 7, 2)}, TopicDefaults{4, 1})
	want := []error{nil, ErrInvalidRequest, ErrInvalidRequest, nil, ErrInvalidTopic, ErrTooManyPartitions, nil}
	for i := range want {
		if !errors.Is(errs[i], want[i]) {
			t.Errorf("topic %d: %v, want %v", i, errs[i], want[i])
		}
	}
	img = apply(t, img, c, nil)
	if img.NumTopics() != 3 || img.NumPartitions() != 6003 {
		t.Errorf("%d topics, %d partitions", img.NumTopics(), img.NumPartitions())
	}
}

func TestReplicasAreSpreadEvenlyOverBrokersInService(t *testing.T) {
	img := withBrokers(t, 4)
	img = apply(t, img, must(DecideClaimController(img, 1, "first")), nil)
	img = apply(t, img, must(DecideFenceBroker(img, 3, true)), nil)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "x", ID: TopicID{9}, Partitions: 30, ReplicationFactor: 2}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	topic, _ := img.Topic("x")
	leads, holds, pairs := map[NodeID]int{}, map[NodeID]int{}, map[string]int{}
	for _, p := range topic.Partitions {
		leads[p.Leader]++
		for _, r := range p.Replicas {
			holds[r]++
		}
		pairs[fmt.Sprint(p.Replicas)]++
		if !reflect.DeepEqual(p.ISR, p.Replicas) || p.LeaderEpoch != 0 {
			t.Errorf("created as %+v", p)
		}
	}
	if want := (map[NodeID]int{1: 10, 2: 10, 4: 10}); !reflect.DeepEqual(leads, want) {
		t.Errorf("leaders %v", leads)
	}
	if want := (map[NodeID]int{1: 20, 2: 20, 4: 20}); !reflect.DeepEqual(holds, want) || len(pairs) != 6 {
		t.Errorf("replicas %v, pairs %v", holds, pairs)
	}
}

func must(c Command, err error) Command {
	if err != nil {
		panic(err)
	}
	return c
}

func TestCreatePartitionsRefusesWithKafkasErrors(t *testing.T) {
	img := withBrokers(t, 2)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "x", ID: TopicID{9}, Partitions: 3, ReplicationFactor: 2}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	for name, tt := range map[string]struct {
		ask  MorePartitions
		want error
	}{
		"unknown":        {MorePartitions{"y", 4, nil}, ErrUnknownTopic},
		"as many":        {MorePartitions{"x", 3, nil}, ErrInvalidPartitions},
		"fewer":          {MorePartitions{"x", 2, nil}, ErrInvalidPartitions},
		"negative":       {MorePartitions{"x", -1, nil}, ErrInvalidPartitions},
		"too many":       {MorePartitions{"x", 1<<31 - 1, nil}, ErrTooManyPartitions},
		"assigned fewer": {MorePartitions{"x", 5, [][]NodeID{{1, 2}}}, ErrInvalidAssignment},
		"other factor":   {MorePartitions{"x", 4, [][]NodeID{{1}}}, ErrInvalidAssignment},
		"unknown broker": {MorePartitions{"x", 4, [][]NodeID{{1, 7}}}, ErrInvalidAssignment},
		"more":           {MorePartitions{"x", 7, nil}, nil},
		"more by hand":   {MorePartitions{"x", 4, [][]NodeID{{2, 1}}}, nil},
	} {
		c, errs := DecideCreatePartitions(img, []MorePartitions{tt.ask})
		if !errors.Is(errs[0], tt.want) || (c == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, %v", name, c, errs[0])
			continue
		}
		if c != nil {
			next := apply(t, img, c, nil)
			if topic, _ := next.Topic("x"); len(topic.Partitions) != int(tt.ask.Count) || topic.Partitions[3].ID != 3 {
				t.Errorf("%s: %+v", name, topic.Partitions)
			}
		}
	}
	if _, errs := DecideCreatePartitions(img, []MorePartitions{{"x", 4, nil}, {"x", 5, nil}}); !errors.Is(errs[0], ErrInvalidRequest) || errs[1] == nil {
		t.Errorf("twice: %v", errs)
	}
}

func TestConfigsAreReplacedAsAWhole(t *testing.T) {
	img := withBrokers(t, 1)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "x", ID: TopicID{9}, Partitions: 1, ReplicationFactor: 1, Configs: map[string]string{"a": "1", "b": "2"}}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	img = apply(t, img, must(DecideAlterTopicConfigs(img, "x", map[string]string{"b": "3"})), nil)
	if topic, _ := img.Topic("x"); !reflect.DeepEqual(topic.Configs, map[string]string{"b": "3"}) {
		t.Errorf("configs %v", topic.Configs)
	}
	if c, err := DecideAlterTopicConfigs(img, "x", map[string]string{"b": "3"}); c != nil || err != nil {
		t.Errorf("the same again: %v, %v", c, err)
	}
	if _, err := DecideAlterTopicConfigs(img, "y", nil); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("unknown topic: %v", err)
	}
	img = apply(t, img, must(DecideAlterBrokerConfigs(img, ClusterDefault, map[string]string{"k": "all"})), nil)
	img = apply(t, img, must(DecideAlterBrokerConfigs(img, 1, map[string]string{"k": "one"})), nil)
	if img.BrokerConfigs(1)["k"] != "one" || img.BrokerConfigs(ClusterDefault)["k"] != "all" || img.BrokerConfigs(2) != nil {
		t.Errorf("broker configs %v", img.configs)
	}
	img = apply(t, img, must(DecideAlterBrokerConfigs(img, 1, nil)), nil)
	if img.BrokerConfigs(1) != nil {
		t.Errorf("broker configs %v", img.configs)
	}
	if _, err := DecideAlterBrokerConfigs(img, 2, nil); !errors.Is(err, ErrUnknownBroker) {
		t.Errorf("unknown broker: %v", err)
	}
}

func TestTheControllerIsElectedInTheLogAndFencesTheOneBefore(t *testing.T) {
	img := withBrokers(t, 2)
	if img.Controller() != NoNode {
		t.Fatalf("controller %d before any", img.Controller())
	}
	one, two := must(DecideClaimController(img, 1, "first")), must(DecideClaimController(img, 2, "first"))
	img = apply(t, img, one, nil)
	if img.Controller() != 1 || img.ControllerEpoch() != img.Seq() {
		t.Fatalf("controller %d of epoch %d", img.Controller(), img.ControllerEpoch())
	}
	img, err := Apply(img, img.Seq()+1, two)
	if !errors.Is(err, ErrStale) || img.Controller() != 1 {
		t.Fatalf("the slower claim: %v, controller %d", err, img.Controller())
	}
	if c, err := DecideClaimController(img, 1, "first"); c != nil || err != nil {
		t.Fatalf("claimed again: %v, %v", c, err)
	}
	old := must(DecideFenceBroker(img, 2, true))
	img = apply(t, img, must(DecideClaimController(img, 2, "first")), nil)
	if _, err := Apply(img, img.Seq()+1, old); !errors.Is(err, ErrStale) {
		t.Fatalf("a command of the controller before: %v", err)
	}
}

func TestANewLeaderCountsUpTheEpoch(t *testing.T) {
	img := withBrokers(t, 2)
	img = apply(t, img, must(DecideClaimController(img, 1, "first")), nil)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "x", ID: TopicID{9}, Partitions: 2, ReplicationFactor: 2}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	was, _ := img.Topic("x")
	p := was.Partitions[1]
	change := PartitionChange{Topic: was.ID, Partition: 1, Replicas: p.Replicas, ISR: p.Replicas[1:], Leader: p.Replicas[1]}
	img = apply(t, img, must(DecideChangePartitions(img, []PartitionChange{change})), nil)
	is, _ := img.Topic("x")
	if got := is.Partitions[1]; got.Leader != p.Replicas[1] || got.LeaderEpoch != 1 || got.PartitionEpoch != 1 || len(got.ISR) != 1 {
		t.Errorf("became %+v", got)
	}
	if was.Partitions[1].LeaderEpoch != 0 {
		t.Error("the old image changed")
	}
	if _, err := DecideChangePartitions(img, []PartitionChange{change}); !errors.Is(err, ErrStale) {
		t.Errorf("decided on the old epoch: %v", err)
	}
	change.PartitionEpoch, change.Leader = 1, p.Replicas[0]
	if _, err := DecideChangePartitions(img, []PartitionChange{change}); !errors.Is(err, ErrInvalidPartitionChange) {
		t.Errorf("a leader that is not in sync: %v", err)
	}
}

func TestProducerIDBlocksNeverOverlap(t *testing.T) {
	img := withBrokers(t, 1)
	for want := int64(0); want < 3000; want += ProducerIDBlock {
		c, err := DecideAllocateProducerIDs(img, 1)
		img = apply(t, img, c, err)
		if c.First != want || img.NextProducerID() != want+ProducerIDBlock {
			t.Errorf("block at %d, next %d", c.First, img.NextProducerID())
		}
	}
}

func TestAReplacementCountsUpTheVersionAndKeepsTheHistory(t *testing.T) {
	img := &Image{}
	d := Deployment{Name: "d", Group: "d", Inputs: []string{"in"}, Module: ModuleRef{Name: "m", SHA256: sha('a')}, CreatedMs: 5}
	img = apply(t, img, must(DecidePutDeployment(img, d, false)), nil)
	if _, err := DecidePutDeployment(img, d, false); !errors.Is(err, ErrDeploymentExists) {
		t.Errorf("put twice: %v", err)
	}
	for i := range 12 {
		d.Module.SHA256, d.CreatedMs = sha("bc"[i%2]), 6
		img = apply(t, img, must(DecidePutDeployment(img, d, true)), nil)
	}
	got, _ := img.Deployment("d")
	if got.Module.Version != 13 || len(got.History) != maxHistory || got.History[9].Module.Version != 12 || got.CreatedMs != 5 || got.CreatedSeq != 1 {
		t.Errorf("became %+v", got)
	}
	if !img.ModuleInUse(sha('b')) || img.ModuleInUse(sha('a')) {
		t.Error("the modules in use are others")
	}
	if _, err := DecideUpdateDeployment(img, "d", DeploymentStopped, ""); !errors.Is(err, ErrInvalidDeployment) {
		t.Errorf("stopped without a reason: %v", err)
	}
	stop := must(DecideUpdateDeployment(img, "d", DeploymentStopped, "it trapped"))
	stopped := apply(t, img, stop, nil)
	if got, _ := stopped.Deployment("d"); got.State != DeploymentStopped || got.Reason != "it trapped" {
		t.Errorf("stopped: %+v", got)
	}
	img = apply(t, img, must(DecideDeleteDeployment(img, "d")), nil)
	img = apply(t, img, must(DecidePutDeployment(img, d, false)), nil)
	if _, err := Apply(img, img.Seq()+1, stop); !errors.Is(err, ErrStale) {
		t.Errorf("a state of the deployment before: %v", err)
	}
}

func TestGoingBackAgainGoesFurtherBack(t *testing.T) {
	img := &Image{}
	put := func(module byte, restores int32) *Deployment {
		d := Deployment{Name: "d", Group: "d", Inputs: []string{"in"}, Module: ModuleRef{SHA256: sha(module)}, Restores: restores}
		img = apply(t, img, must(DecidePutDeployment(img, d, true)), nil)
		got, _ := img.Deployment("d")
		return got
	}
	expect := func(d *Deployment, module byte, number int32) {
		t.Helper()
		if v, n, ok := d.Before(); !ok || n != number || v.Module.SHA256 != sha(module) {
			t.Errorf("before version %d: %d %+v %v", d.Module.Version, n, v, ok)
		}
	}
	if _, _, ok := put('a', 0).Before(); ok {
		t.Error("there is a version before the first")
	}
	put('b', 0)
	expect(put('c', 0), 'b', 2)
	expect(put('b', 2), 'a', 1)
	if _, _, ok := put('a', 1).Before(); ok {
		t.Error("there is a version before the restored first")
	}
	expect(put('d', 0), 'a', 1)
}

func TestAHistoryThatIsTooLargeForgetsTheOldest(t *testing.T) {
	img := &Image{}
	d := Deployment{Name: "d", Group: "d", Inputs: []string{"in"}, Module: ModuleRef{SHA256: sha('a')},
		Config: map[string]string{"k": strings.Repeat("x", 60<<10)}}
	for range 8 {
		command := must(DecidePutDeployment(img, d, true))
		if n := len(AppendCommand(nil, command)); n > MaxCommandSize {
			t.Fatalf("a command of %d bytes", n)
		}
		img = apply(t, img, command, nil)
	}
	got, _ := img.Deployment("d")
	if len(got.History) != 4 || got.History[3].Module.Version != 7 || got.Module.Version != 8 {
		t.Errorf("version %d remembers %d", got.Module.Version, len(got.History))
	}
}

func BenchmarkApplyCreateTopicAmong10000(b *testing.B) {
	img := tenThousand(b, 5)
	c, _ := DecideCreateTopics(img, []NewTopic{{Name: "one-more", ID: TopicID{255}, Partitions: 4, ReplicationFactor: 1}}, TopicDefaults{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(img, img.Seq()+1, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshotOf50000Partitions(b *testing.B) {
	img := tenThousand(b, 5)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.SetBytes(int64(len(img.AppendSnapshot(nil))))
		}
	})
	bytes := img.AppendSnapshot(nil)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(bytes)))
		for b.Loop() {
			if _, err := DecodeSnapshot(bytes); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func tenThousand(b *testing.B, partitions int32) *Image {
	img := withBrokers(b, 1)
	for i := range 10_000 {
		id := TopicID{1, byte(i), byte(i >> 8)}
		c, errs := DecideCreateTopics(img, []NewTopic{{Name: fmt.Sprintf("topic-%05d", i), ID: id, Partitions: partitions, ReplicationFactor: 1}}, TopicDefaults{})
		img = apply(b, img, c, errs[0])
	}
	return img
}
