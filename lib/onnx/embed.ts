import { PerennialError } from '../../contracts/errors.ts';
import type { GraphProto, NodeProto, ValueInfoProto } from './onnx_pb.ts';
import { TensorProto_DataLocation } from './onnx_pb.ts';
import { subgraphs } from './operator-versions.ts';

/**
 * Keeps of a graph only what its output `output` needs, and makes that its only output: exporters add labels and
 * maps that nobody reads.
 */
export function keepOutput(graph: GraphProto, output: ValueInfoProto): void {
  const needed = new Set([output.name]);
  const kept: NodeProto[] = [];
  for (const node of [...graph.node].reverse()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    kept.unshift(node);
    for (const name of namesRead(node)) needed.add(name);
  }
  graph.node = kept;
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name));
  graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => values && needed.has(values.name));
  graph.output = [output];
}

/**
 * Renames every value, node and dimension of a graph, those of its inner graphs included.
 *
 * @param rename gives the new name; `''` (an input that is left out) is never renamed
 */
export function renameValues(graph: GraphProto, rename: (name: string) => string): void {
  const named = (name: string) => (name === '' ? '' : rename(name));
  for (const part of [graph, ...subgraphs(graph)]) {
    for (const node of part.node) {
      node.input = node.input.map(named);
      node.output = node.output.map(named);
      node.name = named(node.name);
    }
    for (const value of [...part.initializer, ...part.input, ...part.output, ...part.valueInfo])
      value.name = named(value.name);
    for (const { values, indices } of part.sparseInitializer) {
      if (values) values.name = named(values.name);
      if (indices) indices.name = named(indices.name);
    }
    for (const annotation of part.quantizationAnnotation)
      annotation.tensorName = named(annotation.tensorName);
  }
}

/** @throws PerennialError `ModelInvalid` where a tensor of the graph lies in another file */
export function requireSelfContained(graph: GraphProto): void {
  for (const part of [graph, ...subgraphs(graph)]) {
    const attributeTensors = part.node.flatMap(({ attribute }) =>
      attribute.flatMap(({ t, tensors }) => (t ? [t, ...tensors] : tensors)),
    );
    for (const tensor of [...part.initializer, ...attributeTensors]) {
      if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) continue;
      throw new PerennialError(
        'ModelInvalid',
        `The tensor "${tensor.name}" of the trained model lies in another file: export the model into one file.`,
      );
    }
  }
}

function namesRead(node: NodeProto): string[] {
  const inner = node.attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs));
  return [
    ...node.input,
    // An inner graph may read any value of the graph around it, or return one unchanged.
    ...inner.flatMap((graph) => [...graph.node.flatMap(namesRead), ...graph.output.map(({ name }) => name)]),
  ];
}
