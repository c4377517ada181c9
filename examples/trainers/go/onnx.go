package main

import (
	"encoding/binary"
	"math"
)

// The few messages of onnx.proto that a small graph takes, written as protobuf by hand: a field is its number and wire
// type as a varint, then a varint (type 0) or a length and so many bytes (type 2).
// https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

type message []byte

func (m *message) number(field int, value uint64) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3)
	*m = binary.AppendUvarint(*m, value)
}

func (m *message) bytes(field int, value []byte) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|2)
	*m = binary.AppendUvarint(*m, uint64(len(value)))
	*m = append(*m, value...)
}

func (m *message) text(field int, value string) { m.bytes(field, []byte(value)) }

const (
	irVersion = 8
	opset     = 17
	float32s  = 1 // TensorProto.FLOAT
	intKind   = 2 // AttributeProto.INT
)

// node is a NodeProto; axis, where it is not negative, its attribute of that name.
func node(operator, name string, inputs []string, output string, axis int) message {
	var m message
	for _, input := range inputs {
		m.text(1, input)
	}
	m.text(2, output)
	m.text(3, name)
	m.text(4, operator)
	if axis >= 0 {
		var attribute message
		attribute.text(1, "axis")
		attribute.number(3, uint64(axis))
		attribute.number(20, intKind)
		m.bytes(5, attribute)
	}
	return m
}

// tensor is a TensorProto of float32, little-endian.
func tensor(name string, shape []int, values []float64) message {
	var m message
	for _, length := range shape {
		m.number(1, uint64(length))
	}
	m.number(2, float32s)
	m.text(8, name)
	raw := make([]byte, 0, 4*len(values))
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(value)))
	}
	m.bytes(9, raw)
	return m
}

// matrixInfo is a ValueInfoProto of float32 [batch, columns].
func matrixInfo(name string, columns int) message {
	var batch, width, shape, kind, whole, m message
	batch.text(2, "batch")
	width.number(1, uint64(columns))
	shape.bytes(1, batch)
	shape.bytes(1, width)
	kind.number(1, float32s)
	kind.bytes(2, shape)
	whole.bytes(1, kind)
	m.text(1, name)
	m.bytes(2, whole)
	return m
}

// onnxModel is ((features - mean) * inverse) · matrix + bias, and for classes the softmax of that.
func onnxModel(m *Model) []byte {
	var graph, domain, model message
	matrix, bias, outputs := m.exported()
	result, scores := "prediction", "prediction"
	if m.classes > 0 {
		result, scores = "probabilities", "scores"
	}
	graph.bytes(1, node("Sub", "centre", []string{"features", "mean"}, "centred", -1))
	graph.bytes(1, node("Mul", "scale", []string{"centred", "inverse"}, "scaled", -1))
	graph.bytes(1, node("Gemm", "linear", []string{"scaled", "matrix", "bias"}, scores, -1))
	if m.classes > 0 {
		graph.bytes(1, node("Softmax", "softmax", []string{scores}, result, 1))
	}
	graph.text(2, "linear")
	graph.bytes(5, tensor("mean", []int{m.features}, m.mean))
	graph.bytes(5, tensor("inverse", []int{m.features}, m.inverse))
	graph.bytes(5, tensor("matrix", []int{m.features, outputs}, matrix))
	graph.bytes(5, tensor("bias", []int{outputs}, bias))
	graph.bytes(11, matrixInfo("features", m.features))
	graph.bytes(12, matrixInfo(result, outputs))
	domain.text(1, "")
	domain.number(2, opset)
	model.number(1, irVersion)
	model.text(2, "perennial-example-go")
	model.bytes(7, graph)
	model.bytes(8, domain)
	return model
}
