// Agent runs jobs in containers, as the agent of a cluster does on each node.
//
//	agent -rootfs DIR -state DIR -jobs DIR -records DIR [-metrics unix:PATH|tcp:HOST:PORT] [-grace 10s] [-backoff 1s]
//
// A job is a file NAME.json in the folder of jobs; move it there when it is complete:
//
//	{"args": ["sh", "-c", "make"], "timeout_seconds": 60, "restarts": 3, "memory_mib": 64, "cpus": 0.5}
//
// In the folder of records, NAME.json says how each attempt ended, and NAME.log has the job's output. On SIGTERM the agent
// stops its jobs and ends; when it is started again it runs those that have neither succeeded nor failed.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"berth"
)

type agent struct {
	runtime         *berth.Runtime
	rootfs, records string
	// The beginning of the containers' ids.
	prefix         string
	grace, backoff time.Duration

	running sync.WaitGroup
	mutex   sync.Mutex
	jobs    map[string]*job
}

// cleanUp deletes what a killed agent has left: containers that it was creating or deleting, and then complete ones. The
// state directory is this agent's alone.
func (a *agent) cleanUp() error {
	if _, err := a.runtime.Recover(); err != nil {
		return err
	}
	states, err := a.runtime.List()
	if err != nil {
		return err
	}
	for _, state := range states {
		container, err := a.runtime.Load(state.ID)
		if err != nil {
			return err
		}
		err = container.ForceDelete()
		container.Close()
		if err != nil {
			return err
		}
		log.Printf("%s: deleted, left by an agent that was killed", state.ID)
	}
	return nil
}

// takeJobs starts the jobs of the folder, and those that are added, until the context is done.
func (a *agent) takeJobs(ctx context.Context, folder string) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		files, _ := filepath.Glob(filepath.Join(folder, "*.json"))
		for _, file := range files {
			a.take(ctx, file)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *agent) take(ctx context.Context, file string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	name := strings.TrimSuffix(filepath.Base(file), ".json")
	if a.jobs[name] != nil {
		return
	}
	one := &job{name: name}
	a.jobs[name] = one
	if a.finished(name) {
		return
	}
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		a.run(ctx, one, file)
	}()
}

func main() {
	a := &agent{jobs: map[string]*job{}}
	var state, jobs, metrics string
	flag.StringVar(&a.rootfs, "rootfs", "", "root filesystem of all jobs")
	flag.StringVar(&state, "state", "", "directory for the state of the containers")
	flag.StringVar(&jobs, "jobs", "", "folder with the jobs")
	flag.StringVar(&a.records, "records", "", "folder for records and output")
	flag.StringVar(&metrics, "metrics", "tcp:127.0.0.1:9100", "where Prometheus can read metrics: unix:PATH or tcp:HOST:PORT")
	flag.StringVar(&a.prefix, "prefix", "job-", "beginning of the containers' ids")
	flag.DurationVar(&a.grace, "grace", 10*time.Second, "time between SIGTERM and SIGKILL")
	flag.DurationVar(&a.backoff, "backoff", time.Second, "time before the first restart; twice as long before each next one")
	flag.Parse()
	// Without -state it would be the default state root, which others share: cleanUp deletes all that is in it.
	for _, name := range []string{"state", "rootfs", "jobs", "records"} {
		if flag.Lookup(name).Value.String() == "" {
			log.Fatalf("-%s is missing", name)
		}
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var err error
	if a.runtime, err = berth.NewRuntime(&berth.RuntimeOptions{StateRoot: state}); err != nil {
		log.Fatal(err)
	}
	defer a.runtime.Close()
	if err := a.cleanUp(); err != nil {
		log.Fatal(err)
	}
	network, address, _ := strings.Cut(metrics, ":")
	if network == "unix" {
		// An agent that was killed has left its socket.
		_ = os.Remove(address)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(a.serveMetrics), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)

	a.takeJobs(ctx, jobs)
	// The context is done: every job is being stopped. Metrics are served until the last one has ended.
	log.Print("draining")
	a.running.Wait()
	server.Close()
	log.Print("stopped")
}
