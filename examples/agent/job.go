package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"berth"
)

// specification is what a job's file says.
type specification struct {
	Args           []string `json:"args"`
	Env            []string `json:"env"`
	TimeoutSeconds float64  `json:"timeout_seconds"`
	Restarts       int      `json:"restarts"`
	MemoryMiB      int64    `json:"memory_mib"`
	CPUs           float64  `json:"cpus"`
}

// attempt is how one container of a job ended.
type attempt struct {
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`
	Exit      string    `json:"exit,omitempty"`
	TimedOut  bool      `json:"timed_out,omitempty"`
	OOMKilled bool      `json:"oom_killed,omitempty"`
	// Stopped: it did not end by itself, but because the agent was stopped.
	Stopped bool `json:"stopped,omitempty"`
	// Error: why there is no exit status.
	Error string `json:"error,omitempty"`

	success bool
}

type job struct {
	name string

	mutex     sync.Mutex
	container *berth.Container // nil between attempts
	past      usage            // of earlier attempts
}

func readSpecification(file string) (spec specification, err error) {
	opened, err := os.Open(file)
	if err != nil {
		return spec, err
	}
	defer opened.Close()
	decoder := json.NewDecoder(opened)
	// A limit whose name is misspelled is no limit: refuse the job instead.
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&spec)
	return spec, err
}

// config is the default configuration with the job's process and limits.
func (a *agent) config(spec specification) (*berth.Config, error) {
	text, err := berth.DefaultConfigJSON()
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	var config object
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return nil, err
	}
	process := config["process"].(object)
	process["args"] = spec.Args
	process["env"] = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, spec.Env...)
	process["terminal"] = false
	resources := object{}
	if spec.MemoryMiB > 0 {
		resources["memory"] = object{"limit": spec.MemoryMiB << 20, "swap": spec.MemoryMiB << 20}
	}
	if spec.CPUs > 0 {
		resources["cpu"] = object{"period": 100000, "quota": int64(spec.CPUs * 100000)}
	}
	config["linux"].(object)["resources"] = resources
	return berth.NewConfig(config, a.rootfs)
}

// maxBackoff is the longest time before a restart.
const maxBackoff = time.Minute

// run runs a job until it has succeeded, has failed once more than it may be restarted, or the context is done.
func (a *agent) run(ctx context.Context, job *job, file string) {
	var config *berth.Config
	spec, err := readSpecification(file)
	if err == nil {
		config, err = a.config(spec)
	}
	if err != nil {
		a.record(job, "failed", []attempt{{Started: time.Now(), Error: err.Error()}})
		return
	}
	defer config.Close()

	var attempts []attempt
	for pause := a.backoff; ; pause *= 2 {
		if pause > maxBackoff {
			pause = maxBackoff
		}
		last := a.attempt(ctx, job, config, time.Duration(spec.TimeoutSeconds*float64(time.Second)))
		attempts = append(attempts, last)
		switch {
		case last.success:
			a.record(job, "succeeded", attempts)
			return
		case len(attempts) > spec.Restarts && !last.Stopped:
			a.record(job, "failed", attempts)
			return
		case ctx.Err() == nil:
			a.record(job, "restarting", attempts)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			a.record(job, "stopped", attempts)
			return
		}
	}
}

// attempt runs the job once, at most for the timeout; 0 is none.
func (a *agent) attempt(ctx context.Context, job *job, config *berth.Config, timeout time.Duration) (result attempt) {
	result.Started = time.Now()
	defer func() { result.Seconds = time.Since(result.Started).Seconds() }()
	output, err := os.OpenFile(filepath.Join(a.records, job.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		result.Error = err.Error()
		return
	}
	defer output.Close()
	streams := &berth.ProcessOptions{Stdin: berth.Null(), Stdout: berth.File(output), Stderr: berth.File(output)}
	container, err := a.runtime.Run(a.prefix+job.name, config, streams)
	if err != nil {
		result.Error, result.Stopped = err.Error(), ctx.Err() != nil
		return
	}
	defer container.Close()
	job.begin(container)

	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	status, err := container.Wait(ctx)
	if ctx.Err() != nil && err != nil {
		var ended bool
		why := err
		status, ended, err = a.stop(container)
		result.TimedOut = !ended && errors.Is(why, context.DeadlineExceeded)
		result.Stopped = !ended && errors.Is(why, context.Canceled)
	}
	if err == nil {
		result.Exit, result.success = status.String(), status.Success() && !result.TimedOut && !result.Stopped
		// Before the deletion, which also removes the kernel's counters. An error means that they do not exist.
		result.OOMKilled, _ = container.OOMKilled()
	} else {
		result.Error = err.Error()
	}
	job.end(container)
	if err := container.ForceDelete(); err != nil {
		log.Printf("%s: %v", job.name, err)
	}
	return
}

// stop asks a container to end, and kills it when it has not done so in time. It tells whether the container had ended
// already. Its waits need contexts of their own: the one that stops the job is done already.
func (a *agent) stop(container *berth.Container) (status berth.ExitStatus, ended bool, err error) {
	grace, cancel := context.WithTimeout(context.Background(), a.grace)
	defer cancel()
	err = container.Signal(syscall.SIGTERM)
	ended = errors.Is(err, berth.ErrNotRunning)
	if err != nil && !ended {
		return
	}
	status, err = container.Wait(grace)
	if !errors.Is(err, berth.ErrTimeout) {
		return
	}
	if err = container.SignalAll(syscall.SIGKILL); err != nil && !errors.Is(err, berth.ErrNotRunning) {
		return
	}
	status, err = container.Wait(context.Background())
	return
}
