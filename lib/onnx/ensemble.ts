import { PerennialError } from '../../contracts/errors.ts';
import type { Combination } from '../../contracts/finishing.ts';
import { isTextInput, type ModelSignature } from '../../contracts/serving.ts';
import { addCalibration } from './calibration-graph.ts';
import { addCombination, requireCombination } from './combination-graph.ts';
import { renameValues } from './embed.ts';
import { DEFAULT_OPSET, OnnxGraphBuilder, readModel } from './graph.ts';
import { type InputKinds, inputKinds } from './metadata.ts';
import {
  addAnswers,
  addOutputs,
  type ComposeOptions,
  outputMetadata,
  requireOptions,
} from './model-outputs.ts';
import type { GraphProto, ModelProto } from './onnx_pb.ts';
import { requireSupportedOperators } from './operator-versions.ts';
import { outputNames } from './output-names.ts';
import { dimensions, trainedGraph } from './trained-graph.ts';

/** One model of an ensemble: what a trainer gave, and the graph that made its features. */
export interface EnsembleMember {
  /** How errors call it. */
  name?: string;
  /** Members with the same bytes here share the graph. */
  preprocess: Uint8Array;
  model: Uint8Array;
}

/** A preprocessing graph that is to be a part of the model. */
interface Preprocessing {
  bytes: Uint8Array;
  model: ModelProto & { graph: GraphProto };
  inputs: InputKinds;
  /** Name and width of its output. */
  matrix: string;
  width: number;
  opset: number;
}

/**
 * Joins several models into the one graph that is served, with the inputs and outputs that a single one has
 * (`composeModel`, which is the ensemble of one). Members may have different preprocessing graphs, as those of trees and
 * linear models are; the inputs are the raw columns of all of them.
 *
 * Answers are combined in double, then calibrated, then compared with the threshold. Metadata: `perennial.ensemble`
 * beside that of a single model.
 *
 * @throws PerennialError `ModelInvalid` where a graph is not what its contract says, or a raw column is of one kind for one
 *   member and of another for the next; `FeatureInvalid` where a feature column has the name of an output; `InputInvalid`
 *   for options or a combination that cannot be
 * @example
 * const members = [{ preprocess: tree, model: lightgbm }, { preprocess: linear, model: logistic }];
 * const { onnx, signature } = composeEnsemble(members, { method: 'average' }, options);
 */
export function composeEnsemble(
  members: readonly EnsembleMember[],
  combination: Combination,
  options: ComposeOptions,
): { onnx: Uint8Array; signature: ModelSignature } {
  const { task, classNames } = options;
  requireOptions(options);
  requireCombination(combination, members.length, options);
  const preprocessings = distinct(members.map(({ preprocess }) => preprocess)).map(readPreprocessing);
  const opset = Math.max(...preprocessings.map((own) => own.opset));
  const inputs = joinedInputs(preprocessings);
  const names = outputNames(task, classNames);
  const clash = inputs.find(({ name }) => names.includes(name));
  if (clash) {
    throw new PerennialError(
      'FeatureInvalid',
      `The feature column "${clash.name}" has the name of an output of the model: rename it in the data's SQL, or ignore it.`,
    );
  }

  const graph = new OnnxGraphBuilder('perennial', opset);
  for (const { name, kind } of inputs) {
    graph.input(name, isTextInput(kind) ? 'string' : kind === 'datetime' ? 'double' : 'float', ['batch']);
  }
  const raw = new Set(inputs.map(({ name }) => name));
  const prefix = (text: string, place: number) => {
    let free = place === 0 ? `${text}/` : `${text}${place + 1}/`;
    while ([...raw].some((name) => name.startsWith(free))) free = `_${free}`;
    return (name: string) => `${free}${name}`;
  };
  const matrices = preprocessings.map(({ model, inputs: own, matrix }, place) => {
    requireSupportedOperators(model, opset, 'The preprocessing graph');
    const columns = new Set(own.map(({ name }) => name));
    const inner = prefix('preprocess', place);
    renameValues(model.graph, (name) => (columns.has(name) ? name : inner(name)));
    graph.embed(model);
    return inner(matrix);
  });
  const answers = members.map((member, place) => {
    const own = preprocessings.findIndex(({ bytes }) => same(bytes, member.preprocess));
    const width = preprocessings[own]?.width ?? 0;
    const read = () => trainedGraph(member.model, task, width, classNames.length, opset);
    const trained = members.length === 1 ? read() : named(member.name ?? `${place + 1}`, read);
    const inner = prefix('model', place);
    renameValues(trained.model.graph, (name) =>
      name === trained.input ? (matrices[own] ?? '') : inner(name),
    );
    graph.embed(trained.model);
    return addAnswers(graph, inner(trained.output), options);
  });
  const combined = addCombination(graph, answers, combination, options);
  const { calibration } = options;
  addOutputs(graph, calibration ? addCalibration(graph, combined, calibration) : combined, options);

  const signature: ModelSignature = {
    inputs: inputs.map(({ name, kind }) => ({ name, kind, optional: true })),
    outputs: names.map((name) => ({ name, kind: name === 'label' ? 'string' : 'float' })),
  };
  const metadata = {
    ...outputMetadata(options),
    'perennial.signature': JSON.stringify(signature),
    ...(members.length > 1
      ? { 'perennial.ensemble': JSON.stringify({ members: members.length, ...combination }) }
      : {}),
  };
  return { onnx: graph.build(metadata), signature };
}

function readPreprocessing(bytes: Uint8Array): Preprocessing {
  const model = readModel(bytes);
  const inputs = inputKinds(model);
  const [features] = model.graph.output;
  const width = features && dimensions(features)?.[1];
  if (!features || width === undefined) {
    throw new PerennialError(
      'ModelInvalid',
      'The preprocessing graph has no output [batch, f]: build it again.',
    );
  }
  const opset = Number(model.opsetImport.find(({ domain }) => domain === '')?.version ?? DEFAULT_OPSET);
  return { bytes, model, inputs, matrix: features.name, width, opset };
}

/** The raw columns of all graphs, in the order in which they first appear. */
function joinedInputs(preprocessings: readonly Preprocessing[]): InputKinds {
  const inputs = new Map<string, InputKinds[number]>();
  for (const input of preprocessings.flatMap((own) => own.inputs)) {
    const known = inputs.get(input.name) ?? input;
    if (known.kind !== input.kind) {
      throw new PerennialError(
        'ModelInvalid',
        `The column "${input.name}" is ${known.kind} for one member of the ensemble and ${input.kind} for another: train them on features of the same spec.`,
      );
    }
    inputs.set(input.name, known);
  }
  return [...inputs.values()];
}

/** Adds to an error which member it is about. */
function named<T>(member: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    throw new PerennialError(error.code, `Member "${member}": ${error.message}`, error.retryable, {
      cause: error,
    });
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

const distinct = (all: readonly Uint8Array[]): Uint8Array[] =>
  all.filter((bytes, place) => all.findIndex((other) => same(other, bytes)) === place);
