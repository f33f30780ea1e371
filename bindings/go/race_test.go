//go:build race

package berth_test

func init() { underRaceDetector = true }
