package main

import "math"

// Training is a training in progress.
type Training struct {
	session           *Session
	parameters        Parameters
	model             *Model
	train, validation *Fold
	state             *State
}

// descend runs until the slope is flat, or the iterations or the time are used up. Each iteration makes a new state
// from the last one, which is saved as it is when the training is to stop in between.
func (t *Training) descend() error {
	request := t.session.request
	for !t.state.Converged && t.state.Iteration < request.MaxIterations {
		if t.session.outOfTime() {
			t.session.log("%v seconds are used up after %d iterations.", request.MaxSeconds, t.state.Iteration)
			return nil
		}
		next, whole := t.step()
		if whole {
			t.state = next
			whole = t.report()
		}
		if !whole || t.session.stopping.Load() {
			if err := t.session.saveCheckpoint(t.state.Iteration, t.state); err != nil {
				return err
			}
			return errStopped
		}
		if t.session.checkpointDue() {
			if err := t.session.saveCheckpoint(t.state.Iteration, t.state); err != nil {
				return err
			}
		}
	}
	return nil
}

// step is one iteration; false where the training was told to stop in the middle of it.
func (t *Training) step() (*State, bool) {
	s := t.state
	size := len(s.Weights)
	momentum := (1 + math.Sqrt(1+4*s.Momentum*s.Momentum)) / 2
	ahead := make([]float64, size)
	for i := range ahead {
		ahead[i] = s.Weights[i] + (s.Momentum-1)/momentum*(s.Weights[i]-s.Previous[i])
	}
	gradient := make([]float64, size)
	value, whole := t.penalised(ahead, gradient)
	if !whole {
		return nil, false
	}
	weights := make([]float64, size)
	curvature := s.Curvature
	for {
		bound, steepest := value, 0.0
		for i, slope := range gradient {
			weights[i] = ahead[i] - slope/curvature
			bound -= slope * slope / (2 * curvature)
			steepest = math.Max(steepest, math.Abs(slope))
		}
		loss, whole := t.penalised(weights, nil)
		if !whole {
			return nil, false
		}
		// The step was too long where the loss lies above the parabola that it stands on.
		if loss > bound+1e-12*math.Max(1, math.Abs(value)) && curvature < 1e12 {
			curvature *= 2
			continue
		}
		if loss > s.Loss {
			momentum = 1 // it overshot: the next step starts without a run-up
		}
		return &State{
			Format: s.Format, Features: s.Features, Outputs: s.Outputs, Iteration: s.Iteration + 1, Weights: weights,
			Previous: s.Weights, Momentum: momentum, Curvature: curvature, Loss: loss,
			Converged: steepest < t.parameters.Tolerance,
		}, true
	}
}

// penalised is the training loss with the penalty.
func (t *Training) penalised(weights, gradient []float64) (float64, bool) {
	loss, whole := t.model.loss(t.train, weights, gradient, t.session.request.Threads, &t.session.stopping)
	for i, weight := range weights {
		if i%(t.model.features+1) == t.model.features {
			continue
		}
		loss += t.parameters.L2 / 2 * weight * weight
		if gradient != nil {
			gradient[i] += t.parameters.L2 * weight
		}
	}
	return loss, whole
}

// report tells of the iteration that was just made; false where the training was told to stop meanwhile.
func (t *Training) report() bool {
	metrics := map[string]float64{}
	folds := map[string]*Fold{"train_": t.train, "validation_": t.validation}
	for prefix, fold := range folds {
		if fold == nil {
			continue
		}
		loss, whole := t.model.loss(fold, t.state.Weights, nil, t.session.request.Threads, &t.session.stopping)
		if !whole {
			return false
		}
		if t.model.classes == 0 {
			metrics[prefix+"rmse"] = math.Sqrt(2*loss) * t.model.deviation
		} else {
			metrics[prefix+"log_loss"] = loss
		}
	}
	t.session.progress(t.state.Iteration, metrics)
	return true
}
