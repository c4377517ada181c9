import type { CachePolicy } from '../../contracts/cache.ts';
import type { CodeVersion } from '../../contracts/lifecycle.ts';
import { rolloutWorkflowId } from '../../contracts/names.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { TrainedCandidate, TrainOutput } from '../../contracts/stages.ts';
import { evidenceOf, judgeGates } from '../../domain/gates.ts';
import type { OutputOf, TestPlatform } from './integration-platform.ts';
import { finishInput, trainOutput, trialInput } from './integration-training.ts';

/** Every activity runs, whatever an earlier test left behind. */
export const NO_CACHE: CachePolicy = { mode: 'off' };
/** The moment that freshness is measured at. */
export const AS_OF = '2026-01-01T00:00:00.000Z';

/** What the activities of a whole run gave. */
export interface FinishedRun {
  ingest: OutputOf<'ingest'>;
  validate: OutputOf<'validate'>;
  protect: OutputOf<'protect'>;
  split: OutputOf<'split'>;
  prepared: OutputOf<'prepare'>;
  train: TrainOutput;
  evaluate: OutputOf<'evaluate'>;
  explain: OutputOf<'explain'>;
  register: OutputOf<'register'>;
  tracking: OutputOf<'openTracking'>;
  model: ServedModel;
}

/** Runs the activities of the data part one after the other. */
export async function runDataPart(
  platform: TestPlatform,
  spec: PipelineSpec,
  cache: CachePolicy,
  asOf = AS_OF,
): Promise<Pick<FinishedRun, 'ingest' | 'validate' | 'protect' | 'split' | 'prepared'>> {
  const ingest = await platform.run('ingest', { spec, cache });
  const validate = await platform.run('validate', { spec, ingest, asOf, champion: null, cache });
  const protect = await platform.run('protect', { spec, ingest, validate, cache });
  const split = await platform.run('split', { spec, protect, cache });
  const prepared = await platform.run('prepare', { spec, split, cache });
  return { ingest, validate, protect, split, prepared };
}

interface RunOptions {
  workflowId?: string;
  cache?: CachePolicy;
}

const runOf = (spec: PipelineSpec, { workflowId = `${spec.name}-1` }: RunOptions) => ({
  workflowId,
  runId: '00000000-0000-0000-0000-000000000001',
});

/** Runs the activities of a lifecycle one after the other, from raw files to a registered version. */
export async function runToRegistration(
  platform: TestPlatform,
  spec: PipelineSpec,
  code: CodeVersion,
  options: RunOptions = {},
): Promise<FinishedRun> {
  const { cache = NO_CACHE } = options;
  const run = runOf(spec, options);
  const tracking = await platform.run('openTracking', { spec, code, startedBy: 'test', run });
  const data = await runDataPart(platform, spec, cache);
  const { ingest, validate, protect, split, prepared } = data;
  await platform.run('recordData', { tracking, spec, ingest, protect, split });
  const ground = { spec, split, prepared, tracking, run };
  const trained: TrainedCandidate[] = [];
  for (const candidate of spec.candidates) {
    const outcome = await platform.run('trainTrial', trialInput(ground, candidate));
    trained.push(await platform.run('finishCandidate', finishInput(ground, candidate, outcome)));
  }
  const train = trainOutput(spec, trained);
  const { views } = ingest;
  const evaluate = await platform.run('evaluate', {
    ...{ spec, split, prepared, train, tracking },
    ...(views ? { views } : {}),
  });
  const explain = await platform.run('explain', {
    spec,
    split,
    prepared,
    findings: protect.findings,
    evaluate,
    tracking,
  });
  const gates = judgeGates(spec.evaluation.gates, evidenceOf(evaluate));
  const registered = await platform.run('register', {
    spec,
    code,
    run,
    tracking,
    ingest,
    validate,
    protect,
    split,
    prepared,
    train,
    evaluate,
    explain,
    gates,
  });
  const { winner, signature, samples } = evaluate;
  const explanation = { samples, ...(explain.explainer ? { explainer: explain.explainer } : {}) };
  const model = { version: registered.version, onnx: winner.model, signature, explanation };
  return { ...data, train, evaluate, explain, register: registered, tracking, model };
}

/** Runs the activities of a lifecycle one after the other, from raw files to a served champion; nobody is asked. */
export async function runLifecycle(
  platform: TestPlatform,
  spec: PipelineSpec,
  code: CodeVersion,
  options: RunOptions = {},
): Promise<FinishedRun> {
  const finished = await runToRegistration(platform, spec, code, options);
  const { evaluate, tracking, model } = finished;
  const run = runOf(spec, options);
  const { workflowId } = run;
  const { endpoint } = spec.deployment;
  const rollout = rolloutWorkflowId(workflowId, run.runId);
  const policy = { sticky: false, deadlineMs: 10_000, log: { sample: 1, features: true } };
  const asked = { rollout, model, policy, judgedAgainst: evaluate.champion?.version ?? null };
  await platform.run('askEndpoint', {
    endpoint,
    ask: {
      update: 'admit',
      request: { ...asked, requestId: `0/${rollout}`, busy: 'queue', requestedBy: workflowId },
    },
  });
  await platform.run('askEndpoint', {
    endpoint,
    ask: {
      update: 'promote',
      request: { rollout, requestId: `1/${rollout}`, by: workflowId, named: false, reason: '' },
    },
  });
  await platform.run('closeTracking', {
    tracking,
    run,
    status: 'FINISHED',
    outcome: 'deployed',
    message: '',
    artifacts: [],
  });
  return finished;
}
