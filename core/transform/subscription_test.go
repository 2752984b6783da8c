package transform

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/meta"
)

// imageOf makes an image with topics of one partition each.
func imageOf(t *testing.T, topics ...string) *meta.Image {
	t.Helper()
	register, err := meta.DecideRegisterBroker(&meta.Image{}, meta.Broker{ID: 1, Incarnation: "one"})
	if err != nil {
		t.Fatal(err)
	}
	img, err := meta.Apply(&meta.Image{}, 1, register)
	if err != nil {
		t.Fatal(err)
	}
	for i, topic := range topics {
		c, errs := meta.DecideCreateTopics(img, []meta.NewTopic{{Name: topic, ID: meta.TopicID{1, byte(i)}, Partitions: 1, ReplicationFactor: 1}}, meta.TopicDefaults{})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if img, err = meta.Apply(img, img.Seq()+1, c); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

func TestAPatternMeansWholeNamesButNotWhatTheDeploymentOrTheBrokerWrites(t *testing.T) {
	img := imageOf(t, "orders", "orders-eu", "more-orders", "out", "f.dlq", "__internal", LogsTopic, RedpandaLogsTopic, "x")
	for _, test := range []struct {
		inputs []string
		want   []string
	}{
		{[]string{"/orders.*/"}, []string{"orders", "orders-eu"}},
		{[]string{"/orders/"}, []string{"orders"}},
		{[]string{"/orders|x/", "absent"}, []string{"absent", "orders", "x"}},
		{[]string{"/.*/"}, []string{"more-orders", "orders", "orders-eu", "x"}},
		{[]string{"/(?i)ORDERS/", "orders"}, []string{"orders"}},
		{[]string{"/nothing{1,2}/"}, nil},
	} {
		s := subscriptionOf(&meta.Deployment{Inputs: test.inputs, Outputs: []string{"out"}, OnError: OnErrorDLQ, DLQ: "f.dlq"})
		if got := s.topics(img); !slices.Equal(got, test.want) {
			t.Errorf("%q reads %q, not %q", test.inputs, got, test.want)
		}
	}
}

func TestAPatternThatIsNoneIsRefused(t *testing.T) {
	for _, input := range []string{"/", "//", "/open", "/(/", "/a{1001}/", "/" + strings.Repeat("a", maxPatternBytes) + "/"} {
		if _, err := compilePattern(input); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20s: %v", input, err)
		}
	}
}

func TestOnlyChangesOfTopicsThatAreReadTouchASubscription(t *testing.T) {
	before := imageOf(t, "orders", "other")
	s := subscriptionOf(&meta.Deployment{Inputs: []string{"/orders.*/", "named"}, Outputs: []string{"orders-out"}})
	change := func(topic string, id byte) *meta.Image {
		c, errs := meta.DecideCreateTopics(before, []meta.NewTopic{{Name: topic, ID: meta.TopicID{9, id}, Partitions: 1, ReplicationFactor: 1}}, meta.TopicDefaults{})
		after, err := meta.Apply(before, before.Seq()+1, c)
		if err := errors.Join(append(errs, err)...); err != nil {
			t.Fatal(err)
		}
		return after
	}
	for topic, want := range map[string]bool{"orders-eu": true, "named": true, "another": false, "orders-out": false} {
		after := change(topic, 1)
		if s.touched(meta.ChangedTopics(before, after)) != want || s.touched(meta.ChangedTopics(after, before)) != want {
			t.Errorf("a topic %s touches: %t", topic, !want)
		}
	}
}

func TestACycleIsRefusedAndNamedWhole(t *testing.T) {
	put := func(img *meta.Image, d meta.Deployment) *meta.Image {
		d.Group, d.Module.SHA256 = d.Name, strings.Repeat("a", 64)
		c, err := meta.DecidePutDeployment(img, d, true)
		if err != nil {
			t.Fatal(err)
		}
		img, err = meta.Apply(img, img.Seq()+1, c)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	img := put(imageOf(t, "in"), meta.Deployment{Name: "a", Inputs: []string{"in"}, Outputs: []string{"mid", "side"}})
	img = put(img, meta.Deployment{Name: "b", Inputs: []string{"/mi.*/"}, Outputs: []string{"late"}, OnError: OnErrorDLQ, DLQ: "dead"})
	img = put(img, meta.Deployment{Name: "loop", Inputs: []string{"x"}, Outputs: []string{"y"}})
	for _, test := range []struct {
		d    meta.Deployment
		want string
	}{
		{meta.Deployment{Name: "c", Inputs: []string{"late"}, Outputs: []string{"in"}}, "c writes in, which a reads; a writes mid, which b reads; b writes late, which c reads"},
		{meta.Deployment{Name: "c", Inputs: []string{"dead"}, Outputs: []string{"repaired", "in"}}, "c writes in, which a reads; a writes mid, which b reads; b writes dead, which c reads"},
		{meta.Deployment{Name: "c", Inputs: []string{"/.*/"}, Outputs: []string{"in"}}, "c writes in, which a reads; a writes mid, which c reads"},
		{meta.Deployment{Name: "c", Inputs: []string{"late"}, Outputs: []string{"ok"}, OnError: OnErrorDLQ, DLQ: "in"}, "c writes in, which a reads; a writes mid, which b reads; b writes late, which c reads"},
		{meta.Deployment{Name: "a", Inputs: []string{"late"}, Outputs: []string{"mid"}}, "a writes mid, which b reads; b writes late, which a reads"},
		{meta.Deployment{Name: "c", Inputs: []string{"late"}, Outputs: []string{"end"}}, ""},
		{meta.Deployment{Name: "c", Inputs: []string{"/.*/"}, Outputs: []string{"end"}}, ""},
		{meta.Deployment{Name: "a", Inputs: []string{"late"}, Outputs: []string{"end"}}, ""},
	} {
		err := checkCycle(img, &test.d)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrInvalid) || !strings.HasSuffix(err.Error(), ": "+test.want)) {
			t.Errorf("%+v: %v, not %q", test.d, err, test.want)
		}
	}
}
