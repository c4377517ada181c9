import type { EvaluationActivities } from '../contracts/activities.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { MetricValues, PlotRef } from '../contracts/reports.ts';
import { type ModelSignature, modelSignature, type ServedModel } from '../contracts/serving.ts';
import type { EvaluateOutput } from '../contracts/stages.ts';
import { selectCandidate } from '../domain/selection.ts';
import { evaluationPlots } from '../lib/charts/evaluation-plots.ts';
import { readLabels } from '../lib/data/labels.ts';
import { sampledRows, sampleRows } from '../lib/data/sample.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { judge, type Problem, trivialPredictions } from '../lib/statistics/judge.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { judgeChampion } from './judge-champion.ts';
import { RecordedRows } from './recorded-rows.ts';
import { withDatabase } from './with-database.ts';

type EvaluateInput = Parameters<EvaluationActivities['evaluate']>[0];

/**
 * Chooses the candidate with the best validation metric and judges it, the trivial baseline and the champion on the
 * untouched test split.
 */
export async function evaluate(
  deps: ActivityDependencies,
  input: EvaluateInput,
  frame: ActivityFrame,
): Promise<EvaluateOutput> {
  const { spec, split, train, tracking } = input;
  const store = (await deps.store()).within(await frame.scratch());
  const mlflow = deps.mlflow();
  const winner = selectCandidate(train.trained, spec.evaluation.metric);
  const problem: Problem = {
    task: spec.task,
    classNames: split.classNames,
    positiveClass: split.positiveClass,
    baseline: split.baseline,
  };

  return withDatabase(frame, async (database, scratchDir) => {
    const predict = async (
      model: Pick<ServedModel, 'onnx'> & { signature: ModelSignature },
      part: 'train' | 'test',
    ): Promise<Float64Array> => {
      const { values } = await scoreTable({
        parquetPath: await store.path(split[part].artifact),
        modelPath: await store.path(model.onnx),
        signature: model.signature,
        scratchDir,
        signal: frame.signal,
      });
      return Float64Array.from(values);
    };
    const labelsOf = async (part: 'train' | 'test') =>
      readLabels(database, await store.path(split[part].artifact), spec.columns.target, split.classNames);

    const signature = modelSignature.parse(await store.json(winner.signature));
    const model = { onnx: winner.model, signature };
    const testLabels = await labelsOf('test');
    const testPredictions = await predict(model, 'test');
    const test = judge(problem, testLabels, testPredictions);
    const onTrain = judge(problem, await labelsOf('train'), await predict(model, 'train'));
    const baseline = judge(problem, testLabels, trivialPredictions(problem, testLabels.length));

    const champion = await judgeChampion(mlflow, store, {
      modelName: spec.deployment.endpoint,
      split,
      problem,
      testLabels,
      predict: (incumbent) => predict(incumbent, 'test'),
    });

    const testPath = await store.path(split.test.artifact);
    const samples = await store.putJson(
      await sampleRows(database, testPath, signature, testPredictions, spec.deployment.precheck.rows),
      // They are rows of the test part as it is.
      { encrypt: split.sensitive },
    );
    await new RecordedRows(store).samples(
      input,
      samples,
      sampledRows(testLabels.length, spec.deployment.precheck.rows),
    );
    const plots: PlotRef[] = [];
    for (const plot of evaluationPlots(problem, testLabels, testPredictions))
      plots.push({
        name: plot.name,
        title: plot.title,
        artifact: await store.putBytes(plot.svg, MEDIA_TYPES.svg),
      });

    const report = {
      winner: winner.name,
      metric: spec.evaluation.metric,
      test,
      train: onTrain,
      baseline,
      champion,
    };
    await mlflow.runs.logBatch({
      runId: tracking.runId,
      metrics: [
        ...named('test', test),
        ...named('train', onTrain),
        ...named('baseline', baseline),
        ...named('champion', champion?.test ?? {}),
      ],
      tags: { 'perennial.winner': winner.name },
    });
    for (const plot of plots)
      await mlflow.artifacts.upload({
        runId: tracking.runId,
        path: `plots/${plot.name}.svg`,
        body: await store.bytes(plot.artifact),
        contentType: MEDIA_TYPES.svg,
      });
    return {
      winner,
      signature,
      candidate: winner.model.sha256,
      test,
      train: onTrain,
      baseline,
      champion,
      samples,
      plots,
      report: await store.putJson(report),
    };
  });
}

/** The step-0 metrics of a split, under a fixed timestamp so that a second attempt writes the same rows. */
const named = (prefix: string, values: MetricValues) =>
  Object.entries(values).map(([key, value]) => ({ key: `${prefix}_${key}`, value, step: 0, timestamp: 0 }));
