import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { LifecycleInput } from '../../contracts/lifecycle.ts';
import { modelServerWorkflowId, QUERIES, trainingWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { StageOutputs } from '../../contracts/stages.ts';
import { backtestWorld, FIRST, NOTHING, policy } from '../support/backtest-past.ts';
import { batchOf, EventLogUnderTest } from '../support/event-log.ts';
import { failure } from '../support/failures.ts';
import { badQuality, goodQuality, MonitorWorld } from '../support/monitor-world.ts';
import { RetrainingUnderTest } from '../support/retraining.ts';
import { RolloutBench } from '../support/rollout-bench.ts';
import { checked, ingested, parts, servedModel, smallSpec } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { startTemporalServer } from '../support/temporal-server.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';
import { bundleTo } from '../support/workflow-code.ts';
import { recordViews } from './record-views.ts';

/**
 * Records the histories that replay.test.ts replays: `npx tsx test/replay/record.ts`. Run it for a new version whose
 * workflows are meant to decide otherwise, and keep the files of the versions that still have running workflows. With
 * names (`npx tsx test/replay/record.ts retraining`) it records only those.
 */
const HISTORIES = fileURLToPath(new URL('./histories/', import.meta.url));

/** Stack traces name files of the machine that recorded. */
const scrubbed = (key: string, value: unknown): unknown => (key === 'stackTrace' ? undefined : value);

/** Writes a history as `temporal workflow show --output json` gives it. */
async function save(name: string, handle: WorkflowHandle, runId?: string): Promise<void> {
  const which = ['--workflow-id', handle.workflowId, ...(runId === undefined ? [] : ['--run-id', runId])];
  const shown = await temporalCli(server.cli, server.address, [
    'workflow',
    'show',
    ...which,
    '--output',
    'json',
  ]);
  if (shown.code !== 0) throw new Error(`the history of ${handle.workflowId} cannot be had: ${shown.text}`);
  await writeFile(join(HISTORIES, `${name}.json`), `${JSON.stringify(JSON.parse(shown.text, scrubbed))}\n`);
}

async function approval(bench: WorkflowBench): Promise<void> {
  const run = await bench.lifecycle(new Scenario({}, 'recorded-approval'), {
    approval: { quorum: 2, timeout: '7d', reminders: ['100ms', '1d'] },
  });
  const { candidate } = await run.awaiting();
  await eventually(
    async () => ((await run.status()).awaiting?.remindersSent === 1 ? true : undefined),
    'a reminder',
  );
  await run.handle.signal('approve', { by: 'ada', reason: 'fine' });
  await run.handle.signal('approve', { by: 'ada' });
  await run.approve(candidate, 'grace');
  await run.handle.result();
  await save('approval', run.handle);
  const { workflowId, runId } = await run.status();
  await save('training', bench.client.workflow.getHandle(trainingWorkflowId(workflowId, runId)));
}

async function rejection(bench: WorkflowBench): Promise<void> {
  const run = await bench.lifecycle(new Scenario({}, 'recorded-rejection'));
  const { candidate } = await run.awaiting();
  await run.review({ decision: 'reject', by: 'ada', reason: 'the recall is too low', candidate });
  await run.handle.result();
  await save('rejection', run.handle);
}

async function gatesFailed(bench: WorkflowBench): Promise<void> {
  const evaluation = { gates: [{ metric: 'roc_auc' as const, min: 0.99 }] };
  const run = await bench.lifecycle(new Scenario({}, 'recorded-gates'), { evaluation });
  await run.handle.result();
  await save('gates-failed', run.handle);
}

/** A stage that fails, and the run that takes it up again. */
async function failedStageAndRetry(bench: WorkflowBench): Promise<void> {
  const scenario = new Scenario({}, 'recorded-failure');
  scenario.let('precheck', async () => {
    throw ApplicationFailure.nonRetryable('too slow', 'PrecheckFailed');
  });
  const run = await bench.lifecycle(scenario, { approval: { required: false } });
  await failure(run.handle.result());
  await save('failed-stage', run.handle);

  scenario.let('precheck', async ({ rows }) => checked(rows));
  const outputs = await run.handle.query<StageOutputs>(QUERIES.outputs);
  const input = await run.handle.query<LifecycleInput>(QUERIES.input);
  const { workflowId, runId } = await run.status();
  const resume = { workflowId, runId, from: 'precheck' as const, outputs };
  const again = await bench.lifecycleOf(scenario, { ...input, resume }, '-again');
  await again.handle.result();
  await save('retry', again.handle);
}

async function cancellation(bench: WorkflowBench): Promise<void> {
  const run = await bench.lifecycle(new Scenario({}, 'recorded-cancellation'));
  await run.awaiting();
  await run.handle.cancel();
  await failure(run.handle.result());
  await save('cancellation', run.handle);
}

/** An endpoint that deploys, reverts, continues as new and rolls back. */
async function endpoint(bench: WorkflowBench): Promise<void> {
  const scenario = new Scenario({}, 'recorded-endpoint');
  scenario.addServer('a', bench.taskQueue);
  const entity = await bench.endpoint(scenario, { continueAfter: 3 });
  const { runId } = await entity.handle.describe();
  await entity.deploy(servedModel('1'));
  scenario.let('setChampion', async () => {
    throw ApplicationFailure.nonRetryable('there is no such version', 'TrackerRejected');
  });
  await entity.deploy(servedModel('2')).catch(() => undefined);
  scenario.let('setChampion', async () => undefined);
  await entity.deploy(servedModel('3'));
  await eventually(
    async () => ((await entity.handle.describe()).runId === runId ? undefined : true),
    'a new run',
  );
  await entity.rollback('rollback');
  await save('endpoint-before', entity.handle, runId);
  await save('endpoint-after', entity.handle);
}

/** A canary that is paused, gets another share, continues as new and is promoted; and one that a guard rolls back. */
async function rollouts(bench: WorkflowBench): Promise<void> {
  const world = await RolloutBench.start(bench, { id: 'recorded-rollout' });
  const steps = [
    { share: 25, hold: '10ms', minRequests: 50 },
    { share: 50, hold: '20s', minRequests: 50 },
  ];
  const canary = await world.rollout('2', { strategy: 'canary', steps }, { continueAfter: 3 });
  const { runId } = await canary.handle.describe();
  await canary.until(({ step, stepSince }) => step === 1 && stepSince !== null, 'the second step');
  await canary.order('pause');
  await canary.traffic(40);
  await canary.order('resume');
  await eventually(
    async () => ((await canary.handle.describe()).runId === runId ? undefined : true),
    'a new run',
  );
  await canary.order('promote');
  await canary.result();
  await save('rollout-before', canary.handle, runId);
  await save('rollout-after', canary.handle);

  world.traffic.behave('3', { failures: { crash: 60 } });
  const bad = await world.rollout('3', { strategy: 'canary', steps: steps.slice(1) }, { judgedAgainst: '2' });
  await bad.result();
  await save('rollout-rolled-back', bad.handle);
}

async function modelServer(bench: WorkflowBench): Promise<void> {
  const { id } = new Scenario({ holdLease: async () => undefined }, 'recorded-server');
  const handle = await bench.client.workflow.start(WORKFLOW_TYPES.modelServer, {
    workflowId: modelServerWorkflowId(id),
    taskQueue: bench.taskQueue,
    args: [{ serverId: id, url: 'http://127.0.0.1:1', taskQueue: bench.taskQueue }],
  });
  await handle.result();
  await save('model-server', handle);
}

/** An event log that is sent a batch twice, a wrong signal and an update, and continues as new. */
async function eventLog(bench: WorkflowBench): Promise<void> {
  const events = new EventLogUnderTest(bench, new Scenario({}, 'recorded_events'));
  await events.start({ continueAfter: 4 });
  const { runId } = await events.handle.describe();
  await events.signal(batchOf('a'));
  await events.signal(batchOf('a'));
  await events.signal({ rows: 'none' });
  await events.update(batchOf('b'));
  await events.update(batchOf('c'));
  await eventually(
    async () => ((await events.handle.describe()).runId === runId ? undefined : true),
    'a new run of the log',
  );
  await events.update(batchOf('a'));
  await save('event-log-before', events.handle, runId);
  await save('event-log-after', events.handle);
}

/** A retraining that waits, is sent nonsense, runs twice without help, gives up, is resumed, and continues as new. */
async function retraining(bench: WorkflowBench): Promise<void> {
  const scenario = new Scenario({}, 'recorded-retraining');
  const entity = new RetrainingUnderTest(bench, scenario);
  scenario.let('ingest', async () => {
    throw ApplicationFailure.nonRetryable('the source is gone', 'SourceNotFound');
  });
  await entity.start(
    { debounce: '300ms', giveUpAfter: 2, on: { maxAge: '3650d' } },
    { input: { continueAfter: 9 } },
  );
  const { runId } = await entity.handle.describe();
  await entity.signal({ kind: 'nonsense' });
  await entity.tick('2026-01-01', '1');
  await entity.trigger({ kind: 'degradation', reason: 'Brier 0.29', version: '1' });
  await entity.trigger({ kind: 'data-drift', reason: 'PSI 3.2' });
  await entity.until(({ state }) => state.gaveUpAt !== null, 'the giving-up');
  scenario.let('ingest', async () => ingested);
  await entity.answer({ decision: 'pause', by: 'ada' });
  await entity.configure(entity.settings({ giveUpAfter: 3 }));
  await entity.answer({ decision: 'resume', by: 'ada', reason: 'the source is back' });
  const { state } = await entity.ended(3);
  await eventually(
    async () => ((await entity.handle.describe()).runId === runId ? undefined : true),
    'a new run of the retraining',
  );
  await entity.trigger({ kind: 'demand', by: 'ada' });
  await entity.ended(state.runs.length + 1);
  await save('retraining-before', entity.handle, runId);
  await save('retraining-after', entity.handle);
}

/** A watched endpoint: an alert is raised, told by one channel, refused by the other, and over. */
async function monitor(bench: WorkflowBench): Promise<void> {
  const scenario = new Scenario({}, 'recorded-monitor');
  scenario.addServer('a', bench.taskQueue);
  const bad = new Set([2, 3]);
  const world = new MonitorWorld(scenario, { groundTruthDelay: '1d' }, (index) => [
    bad.has(index) ? badQuality() : goodQuality(),
  ]);
  world.channels = ['log', 'email'];
  scenario.let('deliverAlert', async (delivery) => {
    if (delivery.channel === 'email') throw ApplicationFailure.nonRetryable('no address', 'InputInvalid');
    return world.usual.deliverAlert(delivery);
  });
  const run = await world.look(bench, { asOf: '2026-11-08T00:00:00Z' });
  await run.result();
  const alerts = scenario
    .inputs('deliverAlert')
    .map(({ notice, channel }) => `alert/${notice.id}/${channel}`);
  const [told, refused] = ['log', 'email'].map((channel) => alerts.find((id) => id.endsWith(channel)) ?? '');
  await bench.client.workflow.getHandle(told ?? '').result();
  // It would be tried again for thirty days.
  await bench.client.workflow.getHandle(refused ?? '').cancel();
  await failure(bench.client.workflow.getHandle(refused ?? '').result());
  await save('monitor', run);
  await save('alert-told', bench.client.workflow.getHandle(told ?? ''));
  await save('alert-refused', bench.client.workflow.getHandle(refused ?? ''));
}

/** Two policies, of which one trains anew, once in vain. */
async function backtest(bench: WorkflowBench): Promise<void> {
  const { scenario } = backtestWorld([[], []], '1d', undefined, new Scenario({}, 'recorded-backtest'));
  let splits = 0;
  scenario.let('split', async () => {
    if (++splits === 2) throw ApplicationFailure.nonRetryable('too few rows', 'DataTooSmall');
    return parts;
  });
  const handle = await bench.client.workflow.start(WORKFLOW_TYPES.backtest, {
    workflowId: scenario.id,
    taskQueue: bench.taskQueue,
    args: [
      {
        spec: { ...smallSpec() },
        policies: [policy('never', null), policy('on-degradation', { ...NOTHING, degradation: true })],
        from: FIRST,
        to: '2009-06-13T00:00:00Z',
      },
    ],
  });
  await handle.result();
  await save('backtest', handle);
}

const all = {
  approval,
  rejection,
  gatesFailed,
  failedStageAndRetry,
  cancellation,
  endpoint,
  rollouts,
  modelServer,
  eventLog,
  retraining,
  monitor,
  backtest,
  materialization: (bench: WorkflowBench) => recordViews(bench, save),
};
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(all, name));
if (unknown.length > 0)
  throw new Error(
    `no history is recorded by ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}`,
  );
const recorders = Object.entries(all).flatMap(([name, record]) =>
  wanted.length === 0 || wanted.includes(name) ? [record] : [],
);

const server = await startTemporalServer();
const folder = await mkdtemp(join(tmpdir(), 'perennial-record-'));
try {
  const bundle = await bundleTo(join(folder, 'workflow-bundle.js'));
  const bench = await WorkflowBench.start({ address: server.address, bundle, identity: 'recorder' });
  try {
    for (const record of recorders) await record(bench);
  } finally {
    await bench.close();
  }
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
