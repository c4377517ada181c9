import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Platform } from '../client/platform/platform.ts';
import { HOUSE_OPTIONS } from '../workers/options.ts';
import { measureFeatures } from './features.ts';
import { cells, figures, machine, table } from './figures.ts';
import { measureMetaflow } from './metaflow.ts';
import { measurePrivacy } from './privacy.ts';
import { measureStartUp } from './start-up.ts';
import type { tenSteps } from './ten-steps.ts';
import { validation } from './validation.ts';

const STEPS = 10;
const WARM_UP = 5;
const RUNS = 30;
const METAFLOW_RUNS = 5;
const START_UPS = 3;
/** Milliseconds of a step that the engine may cost, everything included. */
const TARGET_MS = 15;

/** Peers on the same kind of machine, measured on another day; docs/benchmarks.md says how. Milliseconds per step. */
const EARLIER = {
  'Dagster 1.13.28, in process': 42,
  'ZenML 0.98.0': 78,
  'Prefect 3.8.8': 108,
  'Metaflow 2.19.39': 292,
};

/** The activity of the benchmark. */
export const noop = async (): Promise<void> => undefined;

/**
 * Wall time of a workflow of ten no-op activities, from the client's call to its answer, on the platform's own
 * Temporal: a SQLite file and the flags of client/platform/temporal-part.ts.
 *
 * @returns milliseconds of each run
 */
async function measureWorkflow(): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-'));
  const platform = await Platform.start({ dataDir: folder, parts: ['temporal'] });
  try {
    const connection = await NativeConnection.connect({ address: platform.status().temporalAddress });
    const worker = await Worker.create({
      connection,
      taskQueue: 'bench',
      workflowsPath: fileURLToPath(new URL('./ten-steps.ts', import.meta.url)),
      activities: { noop },
      ...HOUSE_OPTIONS,
    });
    const client = new Client({ connection });
    const once = async (i: number): Promise<number> => {
      const begin = performance.now();
      await client.workflow.execute<typeof tenSteps>('tenSteps', {
        taskQueue: 'bench',
        workflowId: `noop-${i}`,
      });
      return performance.now() - begin;
    };
    const times = await worker.runUntil(async () => {
      for (let i = 0; i < WARM_UP; i += 1) await once(-1 - i);
      const measured: number[] = [];
      for (let i = 0; i < RUNS; i += 1) measured.push(await once(i));
      return measured;
    });
    await connection.close();
    return times;
  } finally {
    await platform.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const perStep = (times: readonly number[]): string[] => cells(figures(times.map((time) => time / STEPS)), 1);
const seconds = (times: readonly number[]): string[] => cells(figures(times.map((time) => time / 1_000)), 1);

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  say(`${machine()}\n`);
  if (process.argv.includes('--features')) return say(await measureFeatures());
  if (process.argv.includes('--privacy')) return measurePrivacy(say);

  const workflow = await measureWorkflow();
  const metaflow = process.argv.includes('--metaflow') ? await measureMetaflow(METAFLOW_RUNS) : undefined;
  say(
    table(
      ['ten no-op steps one after the other, ms per step', 'min', 'median', 'max', 'measured'],
      [
        [`Perennial (Temporal, SQLite file), ${RUNS} runs`, ...perStep(workflow), 'now'],
        ...(metaflow ? [[`Metaflow, local, ${metaflow.length} runs`, ...perStep(metaflow), 'now']] : []),
        ...Object.entries(EARLIER).map(([name, median]) => [name, '', String(median), '', 'earlier']),
      ],
    ),
  );
  const { median } = figures(workflow);
  say(`\nTarget: at most ${TARGET_MS} ms per step: ${median / STEPS <= TARGET_MS ? 'kept' : 'missed'}.\n`);

  const startUp = await measureStartUp(START_UPS);
  say(
    table(
      ['`perennial up` until all parts are ready, s', 'min', 'median', 'max'],
      [
        [`empty data directory, ${START_UPS} starts`, ...seconds(startUp.cold)],
        [`data directory of an earlier start, ${START_UPS} starts`, ...seconds(startUp.warm)],
      ],
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await (process.argv.includes('--validation') ? validation() : main());
