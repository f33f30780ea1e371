package main

import (
	"fmt"
	"net/http"
	"sort"
	"time"

	"berth"
)

// usage is what a job has used, over all its attempts.
type usage struct {
	attempts uint64
	cpu      time.Duration
	oomKills uint64
	// memory is what it uses now.
	memory uint64
}

// plus adds the statistics of a container, which begin at zero with each attempt.
func (u usage) plus(stats berth.Stats) usage {
	u.cpu += stats.CPUUsage.Duration()
	if stats.OOMKills.Known() {
		u.oomKills += uint64(stats.OOMKills)
	}
	if stats.MemoryUsage.Known() {
		u.memory = uint64(stats.MemoryUsage)
	}
	return u
}

// begin makes a container the job's current one.
func (j *job) begin(container *berth.Container) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.container = container
	j.past.attempts++
}

// end keeps the final numbers of the current container, which is going to be deleted.
func (j *job) end(container *berth.Container) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if stats, err := container.Stats(); err == nil {
		j.past = j.past.plus(stats)
	}
	j.past.memory = 0
	j.container = nil
}

func (j *job) usage() usage {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.container != nil {
		if stats, err := j.container.Stats(); err == nil {
			return j.past.plus(stats)
		}
	}
	return j.past
}

// serveMetrics writes the metrics of all jobs in Prometheus' text format, in which lines of one metric stand together.
func (a *agent) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	used := map[string]usage{}
	a.mutex.Lock()
	for name, job := range a.jobs {
		used[name] = job.usage()
	}
	a.mutex.Unlock()
	names := make([]string, 0, len(used))
	for name := range used {
		names = append(names, name)
	}
	sort.Strings(names)

	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, metric := range []struct {
		name, kind, help string
		value            func(usage) float64
	}{
		{"job_attempts_total", "counter", "Containers that were started for the job.",
			func(u usage) float64 { return float64(u.attempts) }},
		{"job_cpu_seconds_total", "counter", "CPU time of all attempts.",
			func(u usage) float64 { return u.cpu.Seconds() }},
		{"job_memory_bytes", "gauge", "Memory that the job uses now, including the page cache.",
			func(u usage) float64 { return float64(u.memory) }},
		{"job_oom_kills_total", "counter", "Processes that the OOM killer has killed.",
			func(u usage) float64 { return float64(u.oomKills) }},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", metric.name, metric.help, metric.name, metric.kind)
		for _, name := range names {
			fmt.Fprintf(w, "%s{job=%q} %v\n", metric.name, name, metric.value(used[name]))
		}
	}
}
