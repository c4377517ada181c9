import type { EvaluationActivities } from '../contracts/activities.ts';
import { type MetricBound, NO_SLICES } from '../contracts/evaluation-report.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { Judgement, PlotRef } from '../contracts/reports.ts';
import { type ModelSignature, modelSignature, type ServedModel } from '../contracts/serving.ts';
import type { EvaluateOutput } from '../contracts/stages.ts';
import { boundConfidences, shareConfidences, sliceMetrics } from '../domain/evaluation-needs.ts';
import { selectCandidate } from '../domain/selection.ts';
import { travellingFairness, travellingRobustness, travellingSlices } from '../domain/travelling-parts.ts';
import { readLabels } from '../lib/data/labels.ts';
import { sampledRows, sampleRows } from '../lib/data/sample.ts';
import { judged, judgedDetails, judgedParts, judgedPlots } from '../lib/evaluation/judge-aside.ts';
import { partsQuestion } from '../lib/evaluation/test-parts.ts';
import { probedTest } from '../lib/evaluation/test-probe.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { DEFAULT_THRESHOLD, type Problem, trivialPredictions } from '../lib/statistics/judge.ts';
import { bounded } from './bounded-output.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { recordEvaluation } from './evaluation-record.ts';
import type { ActivityFrame } from './frame.ts';
import { incumbentOf, judgeChampion } from './judge-champion.ts';
import { RecordedRows } from './recorded-rows.ts';
import { withDatabase } from './with-database.ts';

type EvaluateInput = Parameters<EvaluationActivities['evaluate']>[0];

/**
 * Chooses the candidate with the best validation metric and judges it, the trivial baseline and the champion on the
 * untouched test split, also by parts of the rows and with changed features as far as the spec asks for it.
 */
export async function evaluate(
  deps: ActivityDependencies,
  input: EvaluateInput,
  frame: ActivityFrame,
): Promise<EvaluateOutput> {
  const { spec, split, train, tracking } = input;
  const { evaluation } = spec;
  const store = (await deps.store()).within(await frame.scratch());
  const mlflow = deps.mlflow();
  const winner = selectCandidate(train.trained, evaluation.metric);
  const threshold = winner.threshold ?? DEFAULT_THRESHOLD;
  const problem: Problem = {
    task: spec.task,
    quantile: evaluation.quantile,
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
    const labels = await labelsOf('test');
    const answers = await predict(model, 'test');
    const { confidence, resamples } = evaluation;
    const question = { problem, labels, answers, threshold };
    const bootstrap = (of: MetricBound['of']) => ({
      confidence,
      resamples,
      seed: spec.training.seed,
      bounds: boundConfidences(evaluation.gates, of),
      shares: of === 'test' ? [] : shareConfidences(evaluation.gates, of),
    });
    const tested = await judged({ ...question, bootstrap: bootstrap('test') }, frame.signal);
    const { metrics: onTrain } = await judged(
      { problem, labels: await labelsOf('train'), answers: await predict(model, 'train'), threshold },
      frame.signal,
    );
    const trivial = { ...question, answers: trivialPredictions(problem, labels.length) };
    const challenger = { answers, threshold };
    const baseline = await judged(
      {
        ...trivial,
        threshold: DEFAULT_THRESHOLD,
        // Only for gates that ask how sure it is that the baseline is beaten.
        ...(boundConfidences(evaluation.gates, 'baseline').length > 0
          ? { bootstrap: bootstrap('baseline'), challenger }
          : {}),
      },
      frame.signal,
    );
    const incumbent =
      input.champion === undefined
        ? await incumbentOf(mlflow, store, spec.deployment.endpoint)
        : input.champion && { version: input.champion.version, model: input.champion };
    const champion =
      incumbent &&
      (await judgeChampion(incumbent, {
        split,
        problem,
        views: input.views ?? [],
        predict: (served) => predict(served, 'test'),
        judged: (answered, itsThreshold) =>
          judged(
            {
              ...question,
              answers: answered,
              threshold: itsThreshold,
              bootstrap: bootstrap('champion'),
              challenger,
            },
            frame.signal,
          ),
      }));

    const testPath = await store.path(split.test.artifact);
    const asked = await partsQuestion(
      {
        spec,
        signature,
        parquetPath: testPath,
        scratchDir,
        memoryLimit: frame.duckdbMemory,
        signal: frame.signal,
      },
      question,
    );
    const { slices, fairness } = asked
      ? await judgedParts(asked, frame.signal)
      : { slices: NO_SLICES, fairness: [] };
    const { robustness, latency } = await probedTest(database, {
      ...question,
      parquetPath: testPath,
      modelPath: await store.path(winner.model),
      signature,
      scratchDir,
      gates: evaluation.gates,
      seed: spec.training.seed,
      signal: frame.signal,
    });
    const details = await judgedDetails({ ...question, bootstrap: bootstrap('test') }, frame.signal);

    const samples = await store.putJson(
      await sampleRows(database, testPath, signature, answers, spec.deployment.precheck.rows),
      // They are rows of the test part as it is.
      { encrypt: split.sensitive },
    );
    await new RecordedRows(store).samples(
      input,
      samples,
      sampledRows(labels.length, spec.deployment.precheck.rows),
    );
    const plots: PlotRef[] = [];
    for (const plot of await judgedPlots(question, frame.signal))
      plots.push({
        name: plot.name,
        title: plot.title,
        artifact: await store.putBytes(plot.svg, MEDIA_TYPES.svg),
      });

    const whole = {
      winner,
      signature,
      candidate: winner.model.sha256,
      test: tested.metrics,
      intervals: tested.intervals,
      train: onTrain,
      baseline: baseline.metrics,
      champion: champion?.champion ?? null,
      bounds: [
        ...boundsOf('test', tested.bounds),
        ...boundsOf('baseline', baseline.bounds),
        ...boundsOf('champion', champion?.bounds ?? []),
      ],
      slices,
      fairness,
      robustness,
      footprint: { modelBytes: winner.model.bytes, latency },
      details: await store.putJson(details),
      samples,
      plots,
    };
    const report = await recordEvaluation({ mlflow, store, spec, tracking }, whole, details);
    return bounded('evaluate', {
      ...whole,
      slices: travellingSlices(slices, sliceMetrics(evaluation)),
      fairness: travellingFairness(fairness),
      robustness: travellingRobustness(robustness, evaluation.gates),
      report,
    });
  });
}

const boundsOf = (of: MetricBound['of'], bounds: Judgement['bounds']): MetricBound[] =>
  bounds.map((bound) => ({ of, ...bound }));
