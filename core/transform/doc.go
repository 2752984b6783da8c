// Package transform runs Wasm consumers: it makes each deployment of the cluster's image a number of members of an
// ordinary consumer group, which read their partitions, hand the records to a guest and write what it makes of them.
//
// The package knows no Wasm engine and no disk. What it needs of the node it lives in are the interfaces of node.go; a
// guest is whatever the [Runner] returns.
//
//	Deployments   checks and stores deployments, and keeps one slot for each name
//	  slot        makes what runs equal to what the image says, one step at a time
//	    worker    a running deployment: its program, a pool of instances, counters
//	      member     speaks to the group: join, sync, heartbeat, leave (one goroutine)
//	      processor  reads, calls the guest, writes, commits (one goroutine)
//
// A member and its processor share nothing but a queue of calls: the member tells which partitions to add and to give
// up, the processor does so between two calls of the guest. Positions are the processor's alone.
//
// An upgrade tries the next version beside the present one (trial, tester), holds the slot while the worker hands over, and puts
// the version down in one command (upgrade, handover). A deployment's inputs may be patterns (subscription): members
// compare what they mean at each heartbeat.
//
// Delivery is at least once: input offsets are committed after the outputs of everything before them are durable. The
// places where a transaction would begin and end are step and commit of the processor.
package transform
