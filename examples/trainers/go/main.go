// Linear trains ridge regression and logistic regression (of two or more classes) for Perennial, by accelerated
// gradient descent (Beck and Teboulle, 2009, with the restarts of O'Donoghue and Candès, 2015). It shows the contract
// of trainers in a language without a library for it; trainers/README.md of Perennial has the contract.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"strings"
)

const checkpointFormat = "perennial-example-go-1"

// State is all that the training needs to go on exactly where it was.
type State struct {
	Format    string
	Features  int
	Outputs   int
	Iteration int
	Weights   []float64
	Previous  []float64
	Momentum  float64
	Curvature float64
	Loss      float64
	Converged bool
}

// Parameters in force: the penalty l2 / 2 · ‖weights‖², biases excepted, and the steepest slope that counts as flat.
type Parameters struct {
	L2        float64 `json:"l2"`
	Tolerance float64 `json:"tolerance"`
}

func main() {
	path := flag.String("request", "", "file of the request")
	flag.Parse()
	err := run(*path)
	var refusal Refusal
	switch {
	case err == nil:
		return
	case errors.Is(err, errStopped):
		os.Exit(143)
	case errors.As(err, &refusal):
		fmt.Fprintln(os.Stderr, refusal.Error())
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func run(path string) error {
	if path == "" {
		return refuse("Give the request: --request request.json")
	}
	request, err := readRequest(path)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(max(1, request.Threads))
	session := newSession(request)
	parameters, err := readParameters(request.Parameters)
	if err != nil {
		return err
	}
	train, err := readFold(request, request.Train, "training")
	if err != nil {
		return err
	}
	var validation *Fold
	if request.Validation != nil {
		if validation, err = readFold(request, *request.Validation, "validation"); err != nil {
			return err
		}
	}
	model := newModel(train, len(request.ClassNames))
	model.scale(train)
	if validation != nil {
		model.scale(validation)
	}
	state := &State{
		Format: checkpointFormat, Features: model.features, Outputs: model.outputs, Momentum: 1, Curvature: 0.1,
		Weights: model.weights, Previous: model.weights, Loss: math.MaxFloat64,
	}
	if request.ResumeFrom != "" {
		if state, err = readCheckpoint(request.ResumeFrom, model); err != nil {
			return err
		}
		session.log("Goes on after %d iterations.", state.Iteration)
	}
	training := &Training{session, parameters, model, train, validation, state}
	if err := training.descend(); err != nil {
		return err
	}
	model.weights = training.state.Weights
	return session.finish(onnxModel(model), map[string]any{
		"schemaVersion": 1, "iterations": training.state.Iteration, "bestIteration": training.state.Iteration,
		"parameters": parameters, "libraries": map[string]string{"go": strings.TrimPrefix(runtime.Version(), "go")},
	})
}

func readParameters(given map[string]json.RawMessage) (Parameters, error) {
	parameters := Parameters{L2: 0.001, Tolerance: 1e-6}
	fields := map[string]*float64{"l2": &parameters.L2, "tolerance": &parameters.Tolerance}
	for name, value := range given {
		field := fields[name]
		if field == nil {
			allowed := make([]string, 0, len(fields))
			for known := range fields {
				allowed = append(allowed, known)
			}
			sort.Strings(allowed)
			return parameters, refuse("The parameter %q is unknown. Allowed: %s.", name, strings.Join(allowed, ", "))
		}
		if err := json.Unmarshal(value, field); err != nil || *field < 0 {
			return parameters, refuse("The parameter %q must be a number that is not negative.", name)
		}
	}
	return parameters, nil
}

func readCheckpoint(path string, model *Model) (*State, error) {
	const again = "Start again without resumeFrom."
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse("The checkpoint %s cannot be read. %s", path, again)
	}
	var state State
	if json.Unmarshal(text, &state) != nil || state.Format != checkpointFormat ||
		state.Features != model.features || state.Outputs != model.outputs ||
		len(state.Weights) != len(model.weights) || len(state.Previous) != len(model.weights) {
		return nil, refuse("The checkpoint %s is of another trainer or model. %s", path, again)
	}
	return &state, nil
}
