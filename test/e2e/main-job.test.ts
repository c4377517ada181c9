import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelExport } from '../../client/export/model-export.ts';
import type { PlatformStatus } from '../../client/platform/state.ts';
import type { AuditAnswer } from '../../contracts/audit.ts';
import type { EndpointState } from '../../contracts/endpoint.ts';
import type { LifecycleResult, RunStatus } from '../../contracts/lifecycle.ts';
import { signed, waysToApprove } from '../support/e2e-approval.ts';
import { type CliOptions, cli, cliJson, startCli, UserShell } from '../support/e2e-cli.ts';
import {
  aliasFollows,
  processesWith,
  registryFacts,
  runFacts,
  servedFacts,
  storedBlob,
} from '../support/e2e-facts.ts';
import { looksBack } from '../support/e2e-lineage.ts';
import { ownFolder, pidOf, removePlatform, UpPlatform } from '../support/e2e-platform.ts';
import { BANK, BANK_ROW, BANK_SPEC, bankSpecFile, LONG_TRAINING } from '../support/e2e-spec.ts';
import { nodeAlone, startExported } from '../support/exported-server.ts';

const MINUTE = 60_000;
const ENDPOINT = 'bank-subscription';
const folder = ownFolder('e2e');
const dataDir = join(folder, 'data dir');
const options: CliOptions = { dataDir };
let shell: UserShell;
let up: UpPlatform;
let platform: PlatformStatus;

const serverUrl = (): string => platform.parts.find(({ name }) => name === 'server')?.url ?? '';
const mlflowUri = (): string => platform.mlflowUri ?? '';
const start = async (): Promise<void> => {
  up = await UpPlatform.up(dataDir, [BANK]);
  platform = up.status;
};

/** Keeps Temporal's usual port, so that every printed command must name the one that was taken instead. */
const occupant = createServer((socket) => socket.destroy());

beforeAll(async () => {
  shell = new UserShell(folder);
  await new Promise<void>((resolve) => {
    occupant.once('error', () => resolve()); // somebody else has it: as good
    occupant.listen(7233, '127.0.0.1', resolve);
  });
  await start();
}, 3 * MINUTE);
afterAll(async () => {
  occupant.close();
  await removePlatform(dataDir, folder);
}, MINUTE);

/** Starts a run and returns at once. */
const begin = async (file: string): Promise<string> =>
  (await cliJson<{ workflowId: string }>(['run', '--no-wait', file], options)).workflowId;

const statusOf = (workflowId: string): Promise<RunStatus> => cliJson(['status', workflowId], options);

/** Polls a run's status until it is in one of the states. */
async function until(workflowId: string, ...states: RunStatus['state'][]): Promise<RunStatus> {
  await expect
    .poll(async () => (await statusOf(workflowId)).state, { timeout: 2 * MINUTE, interval: 300 })
    .toBeOneOf(states);
  return statusOf(workflowId);
}

const approve = (workflowId: string) =>
  cliJson(['approve', workflowId, '--by', 'Ada', '--reason', 'fine'], options);

