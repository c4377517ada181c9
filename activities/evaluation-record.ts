import type { EvaluationDetails } from '../contracts/evaluation-report.ts';
import { type ArtifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import type { MetricIntervals, MetricValues } from '../contracts/reports.ts';
import type { Tracking } from '../contracts/run.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { EvaluateOutput } from '../contracts/stages.ts';
import { verdictMarkdown } from '../contracts/verdict.ts';
import { evidenceOf, judgeGates } from '../domain/gates.ts';
import { verdictPage } from '../lib/report/verdict-page.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';

/** All but the report, which comes of it. */
type Evaluated = Omit<EvaluateOutput, 'report'>;

interface Destination {
  mlflow: MlflowClient;
  store: ArtifactStore;
  spec: Pick<PipelineSpec, 'name' | 'evaluation' | 'approval'>;
  /** `null`: the report alone. */
  tracking: Tracking | null;
}

/**
 * Writes down an evaluation: the report into the store, and into the MLflow run metrics, plots, and as files the verdict,
 * slices, fairness, robustness and details.
 *
 * @param evaluated with all slices and groups, not only those that travel
 * @returns the report, with all of it
 */
export async function recordEvaluation(
  { mlflow, store, spec, tracking }: Destination,
  evaluated: Evaluated,
  details: EvaluationDetails,
): Promise<ArtifactRef> {
  // The workflow decides by the same rules on the same numbers; here they are written down for whoever reads the run.
  const verdict = judgeGates(spec.evaluation.gates, evidenceOf(evaluated), {
    approverDecides: spec.approval.required,
  });
  if (tracking) await logEvaluation({ mlflow, store, spec }, tracking.runId, evaluated, verdict, details);
  const { winner, test, intervals, train, baseline, champion, slices, fairness, robustness, footprint } =
    evaluated;
  return store.putJson({
    winner: winner.name,
    metric: spec.evaluation.metric,
    threshold: details.threshold,
    test,
    intervals,
    confidence: spec.evaluation.confidence,
    train,
    baseline,
    champion,
    slices,
    fairness,
    robustness,
    footprint,
    verdict,
  });
}

async function logEvaluation(
  { mlflow, store, spec }: Omit<Destination, 'tracking'>,
  runId: string,
  evaluated: Evaluated,
  verdict: ReturnType<typeof judgeGates>,
  details: EvaluationDetails,
): Promise<void> {
  const { winner, test, intervals, train, baseline, champion, plots } = evaluated;
  await mlflow.runs.logBatch({
    runId,
    metrics: [
      ...named('test', test),
      ...bounds('test', intervals),
      ...named('train', train),
      ...named('baseline', baseline),
      ...named('champion', champion?.test ?? {}),
    ],
    tags: { 'perennial.winner': winner.name },
  });
  for (const plot of plots)
    await mlflow.artifacts.upload({
      runId,
      path: `plots/${plot.name}.svg`,
      body: await store.bytes(plot.artifact),
      contentType: MEDIA_TYPES.svg,
    });
  const { slices, fairness, robustness, footprint } = evaluated;
  const files: Record<string, [body: string, contentType: string]> = {
    'verdict.json': [JSON.stringify(verdict, null, 2), MEDIA_TYPES.json],
    'verdict.md': [`${verdictMarkdown(verdict.results)}\n`, MEDIA_TYPES.text],
    'verdict.html': [verdictPage(spec.name, verdict, slices, fairness, robustness), MEDIA_TYPES.html],
    'slices.json': [JSON.stringify(slices, null, 2), MEDIA_TYPES.json],
    'fairness.json': [JSON.stringify(fairness, null, 2), MEDIA_TYPES.json],
    'robustness.json': [JSON.stringify({ robustness, footprint }, null, 2), MEDIA_TYPES.json],
    'details.json': [JSON.stringify(details), MEDIA_TYPES.json],
  };
  for (const [name, [body, contentType]] of Object.entries(files))
    await mlflow.artifacts.upload({ runId, path: `evaluation/${name}`, body, contentType });
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
