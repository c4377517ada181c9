/** The program of an explaining process (see `explainers.ts`): has one model, and explains rows until nobody asks. */
import { createHash } from 'node:crypto';
import { PerennialError } from '../../contracts/errors.ts';
import { createExplainer, type Explainer } from '../../lib/explanation/explainer.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { answering } from '../../lib/processes/aside.ts';
import {
  type ExplainedAnswer,
  type ExplainedModel,
  type Explanations,
  explainQuestion,
} from './explain-question.ts';

let opened: { model: ExplainedModel; explainer: Explainer; sampled?: Explainer } | undefined;

answering(async (question): Promise<Explanations | { needs: 'model' }> => {
  const { model, rows, columns } = explainQuestion.parse(question);
  if (model) await open(model);
  if (!opened) return { needs: 'model' };
  const batch = { rows, columns };
  const explanations: ExplainedAnswer[] = [];
  for (let row = 0; row < rows; row++) explanations.push(await explained(batch, row));
  return { confidence: opened.explainer.confidence, explanations };
});

async function open(model: ExplainedModel): Promise<void> {
  const { onnx, sha256, signature, rows, file } = model;
  // Nothing is loaded but what the routes name, wherever the bytes come from.
  if (createHash('sha256').update(onnx).digest('hex') !== sha256)
    throw new PerennialError('ArtifactCorrupt', "the model's bytes do not have the route's digest");
  await opened?.explainer.close();
  await opened?.sampled?.close();
  opened = undefined;
  opened = { model, explainer: await createExplainer(onnx, signature, { rows, ...(file && { file }) }) };
}

/** Exact where the trees account for the answer; else sampled, as in the reports of a run. */
async function explained(batch: ColumnBatch, row: number): Promise<ExplainedAnswer> {
  if (!opened) throw new PerennialError('StageFailed', 'there is no model to explain');
  const { explainer, model } = opened;
  const { attributions, holds } = await explainer.explainRow(batch, row);
  if (holds) return { method: explainer.method, unit: explainer.unit, attributions };
  opened.sampled ??= await createExplainer(model.onnx, model.signature, { rows: model.rows });
  const { sampled } = opened;
  const again = await sampled.explainRow(batch, row);
  return { method: sampled.method, unit: sampled.unit, attributions: again.attributions };
}
