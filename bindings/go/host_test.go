package berth_test

import (
	"context"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"berth"
)

// The race detector's history takes memory that grows with every operation.
var underRaceDetector bool

// The resources that a caller could leak.
type belongings struct {
	descriptors, threads, zombies, goroutines int
	heap, resident                            uint64
}

func (b belongings) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d zombies, %d goroutines, %d KiB on the heap, %d KiB resident",
		b.descriptors, b.threads, b.zombies, b.goroutines, b.heap>>10, b.resident>>10)
}

func look(t *testing.T) belongings {
	t.Helper()
	goruntime.GC()
	goruntime.GC()
	debug.FreeOSMemory()
	var memory goruntime.MemStats
	goruntime.ReadMemStats(&memory)
	descriptors, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	statm, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[1], 10, 64)
	must(t, err)
	return belongings{
		descriptors: len(descriptors), threads: threads(t), zombies: zombies(t), goroutines: goruntime.NumGoroutine(),
		heap: memory.HeapAlloc, resident: pages * uint64(os.Getpagesize()),
	}
}

// zombies counts the zombie children of this process.
func zombies(t *testing.T) (count int) {
	t.Helper()
	processes, err := os.ReadDir("/proc")
	must(t, err)
	for _, process := range processes {
		stat, err := os.ReadFile("/proc/" + process.Name() + "/stat")
		if err != nil {
			continue
		}
		// State and parent follow the name, which may contain any character.
		facts := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if facts[0] == "Z" && facts[1] == strconv.Itoa(os.Getpid()) {
			count++
		}
	}
	return
}

const (
	containersPerRound = 200
	atOnce             = 25
)

// aLife runs a container from create to delete: with pipes, an executed process, statistics and an event, in a
// goroutine that moves between threads.
func aLife(config *berth.Config) error {
	options := &berth.ProcessOptions{Stdin: berth.Pipe(), Stdout: berth.Pipe(), Stderr: berth.Null()}
	container, err := runtime.Create(newID(), config, options)
	if err != nil {
		return err
	}
	defer container.Close()
	ctx, cancel := context.WithTimeout(context.Background(), longTime)
	defer cancel()
	goruntime.Gosched()
	if err := container.Start(); err != nil {
		return err
	}
	init, err := container.InitProcess()
	if err != nil {
		return err
	}
	defer init.Close()
	stdin, stdout, _, err := init.TakeStdio()
	if err != nil {
		return err
	}
	defer stdout.Close()
	if channel, err := container.NotifyMemoryPressure(ctx, berth.PressureCritical); err == nil {
		defer func() {
			for range channel {
			}
		}()
	}
	process, err := container.Exec(shell("exit 3"), berth.NoStdio())
	if err != nil {
		return err
	}
	defer process.Close()
	if status, err := process.Wait(ctx); err != nil || status.Code != 3 {
		return fmt.Errorf("executed: %v, %w", status, err)
	}
	if _, err := container.Stats(); err != nil {
		return err
	}
	if _, err := stdin.WriteString("word\n"); err != nil {
		return err
	}
	stdin.Close()
	if text, err := io.ReadAll(stdout); err != nil || string(text) != "got word\n" {
		return fmt.Errorf("printed: %q, %w", text, err)
	}
	if status, err := container.Wait(ctx); err != nil || status.Code != 7 {
		return fmt.Errorf("ended: %v, %w", status, err)
	}
	return container.Delete()
}

// aRound runs containers while all threads are busy, goroutines move between them, and the garbage collector works.
func aRound(t *testing.T, config *berth.Config) {
	t.Helper()
	defer churn()()
	var group sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for number := 0; number < containersPerRound; number++ {
		places <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			defer func() { <-places }()
			if err := aLife(config); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
}

// churn keeps all threads busy with garbage until the function that it returns is called.
func churn() func() {
	stop := make(chan struct{})
	var group sync.WaitGroup
	for thread := 0; thread < goruntime.GOMAXPROCS(0); thread++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for garbage := []byte(nil); ; goruntime.Gosched() {
				select {
				case <-stop:
					return
				default:
					garbage = make([]byte, 1<<16)
					garbage[len(garbage)/2] = 1
				}
			}
		}()
	}
	return func() {
		close(stop)
		group.Wait()
	}
}

func TestTwoHundredContainersTwiceLeaveNothing(t *testing.T) {
	config := config(t, "read line; echo got $line; exit 7")
	aRound(t, config)
	first := look(t)
	aRound(t, config)
	second := look(t)
	t.Logf("after %d containers: %v", containersPerRound, first)
	t.Logf("after %d containers: %v", 2*containersPerRound, second)
	if second.descriptors > first.descriptors || second.zombies > 0 || second.goroutines > first.goroutines {
		t.Error("descriptors, zombies or goroutines were left behind")
	}
	// Go keeps its threads: one for each concurrent call, and those of the runtime.
	if most := atOnce + goruntime.GOMAXPROCS(0) + 16; second.threads > most {
		t.Errorf("%d threads are more than %d", second.threads, most)
	}
	const slack = 1 << 20
	if second.heap > first.heap+slack {
		t.Error("the heap grew")
	}
	if second.resident > first.resident+first.resident/10+8*slack && !underRaceDetector {
		t.Error("memory outside of the heap grew")
	}
	if states, err := runtime.List(); err != nil || len(states) > 0 {
		t.Error("containers were left:", states, err)
	}
}
