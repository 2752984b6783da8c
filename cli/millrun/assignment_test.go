//go:build !windows

package main

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A member that has come to the end of the partition that it was given first has not read the others.
func TestAMemberIsThroughWhenAllItsPartitionsAre(t *testing.T) {
	a := &assignment{topic: "t"}
	r := &consumption{topic: "t", group: "g", assigned: a, at: map[int32]int64{0: 0, 1: 0, 2: 0}, ends: map[int32]int64{0: 5, 1: 5, 2: 5}}
	committed := map[int32]kgo.EpochOffset{}
	expect := func(want bool, when string) {
		t.Helper()
		if got := r.reached(committed); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	expect(false, "before it has joined")
	a.change([]int32{0, 1}, true)
	r.at[0] = 5
	expect(false, "one of two at its end")
	r.at[1] = 5
	expect(true, "both at their ends")
	a.change([]int32{2}, true)
	expect(false, "a third was given")
	committed[2] = kgo.EpochOffset{Offset: 5}
	expect(true, "somebody else has read the third")
	delete(committed, 2)
	a.change([]int32{2}, false)
	expect(true, "the third was taken away")
	a.change([]int32{0, 1}, false)
	expect(true, "nothing is left to read")
	r.assigned = &assignment{topic: "t"}
	expect(false, "not joined, and the group is not through")
	r.at[2] = 5
	expect(true, "not joined, but the group is through")
}
