//go:build race && !windows

package main

// raceDetector says that the race detector is on, which keeps memory of its own for all that was ever touched.
const raceDetector = true
