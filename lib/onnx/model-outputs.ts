import { PerennialError } from '../../contracts/errors.ts';
import type { Calibration } from '../../contracts/finishing.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { OnnxGraphBuilder } from './graph.ts';
import { probabilityNames } from './output-names.ts';

/** What the outputs of a composed model mean. */
export interface ComposeOptions {
  task: Task;
  /** Class i of the trainer's probabilities is `classNames[i]`. Empty for regression. */
  classNames: readonly string[];
  /** Binary: the class whose probability is given; by default the second one. */
  positiveClass?: string;
  /** Binary: the label is the positive class from this probability on, the calibrated one. Default 0.5. */
  threshold?: number;
  /** Corrects the probabilities; none for a regression. */
  calibration?: Calibration;
}

/** The class whose probability a binary model gives. */
export function positiveClass({ classNames, positiveClass }: ComposeOptions): string {
  return positiveClass ?? classNames[1] ?? '';
}

/**
 * A trainer's output in the shape of the answers: binary the probability of the positive class `[batch]`, multi-class
 * the probabilities `[batch, classes]`, regression the predictions `[batch]`.
 */
export function addAnswers(graph: OnnxGraphBuilder, output: string, options: ComposeOptions): string {
  switch (options.task) {
    case 'binary':
      return addColumn(graph, output, options.classNames.indexOf(positiveClass(options)));
    case 'multiclass':
      return output;
    case 'regression':
      return graph.op('Reshape', [
        output,
        graph.initializer('flat', { type: 'int64', dims: [1], data: [-1] }),
      ]);
  }
}

/** Makes the outputs of the model from its answers. */
export function addOutputs(graph: OnnxGraphBuilder, answers: string, options: ComposeOptions): void {
  const { task, classNames } = options;
  const output = (name: string) => {
    graph.output(graph.op('Identity', [answers], { output: name }), 'float', ['batch']);
  };
  const label = (index: string, names: readonly string[]) => {
    const classes = graph.initializer('classes', { type: 'string', dims: [names.length], data: names });
    graph.op('Gather', [classes, index], { attributes: { axis: 0n }, output: 'label' });
    graph.output('label', 'string', ['batch']);
  };
  switch (task) {
    case 'regression':
      output('prediction');
      break;
    case 'binary': {
      const positive = positiveClass(options);
      const data = [options.threshold ?? 0.5];
      const threshold = graph.initializer('threshold', { type: 'float', dims: [], data });
      const reached = graph.op('GreaterOrEqual', [answers, threshold]);
      const index = graph.op('Cast', [reached], { attributes: { to: 7n } });
      label(index, [...classNames.filter((name) => name !== positive), positive]);
      output('probability');
      break;
    }
    case 'multiclass': {
      label(graph.op('ArgMax', [answers], { attributes: { axis: 1n, keepdims: 0n } }), classNames);
      probabilityNames(classNames).forEach((name, index) => {
        graph.output(addColumn(graph, answers, index, name), 'float', ['batch']);
      });
      break;
    }
  }
}

function addColumn(graph: OnnxGraphBuilder, matrix: string, index: number, output?: string): string {
  const place = graph.initializer('class', { type: 'int64', dims: [], data: [index] });
  return graph.op('Gather', [matrix, place], {
    attributes: { axis: 1n },
    ...(output === undefined ? {} : { output }),
  });
}

/** What any ONNX host can read back of the options. */
export function outputMetadata(options: ComposeOptions): Record<string, string> {
  const { task, classNames, threshold = 0.5, calibration } = options;
  return {
    'perennial.task': task,
    ...(task === 'regression' ? {} : { 'perennial.classes': JSON.stringify(classNames) }),
    ...(task === 'binary'
      ? { 'perennial.positive': positiveClass(options), 'perennial.threshold': String(threshold) }
      : {}),
    ...(calibration ? { 'perennial.calibration': calibration.method } : {}),
  };
}

/** @throws PerennialError `InputInvalid` for classes, a threshold or a calibration that cannot be */
export function requireOptions(options: ComposeOptions): void {
  const { task, classNames, threshold = 0.5, calibration } = options;
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
  if (!calibration) return;
  if (task === 'regression') refuse('A regression has no probabilities to calibrate.');
  const wanted = task === 'binary' ? 1 : classNames.length;
  if (calibration.curves.length !== wanted)
    refuse(
      `The calibration has ${calibration.curves.length} curves, the model needs ${wanted}: fit it on its own answers.`,
    );
}
