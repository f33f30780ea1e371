package berth_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"syscall"
	"testing"
	"time"

	"berth"
)

// threads counts the threads of this process.
func threads(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(entries)
}

func TestWaitingHoldsNoThreadAndEndsAtOnce(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	before, goroutines := threads(t), goruntime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const waits = 300
	results := make(chan error, waits)
	for waiting := 0; waiting < waits; waiting++ {
		go func() {
			_, err := container.Wait(ctx)
			results <- err
		}()
	}
	// Each waiting call has a descriptor of its own.
	for limit := within(t, longTime); ; goruntime.Gosched() {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		if len(entries) >= waits {
			break
		}
		must(t, limit.Err())
	}
	if now := threads(t); now > before+goruntime.GOMAXPROCS(0)+10 {
		t.Errorf("%d waits took %d threads", waits, now-before)
	}
	cancel()
	for waiting := 0; waiting < waits; waiting++ {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for limit := within(t, longTime); goruntime.NumGoroutine() > goroutines; goruntime.Gosched() {
		must(t, limit.Err())
	}
}

func TestADeadlineIsATimeoutToo(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	_, err := container.Wait(within(t, time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, berth.ErrTimeout) {
		t.Error(err)
	}
}

func TestAWaiterLearnsOfTheEnd(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	results := make(chan berth.ExitStatus, 10)
	for waiter := 0; waiter < 10; waiter++ {
		go func() {
			status, err := container.Wait(context.Background())
			if err != nil {
				t.Error(err)
			}
			results <- status
		}()
	}
	must(t, container.Signal(syscall.SIGKILL))
	for waiter := 0; waiter < 10; waiter++ {
		if status := <-results; status.Signal != syscall.SIGKILL || status.String() != "killed by signal 9 (killed)" {
			t.Error(status)
		}
	}
	must(t, container.Delete())
	if status, err := container.Wait(context.Background()); err != nil || status.Signal != syscall.SIGKILL {
		t.Error("after the deletion:", status, err)
	}
}

// A zombie in a pid namespace keeps its init from exiting: this process is not waited for.
func TestAbandonedChildrenDoNotHoldUpTheEnd(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	process, err := container.Exec(shell("exec sleep 1000"), berth.NoStdio())
	must(t, err)
	must(t, process.Close())
	ended := make(chan error, 1)
	go func() {
		_, err := container.Wait(within(t, longTime))
		ended <- err
	}()
	must(t, container.Signal(syscall.SIGKILL))
	must(t, <-ended)
}

// The parent, another process, reaps late.
func TestAStatusIsLearntFromAnotherParent(t *testing.T) {
	helper := exec.Command("/proc/self/exe")
	id := newID()
	helper.Env = append(os.Environ(), "BERTH_TEST_HELPER="+id, "BERTH_TEST_STATE="+stateRoot)
	helper.Stderr = os.Stderr
	stdin, err := helper.StdinPipe()
	must(t, err)
	stdout, err := helper.StdoutPipe()
	must(t, err)
	must(t, helper.Start())
	defer helper.Wait()
	defer stdin.Close()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal("the helper made no container:", err)
	}
	container, err := runtime.Load(id)
	must(t, err)
	defer container.ForceDelete()
	must(t, container.Signal(syscall.SIGKILL))
	pidfd, err := container.Pidfd()
	must(t, err)
	defer pidfd.Close()
	conn, err := pidfd.SyscallConn()
	must(t, err)
	asked := false
	must(t, conn.Read(func(uintptr) bool { asked = !asked; return !asked }))
	// The process has exited and is a zombie: now its parent reaps it.
	stdin.Close()
	status, err := container.Wait(within(t, longTime))
	if errors.Is(err, berth.ErrStatusUnknown) {
		t.Skip("the kernel does not tell the status of another's child (Linux 6.15)")
	}
	if err != nil || status.Signal != syscall.SIGKILL {
		t.Error(status, err)
	}
}

// asHelper creates a container, waits for end of file on its input, and then for the container.
func asHelper() bool {
	id := os.Getenv("BERTH_TEST_HELPER")
	if id == "" {
		return false
	}
	runtime, err := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: os.Getenv("BERTH_TEST_STATE")})
	if err != nil {
		panic(err)
	}
	config, err := berth.NewConfig(spec("sleep 1000"), rootfs)
	if err != nil {
		panic(err)
	}
	container, err := runtime.Run(id, config, berth.NoStdio())
	if err != nil {
		panic(err)
	}
	fmt.Println("made")
	io.Copy(io.Discard, os.Stdin)
	if _, err := container.Wait(context.Background()); err != nil {
		panic(err)
	}
	return true
}

func TestASubscriptionEndsWithItsContextAndWhenItIsClosed(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	events, err := container.MemoryPressureEvents(berth.PressureLow)
	if errors.Is(err, berth.ErrUnsupported) {
		t.Skip(err)
	}
	must(t, err)
	results := make(chan error, 8)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for reader := 0; reader < 8; reader++ {
		ctx := ctx
		if reader%2 == 1 {
			ctx = context.Background()
		}
		go func() {
			_, err := events.Read(ctx)
			results <- err
		}()
	}
	cancel()
	for reader := 0; reader < 4; reader++ {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	events.Close()
	for reader := 0; reader < 4; reader++ {
		if err := <-results; !errors.Is(err, berth.ErrInvalidArgument) {
			t.Error(err)
		}
	}

	ctx, cancel = context.WithCancel(context.Background())
	channel, err := container.NotifyMemoryPressure(ctx, berth.PressureLow)
	must(t, err)
	cancel()
	if occurred, open := <-channel; open {
		t.Error("nothing has occurred:", occurred)
	}
	// No goroutine receives from this channel.
	_, err = container.NotifyMemoryPressure(context.Background(), berth.PressureLow)
	must(t, err)
	goroutines := goruntime.NumGoroutine()
	must(t, container.Signal(syscall.SIGKILL))
	for limit := within(t, longTime); goruntime.NumGoroutine() >= goroutines; goruntime.Gosched() {
		must(t, limit.Err())
	}
}

func TestClosingAPipeEndsItsReader(t *testing.T) {
	options := berth.NoStdio()
	options.Stdout = berth.Pipe()
	container := run(t, "sleep 1000", options)
	process, err := container.InitProcess()
	must(t, err)
	_, stdout, _, err := process.TakeStdio()
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := stdout.Read(make([]byte, 1))
		ended <- err
	}()
	must(t, stdout.Close())
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
