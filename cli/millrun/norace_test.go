//go:build !race && !windows

package main

const raceDetector = false
