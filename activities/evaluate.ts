import type { EvaluationActivities } from '../contracts/activities.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { MetricIntervals, MetricValues, PlotRef } from '../contracts/reports.ts';
import { type ModelSignature, modelSignature, type ServedModel } from '../contracts/serving.ts';
import type { EvaluateOutput } from '../contracts/stages.ts';
import { selectCandidate } from '../domain/selection.ts';
import { readLabels } from '../lib/data/labels.ts';
import { sampledRows, sampleRows } from '../lib/data/sample.ts';
import { judged, judgedPlots } from '../lib/evaluation/judge-aside.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { type Problem, trivialPredictions } from '../lib/statistics/judge.ts';
import { bounded } from './bounded-output.ts';
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
      return values;
    };
    const labelsOf = async (part: 'train' | 'test') =>
      readLabels({
        parquetPath: await store.path(split[part].artifact),
        target: spec.columns.target,
        classNames: split.classNames,
        signal: frame.signal,
      });

    const signature = modelSignature.parse(await store.json(winner.signature));
    const model = { onnx: winner.model, signature };
    const testLabels = await labelsOf('test');
    const testPredictions = await predict(model, 'test');
    const { confidence, resamples } = spec.evaluation;
    const bootstrap = { confidence, resamples, seed: spec.training.seed };
    const question = { problem, labels: testLabels, answers: testPredictions };
    const { metrics: test, intervals } = await judged({ ...question, bootstrap }, frame.signal);
    const { metrics: onTrain } = await judged(
      { problem, labels: await labelsOf('train'), answers: await predict(model, 'train') },
      frame.signal,
    );
    const trivial = trivialPredictions(problem, testLabels.length);
    const { metrics: baseline } = await judged({ ...question, answers: trivial }, frame.signal);

    const champion = await judgeChampion(mlflow, store, {
      modelName: spec.deployment.endpoint,
      split,
      problem,
      predict: (incumbent) => predict(incumbent, 'test'),
      judged: (answers) =>
        judged({ ...question, answers, bootstrap, challenger: testPredictions }, frame.signal),
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
    for (const plot of await judgedPlots(question, frame.signal))
      plots.push({
        name: plot.name,
        title: plot.title,
        artifact: await store.putBytes(plot.svg, MEDIA_TYPES.svg),
      });

    const report = {
      winner: winner.name,
      metric: spec.evaluation.metric,
      test,
      intervals,
      confidence,
      train: onTrain,
      baseline,
      champion,
    };
    await mlflow.runs.logBatch({
      runId: tracking.runId,
      metrics: [
        ...named('test', test),
        ...bounds('test', intervals),
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
    return bounded('evaluate', {
      winner,
      signature,
      candidate: winner.model.sha256,
      test,
      intervals,
      train: onTrain,
      baseline,
      champion,
      samples,
      plots,
      report: await store.putJson(report),
    });
  });
}

/** The step-0 metrics of a split, under a fixed timestamp so that a second attempt writes the same rows. */
const named = (prefix: string, values: MetricValues) =>
  Object.entries(values).map(([key, value]) => ({ key: `${prefix}_${key}`, value, step: 0, timestamp: 0 }));

/** The ends of the intervals as metrics of their own, so that they can be compared and plotted. */
const bounds = (prefix: string, intervals: MetricIntervals) =>
  Object.entries(intervals).flatMap(([key, { low, high }]) =>
    Object.entries({ low, high }).map(([end, value]) => ({
      key: `${prefix}_${key}_${end}`,
      value,
      step: 0,
      timestamp: 0,
    })),
  );
