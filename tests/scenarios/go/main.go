// Runs the scenarios of ../list in its order through the Go package.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

type scenario struct {
	name string
	run  func(*place)
}

func main() {
	failed := false
	for _, part := range [][]scenario{lifeScenarios, streamScenarios, runningScenarios, factScenarios, checkpointScenarios, errorScenarios} {
		for _, scenario := range part {
			if !runScenario(scenario) {
				failed = true
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}

// runScenario runs a scenario with a state root of its own and prints the result.
func runScenario(s scenario) (good bool) {
	p := newPlace(s.name)
	defer func() {
		why := recover()
		if err := p.remove(); why == nil && err != nil {
			why = err
		}
		switch why := why.(type) {
		case nil:
			good = true
			fmt.Println("ok", s.name)
		case skipped:
			good = true
			fmt.Printf("skip %s: %s\n", s.name, why)
		default:
			fmt.Printf("not ok %s: %v\n", s.name, why)
		}
	}()
	s.run(p)
	return
}

var (
	work   = os.Getenv("BERTH_DRIVER_WORK")
	rootfs = os.Getenv("BERTH_TEST_ROOTFS")
)

func folderOf(name string) string {
	return filepath.Join(work, "berth-go-"+name)
}
