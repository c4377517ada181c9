package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Request is what Perennial writes to the file behind --request. Fields that this trainer has no use for are left out;
// a later version of Perennial may add some, so unknown ones are no error.
type Request struct {
	SchemaVersion int                        `json:"schemaVersion"`
	Task          string                     `json:"task"`
	Train         Files                      `json:"train"`
	Validation    *Files                     `json:"validation"`
	FeatureNames  []string                   `json:"featureNames"`
	ClassNames    []string                   `json:"classNames"`
	Parameters    map[string]json.RawMessage `json:"parameters"`
	Threads       int                        `json:"threads"`
	MaxIterations int                        `json:"maxIterations"`
	MaxSeconds    float64                    `json:"maxSeconds"`
	ResumeFrom    string                     `json:"resumeFrom"`
	CheckpointDir string                     `json:"checkpointDir"`
	OutputDir     string                     `json:"outputDir"`
}

// Files are paths of .npy files.
type Files struct {
	Features string `json:"features"`
	Labels   string `json:"labels"`
	Weights  string `json:"weights"`
}

// Refusal is an error that the caller can mend; the program ends with code 2. Others end it with code 1.
type Refusal struct{ message string }

func (r Refusal) Error() string { return r.message }

func refuse(format string, values ...any) error { return Refusal{fmt.Sprintf(format, values...)} }

// errStopped ends the program with code 143 after a checkpoint.
var errStopped = fmt.Errorf("stopped")

func readRequest(path string) (*Request, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse("The request %s cannot be read.", path)
	}
	var request Request
	if err := json.Unmarshal(text, &request); err != nil {
		return nil, refuse("The request %s is malformed: %v.", path, err)
	}
	if request.SchemaVersion != 1 {
		return nil, refuse("The request has schema version %d; this trainer knows version 1.", request.SchemaVersion)
	}
	return &request, nil
}

// Session is one run of the trainer as its caller sees it.
type Session struct {
	request        *Request
	stopping       atomic.Bool
	started        time.Time
	lastCheckpoint time.Time
	interval       time.Duration
}

func newSession(request *Request) *Session {
	now := time.Now()
	s := &Session{request: request, started: now, lastCheckpoint: now, interval: 5 * time.Second}
	if seconds, err := time.ParseDuration(os.Getenv("PERENNIAL_CHECKPOINT_SECONDS") + "s"); err == nil {
		s.interval = seconds
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	// A caller that is gone reads no more: writing to it must not end the program before it has saved its work.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		<-signals
		s.stopping.Store(true)
	}()
	// The caller holds the other end of standard input and never writes: its end is the caller's end.
	if os.Getenv("PERENNIAL_WATCH_STDIN") == "1" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			s.stopping.Store(true)
		}()
	}
	return s
}

// outOfTime says whether no further iteration may begin.
func (s *Session) outOfTime() bool {
	return s.request.MaxSeconds > 0 && time.Since(s.started).Seconds() >= s.request.MaxSeconds
}

func (s *Session) checkpointDue() bool { return time.Since(s.lastCheckpoint) >= s.interval }

// emit prints one event as a line of JSON.
func (s *Session) emit(event map[string]any) {
	line, err := json.Marshal(event)
	if err != nil {
		return // a metric that is not finite
	}
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func (s *Session) log(format string, values ...any) {
	s.emit(map[string]any{"event": "log", "level": "info", "message": fmt.Sprintf(format, values...)})
}

func (s *Session) progress(iteration int, metrics map[string]float64) {
	s.emit(map[string]any{
		"event": "progress", "iteration": iteration, "maxIterations": s.request.MaxIterations, "metrics": metrics,
	})
}

// saveCheckpoint writes the state and tells the caller, who copies it away. The one before the last is deleted.
func (s *Session) saveCheckpoint(iteration int, state any) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	path := filepath.Join(s.request.CheckpointDir, fmt.Sprintf("checkpoint-%08d.json", iteration))
	if err := writeWhole(path, text); err != nil {
		return err
	}
	s.lastCheckpoint = time.Now()
	s.emit(map[string]any{"event": "checkpoint", "iteration": iteration, "path": path})
	names, err := filepath.Glob(filepath.Join(s.request.CheckpointDir, "checkpoint-????????.json"))
	for i := 0; err == nil && i < len(names)-3; i++ {
		_ = os.Remove(names[i]) // Glob sorts by name, so the oldest come first
	}
	return nil
}

// finish writes the model, and the result last: whoever sees the result sees a whole model.
func (s *Session) finish(model []byte, result map[string]any) error {
	if err := writeWhole(filepath.Join(s.request.OutputDir, "model.onnx"), model); err != nil {
		return err
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(s.request.OutputDir, "result.json"), text)
}

// writeWhole writes beside the place and renames: readers see the whole file or none.
func writeWhole(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
