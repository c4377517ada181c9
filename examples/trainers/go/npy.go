package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Fold is one part of the data: features row by row, labels as numbers (class indices or targets), a weight per row.
type Fold struct {
	rows, columns int
	features      []float32
	labels        []float64
	weights       []float64
}

// readFold reads and checks one part of the request.
func readFold(request *Request, files Files, what string) (*Fold, error) {
	data, shape, err := readNpy(files.Features, "<f4", 2, what+" features")
	if err != nil {
		return nil, err
	}
	fold := &Fold{rows: shape[0], columns: shape[1], features: floats(data)}
	if fold.rows == 0 || fold.columns == 0 {
		return nil, refuse("The %s features are empty (%d rows, %d columns).", what, fold.rows, fold.columns)
	}
	if fold.columns != len(request.FeatureNames) {
		return nil, refuse("The %s features have %d columns but %d names.", what, fold.columns, len(request.FeatureNames))
	}
	for i, value := range fold.features {
		if v := float64(value); math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, refuse("The %s features hold missing or infinite values in %q. Give the candidate \"features\": \"linear\".",
				what, request.FeatureNames[i%fold.columns])
		}
	}
	if fold.labels, err = readLabels(request, files.Labels, fold.rows, what); err != nil {
		return nil, err
	}
	fold.weights, err = readWeights(files.Weights, fold.rows, what)
	return fold, err
}

func readLabels(request *Request, path string, rows int, what string) ([]float64, error) {
	regression := request.Task == "regression"
	dtype := "<i4"
	if regression {
		dtype = "<f4"
	}
	data, shape, err := readNpy(path, dtype, 1, what+" labels")
	if err != nil {
		return nil, err
	}
	if shape[0] != rows {
		return nil, refuse("The %s features have %d rows and the labels %d.", what, rows, shape[0])
	}
	labels := make([]float64, rows)
	for i := range labels {
		bits := binary.LittleEndian.Uint32(data[4*i:])
		if regression {
			labels[i] = float64(math.Float32frombits(bits))
			if math.IsNaN(labels[i]) || math.IsInf(labels[i], 0) {
				return nil, refuse("The %s labels hold missing or infinite values.", what)
			}
			continue
		}
		labels[i] = float64(int32(bits))
		if labels[i] < 0 || int(labels[i]) >= len(request.ClassNames) {
			return nil, refuse("The %s labels must be class indices from 0 to %d.", what, len(request.ClassNames)-1)
		}
	}
	return labels, nil
}

func readWeights(path string, rows int, what string) ([]float64, error) {
	weights := make([]float64, rows)
	if path == "" {
		for i := range weights {
			weights[i] = 1
		}
		return weights, nil
	}
	data, shape, err := readNpy(path, "<f4", 1, what+" weights")
	if err != nil {
		return nil, err
	}
	if shape[0] != rows {
		return nil, refuse("The %s features have %d rows and the weights %d.", what, rows, shape[0])
	}
	sum := 0.0
	for i, value := range floats(data) {
		weights[i] = float64(value)
		sum += weights[i]
		if !(weights[i] >= 0) || math.IsInf(weights[i], 0) {
			return nil, refuse("The %s weights must be finite and not negative.", what)
		}
	}
	if sum == 0 {
		return nil, refuse("The %s weights are all zero.", what)
	}
	return weights, nil
}

var header = regexp.MustCompile(`'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\)`)

// readNpy gives the bytes behind the header of a .npy file (version 1.0, C order) and its shape.
func readNpy(path, dtype string, dimensions int, what string) ([]byte, []int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, refuse("The %s cannot be read: %s.", what, path)
	}
	if len(content) < 10 || !bytes.HasPrefix(content, []byte("\x93NUMPY\x01")) {
		return nil, nil, refuse("The %s are no .npy file of version 1.", what)
	}
	begin := 10 + int(binary.LittleEndian.Uint16(content[8:]))
	if begin > len(content) {
		return nil, nil, refuse("The %s are cut off.", what)
	}
	found := header.FindSubmatch(content[10:begin])
	if found == nil || string(found[1]) != dtype || string(found[2]) != "False" {
		return nil, nil, refuse("The %s must be %s in C order.", what, dtype)
	}
	var shape []int
	size := 4
	for _, word := range strings.Split(string(found[3]), ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		length, err := strconv.Atoi(word)
		if err != nil {
			return nil, nil, refuse("The %s have a shape that is none.", what)
		}
		shape = append(shape, length)
		size *= length
	}
	if len(shape) != dimensions || len(content)-begin != size {
		return nil, nil, refuse("The %s must have %d dimension(s) and as many bytes as these say.", what, dimensions)
	}
	return content[begin:], shape, nil
}

func floats(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}
