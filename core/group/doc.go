// Package group is the group coordinator as a state machine: the classic protocol (join, sync, heartbeat, leave) and the
// offsets that groups commit. A [Shard] holds the groups of one partition of __consumer_offsets; core/machine drives it.
//
// # What is durable
//
// Two kinds of records, in Kafka's own formats, so that Kafka's tools read the topic:
//
//	key version 1: group, topic, partition -> offset, leader epoch, metadata, timestamps, topic id
//	key version 2: group                   -> protocol type, generation, protocol, leader, members and assignments
//
// A group's record is written when its leader has assigned (with the members of that generation) and when it becomes
// empty. Everything between, who joins and who waits, is volatile: after a restart a group is what it was when it was
// last stable, with sessions that begin anew, so that its members go on without a rebalance.
//
// # The states of a group
//
//	Empty ---join---> PreparingRebalance ---all joined, or time is up---> CompletingRebalance ---leader's sync---> Stable
//	  ^                  |        ^                                          |                                       |
//	  +---nobody left----+        +------- join, leave, expiry --------------+---------------------------------------+
//
// # Invariants
//
//  1. A group's generation only rises; after a restart it goes on from the one that was last written.
//  2. A group with members has one leader, which is a member; one without has none.
//  3. In CompletingRebalance and Stable every member supports the chosen protocol.
//  4. awaiting is the number of members whose join waits; protocols[p] the number of members that support p.
//  5. static maps an instance id to the member that has it, and to no other.
//  6. A member that waits for its sync is in a group that is CompletingRebalance.
//
// The tests verify them after every step.
//
// # Non-obvious
//
//   - Decide changes only what is volatile; offsets and the stored record change in Replay alone.
//   - Bytes of a request are its frame's: whatever is kept is cloned first. What is kept is never written to again, so
//     that replies may share it.
//   - A group that nobody has committed to or synced in is not in the log at all: it goes when its last member does.
package group
