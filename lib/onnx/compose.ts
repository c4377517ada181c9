import type { ModelSignature } from '../../contracts/serving.ts';
import { composeEnsemble } from './ensemble.ts';
import type { ComposeOptions } from './model-outputs.ts';

export type { ComposeOptions } from './model-outputs.ts';

/**
 * Joins the preprocessing graph and a trainer's model into the one graph that is served, and adds the outputs that
 * any ONNX host can give: all inputs and outputs have rank 1, `[batch]`.
 *
 * - binary: `label` (text), `probability` (of the positive class)
 * - multiclass: `label`, `probability_<class>` for each class (`probabilityNames`)
 * - regression: `prediction`
 *
 * Inputs keep the names of the raw columns; inner names get a prefix, so that they cannot collide. The trainer's
 * model may have any opset up to the preprocessing graph's (17, or 20 where the features have texts or crosses) with
 * `ai.onnx.ml` up to 3 (exporters declare the oldest one that will do), as long as its operators mean the same in that
 * opset, which the composed graph has; any other is refused.
 *
 * @throws PerennialError `ModelInvalid` where a graph is not what its contract says, `FeatureInvalid` where a feature
 *   column has the name of an output, `InputInvalid` for classes, a threshold or a calibration that cannot be
 * @example
 * const { onnx, signature } = composeModel(preprocess, trained, { task: 'binary', classNames: ['no', 'yes'] });
 */
export function composeModel(
  preprocess: Uint8Array,
  model: Uint8Array,
  options: ComposeOptions,
): { onnx: Uint8Array; signature: ModelSignature } {
  return composeEnsemble([{ preprocess, model }], { method: 'average' }, options);
}
