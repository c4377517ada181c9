import { PerennialError } from '../../contracts/errors.ts';
import { isTextInput, type ModelSignature } from '../../contracts/serving.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { renameValues } from './embed.ts';
import { DEFAULT_OPSET, OnnxGraphBuilder, readModel } from './graph.ts';
import { inputKinds } from './metadata.ts';
import { outputNames, probabilityNames } from './output-names.ts';
import { dimensions, trainedGraph } from './trained-graph.ts';

/** What the outputs of a composed model mean. */
export interface ComposeOptions {
  task: Task;
  /** Class i of the trainer's probabilities is `classNames[i]`. Empty for regression. */
  classNames: readonly string[];
  /** Binary: the class whose probability is given; by default the second one. */
  positiveClass?: string;
  /** Binary: the label is the positive class from this probability on. Default 0.5. */
  threshold?: number;
}

/**
 * Joins the preprocessing graph and a trainer's model into the one graph that is served, and adds the outputs that
 * any ONNX host can give: all inputs and outputs have rank 1, `[batch]`.
 *
 * - binary: `label` (text), `probability` (of the positive class)
 * - multiclass: `label`, `probability_<class>` for each class ({@link probabilityNames})
 * - regression: `prediction`
 *
 * Inputs keep the names of the raw columns; inner names get a prefix, so that they cannot collide. The trainer's
 * model may have any opset up to the preprocessing graph's (17, or 20 where the features have texts or crosses) with
 * `ai.onnx.ml` up to 3 (exporters declare the oldest one that will do), as long as its operators mean the same in that
 * opset, which the composed graph has; any other is refused.
 *
 * @throws PerennialError `ModelInvalid` where a graph is not what its contract says, `FeatureInvalid` where a feature
 *   column has the name of an output, `InputInvalid` for classes or a threshold that cannot be
 * @example
 * const { onnx, signature } = composeModel(preprocess, trained, { task: 'binary', classNames: ['no', 'yes'] });
 */
export function composeModel(
  preprocess: Uint8Array,
  model: Uint8Array,
  options: ComposeOptions,
): { onnx: Uint8Array; signature: ModelSignature } {
  const { task, classNames } = options;
  requireOptions(options);
  const before = readModel(preprocess);
  const inputs = inputKinds(before);
  const [features] = before.graph.output;
  const width = features && dimensions(features)?.[1];
  if (!features || width === undefined) {
    throw new PerennialError(
      'ModelInvalid',
      'The preprocessing graph has no output [batch, f]: build it again.',
    );
  }
  const opset = Number(before.opsetImport.find(({ domain }) => domain === '')?.version ?? DEFAULT_OPSET);
  const trained = trainedGraph(model, task, width, classNames.length, opset);
  const names = outputNames(task, classNames);
  const clash = inputs.find(({ name }) => names.includes(name));
  if (clash) {
    throw new PerennialError(
      'FeatureInvalid',
      `The feature column "${clash.name}" has the name of an output of the model: rename it in the data's SQL, or ignore it.`,
    );
  }

  const raw = new Set(inputs.map(({ name }) => name));
  const prefix = (text: string) => {
    let free = text;
    while ([...raw].some((name) => name.startsWith(free))) free = `_${free}`;
    return (name: string) => `${free}${name}`;
  };
  const inner = prefix('preprocess/');
  const matrix = inner(features.name);
  renameValues(before.graph, (name) => (raw.has(name) ? name : inner(name)));
  const own = prefix('model/');
  renameValues(trained.model.graph, (name) => (name === trained.input ? matrix : own(name)));

  const graph = new OnnxGraphBuilder('perennial', opset);
  for (const { name, kind } of inputs) {
    graph.input(name, isTextInput(kind) ? 'string' : kind === 'datetime' ? 'double' : 'float', ['batch']);
  }
  graph.embed(before);
  graph.embed(trained.model);
  addOutputs(graph, own(trained.output), options);
  const signature: ModelSignature = {
    inputs: inputs.map(({ name, kind }) => ({ name, kind, optional: true })),
    outputs: names.map((name) => ({ name, kind: name === 'label' ? 'string' : 'float' })),
  };
  const metadata = {
    'perennial.task': task,
    'perennial.signature': JSON.stringify(signature),
    ...(task === 'regression' ? {} : { 'perennial.classes': JSON.stringify(classNames) }),
    ...(task === 'binary'
      ? {
          'perennial.positive': positiveClass(options),
          'perennial.threshold': String(options.threshold ?? 0.5),
        }
      : {}),
  };
  return { onnx: graph.build(metadata), signature };
}

function addOutputs(graph: OnnxGraphBuilder, answers: string, options: ComposeOptions): void {
  const { task, classNames } = options;
  const scalar = (hint: string, value: number) =>
    graph.initializer(hint, { type: 'int64', dims: [], data: [value] });
  const column = (index: number, output: string) => {
    graph.op('Gather', [answers, scalar('class', index)], { attributes: { axis: 1n }, output });
    return output;
  };
  const classes = (names: readonly string[]) =>
    graph.initializer('classes', { type: 'string', dims: [names.length], data: names });
  const label = (index: string, names: readonly string[]) => {
    graph.op('Gather', [classes(names), index], { attributes: { axis: 0n }, output: 'label' });
    graph.output('label', 'string', ['batch']);
  };
  switch (task) {
    case 'regression': {
      const flat = graph.initializer('flat', { type: 'int64', dims: [1], data: [-1] });
      graph.op('Reshape', [answers, flat], { output: 'prediction' });
      graph.output('prediction', 'float', ['batch']);
      break;
    }
    case 'binary': {
      const positive = positiveClass(options);
      const probability = column(classNames.indexOf(positive), 'probability');
      const data = [options.threshold ?? 0.5];
      const threshold = graph.initializer('threshold', { type: 'float', dims: [], data });
      const reached = graph.op('GreaterOrEqual', [probability, threshold]);
      const index = graph.op('Cast', [reached], { attributes: { to: 7n } });
      label(index, [...classNames.filter((name) => name !== positive), positive]);
      graph.output(probability, 'float', ['batch']);
      break;
    }
    case 'multiclass': {
      label(graph.op('ArgMax', [answers], { attributes: { axis: 1n, keepdims: 0n } }), classNames);
      probabilityNames(classNames).forEach((name, index) => {
        graph.output(column(index, name), 'float', ['batch']);
      });
      break;
    }
  }
}

function positiveClass({ classNames, positiveClass }: ComposeOptions): string {
  return positiveClass ?? classNames[1] ?? '';
}

function requireOptions(options: ComposeOptions): void {
  const { task, classNames, threshold = 0.5 } = options;
  const refuse = (message: string): never => {
    throw new PerennialError('InputInvalid', message);
  };
  if (new Set(classNames).size < classNames.length) refuse('Two classes have the same name.');
  if (task === 'binary' && classNames.length !== 2)
    refuse(`A binary model needs 2 classes, not ${classNames.length}.`);
  if (task === 'multiclass' && classNames.length < 2) refuse('A multi-class model needs at least 2 classes.');
  if (task === 'regression' && classNames.length > 0) refuse('A regression has no classes.');
  if (task === 'binary' && !classNames.includes(positiveClass(options)))
    refuse(`The positive class "${positiveClass(options)}" is none of the classes ${classNames.join(', ')}.`);
  if (!(threshold >= 0 && threshold <= 1)) refuse(`The threshold ${threshold} is no probability.`);
}
