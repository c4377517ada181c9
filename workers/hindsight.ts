import { dependencies } from '../activities/dependencies.ts';
import { problemOf, servedOf } from '../activities/monitoring/watched-version.ts';
import { registeredModel } from '../activities/registered-model.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type Hindsight, type HindsightQuestion, hindsightQuestion } from '../contracts/hindsight.ts';
import { pipelineSpec } from '../contracts/spec/pipeline.ts';
import { type Answering, hindsightOf } from '../lib/monitoring/hindsight.ts';
import { MonitorRecords } from '../lib/monitoring/monitor-records.ts';
import { hindsightPage } from '../lib/report/hindsight-page.ts';
import { answering, type QuestionSetting } from './answer.ts';
import { writeReport } from './report-file.ts';
import { watchedSettings } from './watched-settings.ts';

/** Answers what a version would have answered, beside what was answered. */
export const runHindsight = answering(async (question, setting) => {
  const asked = hindsightQuestion.parse(question);
  const hindsight = await answerOf(asked, setting);
  if (asked.report !== null) await writeReport(asked.report, await hindsightPage(hindsight));
  return hindsight;
});

async function answerOf(
  { endpoint, version, windows }: HindsightQuestion,
  { config, tempDir }: QuestionSetting,
): Promise<Hindsight> {
  const deps = dependencies(config, () => {
    throw new PerennialError('StageFailed', 'a question of the command line has no connection to Temporal');
  });
  const store = (await deps.store()).within(tempDir, { encrypt: true });
  const records = new MonitorRecords(store.documents);
  const { specRef, monitoring } = await watchedSettings(records, endpoint);
  const trend = (await records.state(endpoint))?.trend.slice(-windows) ?? [];
  if (trend.length === 0)
    throw new PerennialError('InputInvalid', `no window of ${endpoint} has been looked at yet`);
  const spec = pipelineSpec.parse(await store.json(specRef));
  const model = await registeredModel(deps.mlflow(), store, endpoint, version);
  const problem = problemOf(model, spec);
  const others = new Map<string, Answering>([[version, { ...servedOf(model), problem }]]);
  return hindsightOf(config, {
    endpoint,
    model: servedOf(model),
    modelPath: await store.path(model.onnx),
    problem,
    other: async (other) => {
      // One that is gone from the registry is taken to predict the same.
      const known =
        others.get(other) ??
        (await registeredModel(deps.mlflow(), store, endpoint, other).then(
          (found) => ({ ...servedOf(found), problem: problemOf(found, spec) }),
          () => ({ problem }),
        ));
      others.set(other, known);
      return known;
    },
    metric: monitoring.quality[0]?.metric ?? spec.evaluation.metric,
    windows: trend.map(({ window }) => window),
    scratchDir: tempDir,
    memoryLimit: config.duckdbMemory,
    seed: spec.training.seed,
  });
}
