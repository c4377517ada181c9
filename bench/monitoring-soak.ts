/**
 * Many endpoints under monitoring on one worker: every window of every endpoint is looked at as a schedule would have it
 * done, on a real Temporal dev server, a real MLflow and real prediction logs. Says whether a window was missed, whether
 * the planted break was found and nothing else, how many windows a second there were, and the memory of the worker.
 *
 *   npx tsx bench/monitoring-soak.ts [--endpoints 1000] [--windows 6] [--rows 300] [--at-once 32] [--skew]
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { MonitorInput, MonitorResult } from '../contracts/monitoring.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../contracts/names.ts';
import { MonitorRecords } from '../lib/monitoring/monitor-records.ts';
import { FLEET_SINCE, recordFleetTraffic } from '../test/support/watched-fleet.ts';
import { inLanes } from '../workflows/lanes.ts';
import { machine, table } from './figures.ts';
import { type SoakGround, soakGround } from './soak-ground.ts';

const { values: options } = parseArgs({
  options: {
    endpoints: { type: 'string', default: '1000' },
    windows: { type: 'string', default: '6' },
    rows: { type: 'string', default: '300' },
    'at-once': { type: 'string', default: '32' },
    skew: { type: 'boolean', default: false },
  },
});
const ENDPOINTS = Number(options.endpoints);
const WINDOWS = Number(options.windows);
const ROWS = Number(options.rows);
const AT_ONCE = Number(options['at-once']);
/** The window whose truth is turned round for every tenth endpoint. */
const BROKEN = Math.floor(WINDOWS / 2);
const DAY = 86_400_000;
const MIB = 2 ** 20;

/** Resident memory of a process in MiB. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round((Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1_024) / MIB);
}

/** Processor time of a process and of those that it started and that have ended, in seconds. */
function secondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]) / 100, 0);
}

/** Processor time of a process and all below it: MLflow serves by processes of its own. */
const secondsBelow = (pid: number): number =>
  secondsOf(pid) +
  readdirSync('/proc')
    .filter((name) => {
      if (!/^\d+$/.test(name)) return false;
      try {
        return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]) === pid;
      } catch {
        return false;
      }
    })
    .reduce((sum, name) => sum + secondsBelow(Number(name)), 0);

const pids = ({ platform }: SoakGround): Record<string, number> =>
  Object.fromEntries(
    platform.status().parts.flatMap(({ name, process }) => (process ? [[name, process.pid]] : [])),
  );

async function look({ perennial }: SoakGround, endpoint: string, window: number): Promise<void> {
  await perennial.temporal.workflow.execute<(input: MonitorInput) => Promise<MonitorResult>>(
    WORKFLOW_TYPES.monitor,
    {
      workflowId: monitorScheduleId(endpoint),
      taskQueue: perennial.taskQueue,
      args: [{ endpoint, asOf: new Date(FLEET_SINCE + (window + 1) * DAY).toISOString() }],
    },
  );
}

/** What became of all windows, from the records. */
async function found({ store, endpoints }: SoakGround) {
  const records = new MonitorRecords(store.documents);
  const sum = { windows: 0, missed: 0, breached: 0, wrong: 0, unlogged: 0 };
  for (const [n, endpoint] of endpoints.entries()) {
    const state = await records.state(endpoint);
    const trend = state?.trend ?? [];
    sum.windows += trend.length;
    sum.unlogged += trend.length - (state?.unlogged ?? 0);
    for (let window = 0; window < WINDOWS; window++) {
      const one = trend.filter(({ window: { index } }) => index === window);
      if (one.length !== 1 || one[0]?.rows !== ROWS || one[0]?.labels !== ROWS) sum.missed++;
      const isBad = window === BROKEN && n % 10 === 0;
      if (isBad) sum.breached++;
      if ((one[0]?.state === 'breached') !== isBad) sum.wrong++;
    }
  }
  return sum;
}

const folder = mkdtempSync(join(tmpdir(), 'perennial-soak-'));
try {
  let begin = performance.now();
  const ground = await soakGround(folder, {
    endpoints: ENDPOINTS,
    monitoring: {
      window: '1d',
      minRows: 100,
      minLabels: 100,
      quality: { metric: 'roc_auc', min: 0.7 },
      ...(options.skew ? {} : { skew: false }),
    },
  });
  try {
    const isBroken = (n: number, window: number): boolean => window === BROKEN && n % 10 === 0;
    await recordFleetTraffic(ground, ground.endpoints, { windows: WINDOWS, rows: ROWS, isBroken });
    const seconds = (since: number): string => ((performance.now() - since) / 1_000).toFixed(1);
    console.log(machine());
    console.log(`${ENDPOINTS} endpoints ready after ${seconds(begin)} s\n`);
    const { worker = 0 } = pids(ground);
    const rows: string[][] = [];
    begin = performance.now();
    for (let window = 0; window < WINDOWS; window++) {
      const before = Object.entries(pids(ground)).map(([name, pid]) => [name, secondsBelow(pid)] as const);
      const since = performance.now();
      await inLanes(ground.endpoints, AT_ONCE, (endpoint) => look(ground, endpoint, window));
      const took = (performance.now() - since) / 1_000;
      const now = pids(ground);
      const share = (name: string): string => {
        const earlier = before.find(([one]) => one === name)?.[1] ?? 0;
        return `${Math.round((1_000 * (secondsBelow(now[name] ?? 0) - earlier)) / ENDPOINTS)}`;
      };
      rows.push([
        String(window),
        took.toFixed(1),
        (ENDPOINTS / took).toFixed(1),
        String(memoryOf(worker)),
        share('worker'),
        share('mlflow'),
        share('temporal'),
      ]);
      console.error(rows.at(-1)?.join('  '));
    }
    const all = (performance.now() - begin) / 1_000;
    const sum = await found(ground);
    console.log(
      table(
        [
          'window',
          'seconds',
          'windows per second',
          'worker, MiB',
          'worker, ms of processor per window',
          'MLflow',
          'Temporal',
        ],
        rows,
      ),
    );
    console.log(
      `\n${sum.windows} windows in ${all.toFixed(0)} s (${(sum.windows / all).toFixed(1)} per second), ${sum.missed} missed, ${sum.breached} broken, ${sum.wrong} judged wrongly, ${sum.unlogged} that MLflow has not`,
    );
  } finally {
    await ground.close();
  }
} finally {
  if (process.env.KEEP) console.error(folder);
  else rmSync(folder, { recursive: true, force: true });
}
