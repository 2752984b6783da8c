package meta

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestChangedTopicsAreThoseInWhichTheImagesDiffer(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	images := []*Image{{}}
	for range 60 {
		e := newEdit(images[len(images)-1])
		for range rnd.IntN(4) {
			name := fmt.Sprintf("topic-%d", rnd.IntN(400))
			if old, ok := e.topics.t.get(name); ok && rnd.IntN(3) == 0 {
				e.removeTopic(old)
				continue
			}
			e.putTopic(&Topic{Name: name, ID: TopicID{byte(rnd.IntN(256)), byte(rnd.IntN(256))}})
		}
		images = append(images, e.image())
	}
	images = append(images, &Image{})
	for i, old := range images {
		for _, img := range images[i:] {
			want := map[string][2]*Topic{}
			for topic := range old.Topics() {
				want[topic.Name] = [2]*Topic{topic, nil}
			}
			for topic := range img.Topics() {
				want[topic.Name] = [2]*Topic{want[topic.Name][0], topic}
			}
			maps.DeleteFunc(want, func(_ string, pair [2]*Topic) bool { return pair[0] == pair[1] })
			got := map[string][2]*Topic{}
			for before, after := range ChangedTopics(old, img) {
				name := slices.DeleteFunc([]*Topic{before, after}, func(t *Topic) bool { return t == nil })[0].Name
				got[name] = [2]*Topic{before, after}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("from image %d: %d topics changed, want %d", i, len(got), len(want))
			}
		}
	}
}

func TestChangedTopicsOfTheFirstImageAreAllOfThem(t *testing.T) {
	e := newEdit(&Image{})
	e.putTopic(&Topic{Name: "a"})
	e.putTopic(&Topic{Name: "b"})
	n := 0
	for before, after := range ChangedTopics(nil, e.image()) {
		if before != nil || after == nil {
			t.Errorf("%v became %v", before, after)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d topics", n)
	}
}
