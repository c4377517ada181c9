import { z } from 'zod';
import {
  attribution,
  attributionMethod,
  attributionUnit,
  explainerFile,
} from '../../contracts/explanation.ts';
import { sampleSet } from '../../contracts/samples.ts';
import { modelSignature } from '../../contracts/serving.ts';

const column = z.union([z.instanceof(Float32Array), z.instanceof(Float64Array), z.array(z.string())]);

/** What a process needs before its first explanation. The rows stay in its memory. */
export const explainedModel = z.strictObject({
  onnx: z.instanceof(Uint8Array),
  sha256: z.string(),
  signature: modelSignature,
  rows: sampleSet.shape.rows,
  file: explainerFile.optional(),
});
export type ExplainedModel = z.infer<typeof explainedModel>;

/** Rows to explain; `model` where the process said that it has none yet. */
export const explainQuestion = z.strictObject({
  model: explainedModel.optional(),
  rows: z.number().int(),
  columns: z.map(z.string(), column),
});
export type ExplainQuestion = z.infer<typeof explainQuestion>;

/** How one row's answers came about. */
export const explainedAnswer = z.strictObject({
  method: attributionMethod,
  unit: attributionUnit,
  /** One for each numeric output of the model. */
  attributions: z.array(attribution),
});
export type ExplainedAnswer = z.infer<typeof explainedAnswer>;

/** What the process answers: one for each row in order, or that it must be told the model first. */
export const explainAnswer = z.union([
  z.strictObject({ needs: z.literal('model') }),
  z.strictObject({
    /** Of the errors of sampled attributions. */
    confidence: z.number(),
    explanations: z.array(explainedAnswer),
  }),
]);
export type Explanations = Exclude<z.infer<typeof explainAnswer>, { needs: 'model' }>;
