import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ReplayResult, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { quietRuntime } from '../support/workflow-bench.ts';
import { bundleTo } from '../support/workflow-code.ts';
import { readHistory } from './history-file.ts';

const FOLDER = fileURLToPath(new URL('./histories/', import.meta.url));
const BROKEN = fileURLToPath(new URL('./broken/index.ts', import.meta.url));

const histories = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ name: file.replace('.json', ''), ...readHistory(join(FOLDER, file)) }));

/** Replays one history against a bundle. */
async function replay(
  codePath: string,
  { workflowId, history }: (typeof histories)[number],
): Promise<ReplayResult> {
  const results = Worker.runReplayHistories({ workflowBundle: { codePath } }, [{ workflowId, history }]);
  for await (const result of results) return result;
  throw new Error('nothing was replayed');
}

let folder = '';
let broken = '';
beforeAll(async () => {
  quietRuntime();
  folder = await mkdtemp(join(tmpdir(), 'perennial-replay-'));
  broken = await bundleTo(join(folder, 'broken.js'), BROKEN);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('recorded histories', () => {
  it('tell of every way that a run can go', () => {
    expect(histories.map(({ name }) => name).sort()).toEqual([
      'alert-refused',
      'alert-told',
      'approval',
      'backtest',
      'cancellation',
      'deployed-with-views',
      'endpoint-after',
      'endpoint-before',
      'event-log-after',
      'event-log-before',
      'failed-stage',
      'gates-failed',
      'materialization',
      'materialization-refused',
      'materialization-unnamed',
      'model-server',
      'monitor',
      'rejection',
      'retraining-after',
      'retraining-before',
      'retry',
      'rollout-after',
      'rollout-before',
      'rollout-rolled-back',
      'training',
    ]);
  });

  it.each(histories)('$name is decided in the same way by the workflows of today', async (history) => {
    expect((await replay(inject('temporal').bundle, history)).error).toBeUndefined();
  });

  it.each(histories.filter(({ name }) => ['approval', 'cancellation', 'endpoint-before'].includes(name)))(
    '$name is not decided in the same way by workflows with two steps swapped',
    async (history) => {
      expect((await replay(broken, history)).error).toBeInstanceOf(DeterminismViolationError);
    },
  );

  it.each(histories)('$name says nothing of the machine that recorded it', ({ text }) => {
    for (const secret of [
      homedir(),
      hostname(),
      tmpdir(),
      process.cwd(),
      `${process.pid}@`,
      `@${hostname()}`,
    ])
      if (secret.length > 1) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/"identity":"\d+@/);
    expect(text).not.toContain(`"${userInfo().username}"`);
    expect(text).not.toContain('stackTrace');
  });
});