describe.sequential('the main job by the command line', () => {
  it('has all parts up, and a second `up` changes nothing', async () => {
    expect(platform.parts.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'temporal ready',
      'mlflow ready',
      'worker ready',
      'server ready',
    ]);
    expect(await cliJson<PlatformStatus>(['up'], options)).toEqual(platform);
    expect(await cliJson<PlatformStatus>(['status'], options)).toEqual(platform);
  });

  it('checks the spec against the data without running it', async () => {
    const answer = await cliJson<{ columns: { name: string; role: string }[] }>(['check', BANK_SPEC], {
      ...options,
      env: { PERENNIAL_SOURCE_ROOTS: BANK },
    });
    const roles = Object.fromEntries(answer.columns.map(({ name, role }) => [name, role]));
    expect(roles).toMatchObject({ subscribed: 'target', call: 'entity', called_on: 'timestamp' });
  });

  it('runs to an approval by update from the Temporal CLI, and serves', { timeout: 3 * MINUTE }, async () => {
    const run = startCli(['run', BANK_SPEC], options);
    const { id, update } = await waysToApprove(run);
    const early = await shell.run(
      signed(update).replace(/"candidate":"[0-9a-f]+"/, '"candidate":"00000000"'),
    );
    expect(early.code).not.toBe(0);
    expect(early.stderr).toContain('candidate');
    expect(await shell.run(signed(update))).toMatchObject({ code: 0 });
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain(`deployed: version 1 serves endpoint ${ENDPOINT}`);

    const status = await statusOf(id);
    expect(status.stages.map(({ state }) => state)).toEqual(Array(13).fill('done'));
    expect(status).toMatchObject({ state: 'done', outcome: 'deployed', error: null, refused: [] });
    await aliasFollows(mlflowUri(), ENDPOINT, '1');
    expect(await registryFacts(mlflowUri(), ENDPOINT)).toEqual({
      versions: [{ version: '1', outcome: 'deployed', workflowId: id }],
      aliases: { champion: '1' },
    });
    expect(await runFacts(mlflowUri(), 'bank-subscription', id)).toEqual({
      lifecycle: ['FINISHED'],
      candidates: expect.arrayContaining(['lightgbm-0: FINISHED', 'logistic-0: FINISHED']),
      loggedModels: 1,
    });
    expect(await servedFacts(serverUrl(), ENDPOINT)).toEqual({
      versions: ['1'],
      weights: [100],
      generation: 1,
    });
  });

  it('compares the second run with the champion, and takes an approval by signal', {
    timeout: 3 * MINUTE,
  }, async () => {
    const file = await bankSpecFile(folder, 'second', {
      candidates: ['logistic'],
      evaluation: { gates: [{ metric: 'roc_auc', betterThan: 'champion', by: -0.05 }] },
    });
    const run = startCli(['run', file], options);
    const { id, signal } = await waysToApprove(run);
    // Temporal's list of runs follows their state by a moment.
    const waiting = async () =>
      (await cliJson<{ workflowId: string }[]>(['runs', '--awaiting'], options)).map(
        ({ workflowId }) => workflowId,
      );
    await expect.poll(waiting, { timeout: MINUTE }).toEqual([id]);
    expect(await shell.run(signed(signal))).toMatchObject({ code: 0 });
    expect(await run.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('deployed: version 2'),
    });

    const shown = await shell.run(
      `temporal workflow result -w ${id} --address ${platform.temporalAddress} -o json`,
    );
    const { result } = JSON.parse(shown.stdout) as { result: LifecycleResult };
    expect(result.outputs.evaluate?.champion?.version).toBe('1');
    expect(result.outputs.evaluate?.champion?.test.roc_auc).toBeGreaterThan(0.55);
    const [gate] = result.outputs.gates?.results ?? [];
    expect(gate?.condition).toContain('that of the champion');
    expect(gate?.limit).toBeCloseTo((result.outputs.evaluate?.champion?.test.roc_auc ?? 0) - 0.05, 9);
    expect(result.outputs.approval?.votes).toMatchObject([{ by: 'Ada', how: 'signal', decision: 'approve' }]);
    expect(result.outputs.deploy).toMatchObject({ version: '2', previousVersion: '1', generation: 2 });
    await expect.poll(waiting, { timeout: MINUTE }).toEqual([]);
    const all = async () =>
      (await cliJson<{ modelVersion: string; status: string }[]>(['runs'], options)).map(
        ({ modelVersion, status }) => `${modelVersion} ${status}`,
      );
    await expect
      .poll(all, { timeout: MINUTE })
      .toEqual([`${ENDPOINT}/2 COMPLETED`, `${ENDPOINT}/1 COMPLETED`]);
  });

  it('ends with 3 where the candidate is rejected', { timeout: 3 * MINUTE }, async () => {
    const file = await bankSpecFile(folder, 'rejected', { candidates: ['logistic'] });
    const run = startCli(['run', file], options);
    const { id } = await waysToApprove(run);
    const without = await cli(['reject', id, '--by', 'Ada'], options);
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining('--reason') });
    await cliJson(['reject', id, '--by', 'Ada', '--reason', 'the data look wrong'], options);
    expect(await run.ended).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('rejected: the data look wrong'),
    });
    await aliasFollows(mlflowUri(), ENDPOINT, '2');
    const { versions } = await registryFacts(mlflowUri(), ENDPOINT);
    expect(versions.at(-1)).toEqual({ version: '3', outcome: 'rejected', workflowId: id });
    const late = await cli(['approve', id, '--by', 'Bob', '--candidate', '00000000'], options);
    expect(late).toMatchObject({ code: 2, stderr: expect.stringContaining(`run ${id} has ended already`) });
  });

  it('predicts from a file and from standard input', async () => {
    const file = join(folder, 'rows.json');
    writeFileSync(file, JSON.stringify([BANK_ROW, { ...BANK_ROW, job: 'retired', poutcome: 'success' }]));
    interface Answer {
      version: string;
      predictions: { label: string; probability: number }[];
    }
    const fromFile = await cliJson<Answer>(['predict', ENDPOINT, file], options);
    expect(fromFile.version).toBe('2');
    expect(fromFile.predictions).toHaveLength(2);
    const [first, second] = fromFile.predictions;
    expect(first?.probability).toBeGreaterThan(0);
    expect(second?.probability).toBeGreaterThan(first?.probability ?? 1);
    const fromInput = await cliJson<Answer>(['predict', ENDPOINT], {
      ...options,
      input: JSON.stringify(BANK_ROW),
    });
    expect(fromInput.predictions).toEqual([first]);
    const table = await cli(['predict', ENDPOINT, file], options);
    expect(table.stdout).toMatch(/^label +probability\n/);

    const wrong = await cli(['predict', ENDPOINT], {
      ...options,
      input: JSON.stringify({ ...BANK_ROW, agee: 3 }),
    });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('"age"') });
    const none = await cli(['predict', 'nothing-here'], { ...options, input: JSON.stringify(BANK_ROW) });
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('nothing-here') });
  });

  it('explains what the champion answers', { timeout: MINUTE }, async () => {
    interface Answer {
      model_version: string;
      predictions: { label: string; probability: number }[];
      explanations: {
        method: string;
        unit: string;
        attributions: { base: number; contributions: { column: string; value: number }[] }[];
      }[];
    }
    const input = JSON.stringify(BANK_ROW);
    const { model_version, predictions, explanations } = await cliJson<Answer>(['explain', ENDPOINT], {
      ...options,
      input,
    });
    expect(model_version).toBe('2');
    const [{ method, unit, attributions } = { method: '', unit: '', attributions: [] }] = explanations;
    // Exact where the better candidate is one of trees, which one trial each does not settle.
    expect(['tree log_odds', 'sampled probability']).toContain(`${method} ${unit}`);
    const { base, contributions } = attributions[0] ?? { base: 0, contributions: [] };
    const sum = contributions.reduce((total, { value }) => total + value, base);
    const answer = unit === 'log_odds' ? 1 / (1 + Math.exp(-sum)) : sum;
    expect(answer).toBeCloseTo(predictions[0]?.probability ?? Number.NaN, 6);
    const text = await cli(['explain', ENDPOINT], { ...options, input });
    expect(text.stdout).toMatch(/^row 0: label .*\nprobability.* \((exact|sampled.*)\)\non average/);
  });

  it('exports a version that serves without all of this', { timeout: 2 * MINUTE }, async () => {
    const to = join(folder, 'exported');
    const found = await cliJson<ModelExport>(['export', `${ENDPOINT}@champion`, '--to', to], options);
    const asked = { body: JSON.stringify({ dataframe_records: [BANK_ROW] }), method: 'POST' };
    const headers = { 'content-type': 'application/json' };
    const server = await startExported({
      program: join(to, 'start.sh'),
      cwd: '/',
      env: { PATH: await nodeAlone(folder) },
    });
    try {
      const [theirs, ours] = await Promise.all(
        [server.url, serverUrl()].map((url) => fetch(`${url}/invocations`, { ...asked, headers })),
      );
      expect(theirs?.headers.get('perennial-model-version')).toBe(found.version);
      expect(await theirs?.json()).toEqual(await ours?.json());
    } finally {
      await server.stop();
    }
    const again = await cli(['export', ENDPOINT, '--to', to], options);
    expect(again).toMatchObject({ code: 2, stdout: '' });
    expect(again.stderr).toContain('--force');
  });

  it('lists models and versions, shows the endpoint, and rolls it back', { timeout: MINUTE }, async () => {
    expect(await cliJson(['models'], options)).toMatchObject([
      { name: ENDPOINT, champion: '2', challenger: null },
    ]);
    const versions = await cliJson<{ version: string; aliases: string[]; outcome: string }[]>(
      ['models', ENDPOINT],
      options,
    );
    expect(versions.map(({ version, aliases, outcome }) => [version, aliases, outcome])).toEqual([
      ['3', [], 'rejected'],
      ['2', ['champion'], 'deployed'],
      ['1', [], 'deployed'],
    ]);
    const before = await cliJson<EndpointState>(['endpoint', ENDPOINT], options);
    expect(before).toMatchObject({ current: { version: '2' }, served: [{ version: '1' }], alias: '2' });

    await cliJson(['rollback', ENDPOINT, '--by', 'Ada', '--reason', 'complaints'], options);
    const after = await cliJson<EndpointState>(['endpoint', ENDPOINT], options);
    expect(after).toMatchObject({
      current: { version: '1' },
      table: { generation: 3 },
      acknowledged: { local: 3 },
    });
    expect(after.changes.at(-1)).toMatchObject({ from: '2', to: '1', requestedBy: 'Ada', outcome: 'done' });
    expect(await servedFacts(serverUrl(), ENDPOINT)).toMatchObject({ versions: ['1'], generation: 3 });
    // The registry follows what serves.
    await expect
      .poll(() => registryFacts(mlflowUri(), ENDPOINT), { timeout: MINUTE })
      .toMatchObject({
        aliases: { champion: '1' },
        versions: [{ outcome: 'deployed' }, { outcome: 'rolled_back' }, { outcome: 'rejected' }],
      });
    await expect
      .poll(async () => (await cliJson<AuditAnswer>(['audit', ENDPOINT], options)).records.at(-1), {
        timeout: MINUTE,
      })
      .toMatchObject({ action: 'endpoint.rolled-back', by: 'Ada', reason: 'complaints' });
    const missing = await cli(['endpoint', 'nothing-here'], options);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('no endpoint nothing-here') });
  });

  it('tells where versions come from, what they differ in, and makes one again', {
    timeout: 3 * MINUTE,
  }, async () => {
    await looksBack(ENDPOINT, options);
    expect((await registryFacts(mlflowUri(), ENDPOINT)).versions).toHaveLength(3);
  });

  it('takes a failed run up again at a stage', { timeout: 3 * MINUTE }, async () => {
    const id = await begin(await bankSpecFile(folder, 'failing', { candidates: ['logistic'] }));
    const { awaiting } = await until(id, 'awaiting_approval');
    const early = await cli(['retry', id, '--from', 'register'], options);
    expect(early).toMatchObject({ code: 2, stderr: expect.stringContaining('still running') });
    // The model's bytes are gone from the store while it waits: the check before the deployment fails.
    const blob = storedBlob(dataDir, awaiting?.candidate ?? '');
    renameSync(blob, `${blob}.gone`);
    await approve(id);
    const failed = await until(id, 'failed');
    renameSync(`${blob}.gone`, blob);
    expect(failed).toMatchObject({ stage: 'precheck', error: expect.stringContaining('cas:') });
    expect((await registryFacts(mlflowUri(), ENDPOINT)).versions.at(-1)).toMatchObject({ outcome: 'failed' });

    const unknown = await cli(['retry', id, '--from', 'registr'], options);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean register?') });
    const again = await cliJson<{ workflowId: string }>(['retry', id, '--from', 'register'], options);
    const waiting = await until(again.workflowId, 'awaiting_approval');
    expect(waiting.awaiting?.candidate).toBe(awaiting?.candidate);
    expect(waiting.stages.slice(0, 10).map(({ state }) => state)).toEqual([
      ...Array(9).fill('reused'),
      'done',
    ]);
    await approve(again.workflowId);
    expect(await until(again.workflowId, 'done', 'failed')).toMatchObject({ outcome: 'deployed' });
    expect((await registryFacts(mlflowUri(), ENDPOINT)).versions.map(({ outcome }) => outcome)).toEqual([
      'deployed',
      'rolled_back',
      'rejected',
      'failed',
      'deployed',
    ]);
  });

  it('cleans up behind a cancelled run', { timeout: 2 * MINUTE }, async () => {
    const file = await bankSpecFile(folder, 'cancelled', {
      name: 'bank-cancelled',
      candidates: LONG_TRAINING,
    });
    const id = await begin(file);
    const scratch = join(dataDir, 'scratch');
    await expect.poll(() => processesWith(scratch).length, { timeout: MINUTE }).toBeGreaterThan(0);
    expect(await cliJson<RunStatus>(['cancel', id], options)).toMatchObject({
      state: 'cancelled',
      stage: 'train',
    });
    expect(await runFacts(mlflowUri(), 'bank-cancelled', id)).toEqual({
      lifecycle: ['KILLED'],
      candidates: ['lightgbm-0: KILLED'],
      loggedModels: 0,
    });
    await expect.poll(() => processesWith(scratch), { timeout: 30_000 }).toEqual([]);
    const open = async (): Promise<number> => {
      const { stdout } = await shell.run(
        `temporal workflow count --query "ExecutionStatus='Running' AND WorkflowType IN ('lifecycle','training')" --address ${platform.temporalAddress} -o json`,
      );
      return Number((JSON.parse(stdout) as { count?: string }).count ?? 0);
    };
    await expect.poll(open, { timeout: MINUTE }).toBe(0);
  });

  it('serves on while Temporal and MLflow are dead, and mends itself', { timeout: 2 * MINUTE }, async () => {
    const supervisor = platform.supervisor?.pid ?? 0;
    const ask = async () => {
      const response = await fetch(`${serverUrl()}/endpoints/${ENDPOINT}/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ dataframe_records: [BANK_ROW] }),
      });
      return { status: response.status, version: response.headers.get('perennial-model-version') };
    };
    const before = await ask();
    expect(before).toEqual({ status: 200, version: '5' });
    // A stopped supervisor brings nothing back.
    process.kill(supervisor, 'SIGSTOP');
    try {
      for (const name of ['temporal', 'mlflow'] as const) process.kill(pidOf(dataDir, name), 'SIGKILL');
      await expect(fetch(mlflowUri())).rejects.toThrow();
      const answers = new Set<string>();
      for (let second = 0; second < 10; second += 1) {
        answers.add(JSON.stringify(await ask()));
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
      expect([...answers]).toEqual([JSON.stringify(before)]);
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    await expect
      .poll(async () => (await cli(['endpoint', ENDPOINT], options)).stdout, {
        timeout: MINUTE,
        interval: 1_000,
      })
      .toContain('version 5');
    await expect.poll(async () => (await cli(['models'], options)).code, { timeout: MINUTE }).toBe(0);
    expect(await ask()).toEqual(before);
  });

  it('goes on after `down` and `up` with a run that waits for its approval', {
    timeout: 4 * MINUTE,
  }, async () => {
    const id = await begin(await bankSpecFile(folder, 'waiting', { candidates: ['logistic'] }));
    const before = await until(id, 'awaiting_approval');
    const stopped = await cliJson<{ wasRunning: boolean }>(['down'], options);
    expect(stopped.wasRunning).toBe(true);
    expect(await up.command.ended).toMatchObject({ code: 0 });
    expect(processesWith(dataDir)).toEqual([]);
    expect(await cli(['status'], options)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('perennial up'),
    });

    await start();
    // The routes are in a file of the server's own: it answers before anybody tells it anything.
    expect(await servedFacts(serverUrl(), ENDPOINT)).toMatchObject({ versions: ['5'] });
    expect(await until(id, 'awaiting_approval')).toEqual(before);
    await approve(id);
    expect(await until(id, 'done', 'failed')).toMatchObject({ outcome: 'deployed' });
    expect(await servedFacts(serverUrl(), ENDPOINT)).toMatchObject({ versions: ['6'], weights: [100] });
    await aliasFollows(mlflowUri(), ENDPOINT, '6');
  });
});
