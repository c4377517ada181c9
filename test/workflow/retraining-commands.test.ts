import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Gate } from '../support/gate.ts';
import { RetrainingUnderTest } from '../support/retraining.ts';
import { Scenario } from '../support/scenario.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

const CLI = fileURLToPath(new URL('../../client/cli.ts', import.meta.url));
const { address, cli } = inject('temporal');

let bench: WorkflowBench;
let folder: string;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
  folder = await mkdtemp(join(tmpdir(), 'perennial-commands-'));
});
afterAll(async () => {
  await bench.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs one command of the sources. */
const perennial = (...args: string[]): Promise<{ code: number | null; out: string; err: string }> =>
  new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', CLI, '--data-dir', folder, ...args],
      {
        env: {
          PATH: process.env.PATH ?? '',
          TEMPORAL_ADDRESS: address,
          PERENNIAL_USER: 'grace',
          NO_COLOR: '1',
        },
      },
      (_error, out, err) => resolve({ code: child.exitCode, out, err }),
    );
  });

/** @param held what a run waits for before it fails */
async function started(
  retraining: object = {},
  held: Promise<void> = Promise.resolve(),
): Promise<{ pipeline: string; entity: RetrainingUnderTest }> {
  const scenario = new Scenario();
  scenario.let('ingest', async () => {
    await held;
    throw ApplicationFailure.nonRetryable('the source is gone', 'SourceNotFound');
  });
  return { pipeline: scenario.id, entity: await new RetrainingUnderTest(bench, scenario).start(retraining) };
}

describe('commands', { timeout: 120_000 }, () => {
  it('retrain demands a run in the name of who asks, and why tells what became of it', async () => {
    const answered = new Gate();
    const { pipeline, entity } = await started({ cooldown: '1h' }, answered.opened);
    const demanded = await perennial('retrain', pipeline, '--reason', 'new prices');
    expect(demanded).toMatchObject({ code: 0, err: '' });
    expect(demanded.out).toMatch(
      /start {4}demanded by grace\n +demand: new prices\n +run .*\nNext: run .* goes on/,
    );
    answered.open();
    await entity.ended(1);
    const why = await perennial('why', pipeline);
    expect(why.out).toMatch(
      /start +demanded by grace[\s\S]*ended +failed: the source is gone; run 1 of 3 in a row/,
    );
    expect(why.out).toMatch(/Next: waits for a reason to train\n$/);
    const json: unknown = JSON.parse((await perennial('--json', 'why', pipeline, '--limit', '1')).out);
    expect(json).toMatchObject({ pipeline, decisions: [{ decision: 'ended' }], earlier: [] });
  });

  it('retraining shows, pauses and resumes', async () => {
    const { pipeline, entity } = await started({ debounce: '1h' });
    await entity.trigger({ kind: 'degradation', reason: 'Brier 0.29' });
    const shown = await perennial('retraining', pipeline);
    expect(shown.out).toMatch(/trained anew on: demand, concept drift, degradation\n/);
    expect(shown.out).toMatch(/waits since .*: degradation: Brier 0.29\n/);
    expect(shown.out).toMatch(/Next: a run for degradation begins at /);
    const paused = await perennial('retraining', pipeline, 'pause', '--by', 'ada', '--reason', 'an audit');
    expect(paused.out).toContain('Next: paused by a person');
    expect((await entity.status()).state.paused).toBe(true);
    expect((await perennial('retraining', pipeline, 'resume')).code).toBe(0);
    expect((await entity.status()).state.paused).toBe(false);
  });

  it('a pipeline that is not there is refused with the one that was meant', async () => {
    const { pipeline } = await started();
    const wrong = `${pipeline.slice(0, -1)}x`;
    await eventually(async () => {
      const { code, err } = await perennial('why', wrong);
      expect(code).toBe(2);
      return err.includes('did you mean') ? true : undefined;
    }, 'the name in the list');
  });

  it('schedule ls and a wrong time', async () => {
    expect((await perennial('schedule', 'ls')).code).toBe(0);
    const backfill = await perennial(
      'schedule',
      'backfill',
      'monitor/x',
      '--from',
      'May',
      '--to',
      '2026-01-01',
    );
    expect(backfill.code).toBe(2);
    expect(backfill.err).toContain('--from: expected a date');
  });
});

describe('the Temporal CLI', () => {
  const target = (pipeline: string) => ['--workflow-id', `retraining/${pipeline}`, '--name'];

  it('sends the trigger as a signal and as an update, and the answer of a person', async () => {
    const { pipeline, entity } = await started({ debounce: '1h' });
    const signal = ['workflow', 'signal', ...target(pipeline), 'trigger', '--input'];
    const sent = await temporalCli(cli, address, [...signal, '{"kind":"degradation","reason":"we saw it"}']);
    expect(sent.code).toBe(0);
    await entity.until(({ state }) => state.pending.length === 1, 'the signal');
    const update = ['workflow', 'update', 'execute', ...target(pipeline)];
    const paused = await temporalCli(cli, address, [
      ...[...update, 'answer', '--input'],
      '{"decision":"pause","by":"ada"}',
    ]);
    expect(paused.code).toBe(0);
    const demanded = await temporalCli(cli, address, [
      ...[...update, 'trigger', '--output', 'json', '--input'],
      '{"kind":"demand","reason":"now"}',
    ]);
    expect(demanded.text).toContain('paused: a person has paused retraining');
    const wrong = await temporalCli(cli, address, [...update, 'trigger', '--input', '{"kind":"now"}']);
    expect(wrong.code).not.toBe(0);
    expect(wrong.text).toContain('kind: must be one of demand, schedule');
  });
});
