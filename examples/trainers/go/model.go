package main

import (
	"math"
	"sync"
	"sync/atomic"
)

// Model is a linear model of scaled features: one output for numbers and for two classes (the log odds of the second),
// one per class otherwise.
type Model struct {
	features, outputs int
	classes           int // 0 for numbers
	mean, inverse     []float64
	centre, deviation float64   // of the target, where it is a number
	weights           []float64 // outputs × (features + 1), the bias last
}

// newModel fits the scaling to the training rows; each row counts by its weight.
func newModel(train *Fold, classes int) *Model {
	m := &Model{features: train.columns, outputs: 1, classes: classes, deviation: 1}
	if classes > 2 {
		m.outputs = classes
	}
	m.mean, m.inverse = make([]float64, m.features), make([]float64, m.features)
	for column := range m.mean {
		mean, deviation := moments(train, func(row int) float64 { return float64(train.features[row*m.features+column]) })
		// As float32, as the exported graph has them.
		m.mean[column], m.inverse[column] = float64(float32(mean)), float64(float32(1/deviation))
	}
	if classes == 0 {
		m.centre, m.deviation = moments(train, func(row int) float64 { return train.labels[row] })
	}
	m.weights = make([]float64, m.outputs*(m.features+1))
	return m
}

// moments gives weighted mean and standard deviation; a constant has deviation 1.
func moments(fold *Fold, value func(row int) float64) (mean, deviation float64) {
	sum, total, squares := 0.0, 0.0, 0.0
	for row, weight := range fold.weights {
		sum += weight
		total += weight * value(row)
	}
	mean = total / sum
	for row, weight := range fold.weights {
		squares += weight * (value(row) - mean) * (value(row) - mean)
	}
	if deviation = math.Sqrt(squares / sum); deviation > 1e-12*math.Max(1, math.Abs(mean)) {
		return mean, deviation
	}
	return mean, 1
}

// scale turns the features of a fold, and numbers as labels, into what the weights are for. Once per fold.
func (m *Model) scale(fold *Fold) {
	for i, value := range fold.features {
		column := i % m.features
		fold.features[i] = float32((float64(value) - m.mean[column]) * m.inverse[column])
	}
	for i := range fold.labels {
		if m.classes == 0 {
			fold.labels[i] = (fold.labels[i] - m.centre) / m.deviation
		}
	}
}

// exported gives the weights as a [features, outputs] matrix and a bias in the unit of the target. Of two classes the
// first has the scores 0: its softmax with the log odds is their logistic function.
func (m *Model) exported() (matrix, bias []float64, outputs int) {
	outputs, first := m.outputs, 0
	if m.classes == 2 {
		outputs, first = 2, 1
	}
	matrix, bias = make([]float64, m.features*outputs), make([]float64, outputs)
	for k := 0; k < m.outputs; k++ {
		own := m.weights[k*(m.features+1):]
		for column := 0; column < m.features; column++ {
			matrix[column*outputs+first+k] = own[column] * m.deviation
		}
		bias[first+k] = own[m.features]*m.deviation + m.centre
	}
	return matrix, bias, outputs
}

const chunkRows = 4096

// loss is the weighted mean of half the squared error, or of the log loss, of weights that need not be the model's own.
// Where gradient is given it is filled. Rows are summed in chunks and the chunks in order, so that the result does not
// depend on the number of threads. It gives up, with false, when stopping becomes true.
func (m *Model) loss(fold *Fold, weights, gradient []float64, threads int, stopping *atomic.Bool) (float64, bool) {
	chunks := (fold.rows + chunkRows - 1) / chunkRows
	losses, masses := make([]float64, chunks), make([]float64, chunks)
	gradients := make([][]float64, chunks)
	var next atomic.Int64
	var group sync.WaitGroup
	for thread := 0; thread < max(1, min(threads, chunks)); thread++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for chunk := int(next.Add(1)) - 1; chunk < chunks && !stopping.Load(); chunk = int(next.Add(1)) - 1 {
				if gradient != nil {
					gradients[chunk] = make([]float64, len(weights))
				}
				end := min((chunk+1)*chunkRows, fold.rows)
				losses[chunk], masses[chunk] = m.chunk(fold, weights, gradients[chunk], chunk*chunkRows, end)
			}
		}()
	}
	group.Wait()
	if stopping.Load() {
		return 0, false
	}
	total, mass := 0.0, 0.0
	for chunk := range losses {
		total += losses[chunk]
		mass += masses[chunk]
	}
	for i := range gradient {
		gradient[i] = 0
		for chunk := range gradients {
			gradient[i] += gradients[chunk][i]
		}
		gradient[i] /= mass
	}
	return total / mass, true
}

func (m *Model) chunk(fold *Fold, weights, gradient []float64, begin, end int) (total, mass float64) {
	scores := make([]float64, m.outputs)
	for row := begin; row < end; row++ {
		features := fold.features[row*m.features : (row+1)*m.features]
		for k := range scores {
			own := weights[k*(m.features+1) : (k+1)*(m.features+1)]
			scores[k] = own[m.features]
			for column, value := range features {
				scores[k] += own[column] * float64(value)
			}
		}
		weight := fold.weights[row]
		total += weight * m.rowLoss(scores, fold.labels[row])
		mass += weight
		if gradient == nil {
			continue
		}
		for k, slope := range scores {
			own := gradient[k*(m.features+1) : (k+1)*(m.features+1)]
			for column, value := range features {
				own[column] += weight * slope * float64(value)
			}
			own[m.features] += weight * slope
		}
	}
	return total, mass
}

// rowLoss turns the scores of a row into the slopes of its loss.
func (m *Model) rowLoss(scores []float64, label float64) float64 {
	switch {
	case m.classes == 0:
		scores[0] -= label
		return scores[0] * scores[0] / 2
	case m.classes == 2:
		odds := scores[0]
		scores[0] = 1/(1+math.Exp(-odds)) - label
		return math.Max(odds, 0) - odds*label + math.Log1p(math.Exp(-math.Abs(odds)))
	}
	highest, sum := math.Inf(-1), 0.0
	for _, score := range scores {
		highest = math.Max(highest, score)
	}
	own := scores[int(label)] - highest
	for k, score := range scores {
		scores[k] = math.Exp(score - highest)
		sum += scores[k]
	}
	for k := range scores {
		scores[k] /= sum
	}
	scores[int(label)]--
	return math.Log(sum) - own
}
