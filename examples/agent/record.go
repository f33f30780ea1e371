package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
)

// record is the file that tells what has become of a job.
type record struct {
	// State is "succeeded" or "failed", or "restarting" or "stopped" if the job is not finished.
	State    string    `json:"state"`
	Attempts []attempt `json:"attempts"`
}

func (a *agent) recordOf(name string) string {
	return filepath.Join(a.records, name+".json")
}

// record writes the record of a job. Readers see the previous one or the new one, never a part.
func (a *agent) record(job *job, state string, attempts []attempt) {
	log.Printf("%s: %s after %d attempts", job.name, state, len(attempts))
	text, err := json.MarshalIndent(record{state, attempts}, "", "  ")
	if err == nil {
		err = os.WriteFile(a.recordOf(job.name)+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(a.recordOf(job.name)+".new", a.recordOf(job.name))
	}
	if err != nil {
		log.Printf("%s: %v", job.name, err)
	}
}

// finished reports whether an earlier agent has finished the job.
func (a *agent) finished(name string) bool {
	var found record
	text, err := os.ReadFile(a.recordOf(name))
	if err != nil || json.Unmarshal(text, &found) != nil {
		return false
	}
	return found.State == "succeeded" || found.State == "failed"
}
