import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hindsight } from '../../contracts/hindsight.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { configFromEnv, type PerennialConfig } from '../../lib/config.ts';
import { hindsightOf } from '../../lib/monitoring/hindsight.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import { hindsightPage } from '../../lib/report/hindsight-page.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { startServing } from '../../serving/process/supervisor.ts';
import { servingFromEnv } from '../../workers/serving-options.ts';
import { churnProbability, churnServed } from './serving-models.ts';

/** Versions by the bias of their model: each answers otherwise. */
const BIAS = { '1': 1, '2': 3, '3': 0 } as const;
const PROBLEM: WatchedProblem = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes' };
const WINDOWS = [5, 6, 7].map((month, index) => ({
  index,
  from: new Date(Date.UTC(2009, month - 1, 1)).toISOString(),
  before: new Date(Date.UTC(2009, month, 1)).toISOString(),
}));

/** A row of the log: who was asked, and what turned out to be true; the truth of each seventh is not known. */
interface Row {
  day: string;
  age: number;
  city: string;
  active: boolean;
  joined: string;
  label: string | null;
}
const row = (month: number, i: number): Row => ({
  day: `2009-0${month}-${String(1 + (i % 28)).padStart(2, '0')}`,
  age: 18 + ((i * 7) % 60),
  city: ['Ulm', 'Bonn', 'Köln'][i % 3] ?? '',
  active: i % 4 === 0,
  joined: `20${String(10 + (i % 9))}-03-04T05:06:07Z`,
  label: i % 7 === 6 ? null : (i * 11) % 5 < 2 ? 'yes' : 'no',
});
const rowsOf = (month: number): Row[] => Array.from({ length: 60 }, (_, i) => row(month, i));

/** The Brier score of the rows whose truth is known, computed from the formula of the model. */
const brier = (rows: readonly Row[], bias: number): number => {
  const known = rows.filter(({ label }) => label !== null);
  const sum = known.reduce((total, { age, city, active, joined, label }) => {
    const input = { age, city, active: Number(active), joined: Date.parse(joined) / 1_000, bias };
    return total + (churnProbability(input) - Number(label === 'yes')) ** 2;
  }, 0);
  return sum / known.length;
};

let dataDir = '';
let config: PerennialConfig;
let store: ArtifactStore;
const models = new Map<string, ServedModel>();

/** In May version 1 answers, in June version 2 with copies for version 3; of July nothing is known to be true. */
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'perennial-hindsight-'));
  const env = {
    PERENNIAL_DATA_DIR: dataDir,
    PERENNIAL_REPLAY: '1',
    PERENNIAL_SERVER_PROCESSES: '1',
    PERENNIAL_LOG_LEVEL: 'silent',
  };
  config = configFromEnv(env);
  store = await openStore(config);
  for (const [version, bias] of Object.entries(BIAS))
    models.set(version, await churnServed(store, version, bias));
  const server = await startServing({
    ...servingFromEnv(env, config),
    serverId: 'replay',
    routesFile: join(dataDir, 'routes.json'),
    logger: pino({ level: 'silent' }),
  });
  const post = async (path: string, time: string, payload: unknown, headers = {}): Promise<void> => {
    const answer = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'perennial-time': time, ...headers },
      body: JSON.stringify(payload),
    });
    expect(answer.ok, await answer.text()).toBe(true);
  };
  try {
    const serve = (generation: number, version: string, shadow?: string) =>
      server.applyRoutes({
        endpoint: 'churn',
        generation,
        routes: [
          { model: modelOf(version), weight: 100 },
          ...(shadow === undefined ? [] : [{ model: modelOf(shadow), weight: 100, role: 'shadow' as const }]),
        ],
      });
    for (const [month, champion, shadow] of [
      [5, '1', undefined],
      [6, '2', '3'],
      [7, '2', undefined],
    ] as const) {
      await serve(month, champion, shadow);
      for (const [i, { day, label, ...inputs }] of rowsOf(month).entries()) {
        const requestId = `r-${month}-${i}`;
        await post(
          '/endpoints/churn/invocations',
          day,
          { dataframe_records: [inputs] },
          {
            'x-request-id': requestId,
          },
        );
        if (label !== null && month < 7)
          await post('/v1/endpoints/churn/feedback', '2009-08-01', [{ requestId, label }]);
      }
    }
  } finally {
    await server.close();
  }
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

function modelOf(version: string): ServedModel {
  const model = models.get(version);
  if (!model) throw new Error(`there is no version ${version}`);
  return model;
}

async function lookBack(version: string, model = modelOf(version)): Promise<Hindsight> {
  const scratchDir = join(dataDir, `scratch-${version}`);
  await mkdir(scratchDir, { recursive: true });
  return hindsightOf(config, {
    endpoint: 'churn',
    model,
    modelPath: await store.path(model.onnx),
    problem: PROBLEM,
    other: async () => ({ problem: PROBLEM }),
    metric: 'brier_score',
    windows: WINDOWS,
    scratchDir,
    seed: 1,
  });
}

describe('what a version would have answered', () => {
  it.each(['1', '2', '3'] as const)('is what version %s says to the same inputs', async (version) => {
    const found = await lookBack(version);
    expect(found.windows.map(({ window, versions }) => [window.from.slice(0, 7), versions])).toEqual([
      ['2009-05', { '1': 60 }],
      ['2009-06', { '2': 60 }],
    ]);
    for (const [i, answeredBy] of (['1', '2'] as const).entries()) {
      const rows = rowsOf(5 + i);
      const window = found.windows[i];
      const labels = rows.filter(({ label }) => label !== null).length;
      expect([window?.answered.labels, window?.asked.labels]).toEqual([labels, labels]);
      expect(window?.answered.metrics.brier_score).toBeCloseTo(brier(rows, BIAS[answeredBy]), 5);
      expect(window?.asked.metrics.brier_score).toBeCloseTo(brier(rows, BIAS[version]), 5);
    }
    const [may = [], june = []] = [rowsOf(5), rowsOf(6)];
    expect(found.means.asked).toBeCloseTo((brier(may, BIAS[version]) + brier(june, BIAS[version])) / 2, 5);
    expect(found.changes).toEqual([
      { version: '1', at: '2009-05-01T00:00:00.000Z' },
      { version: '2', at: '2009-06-01T00:00:00.000Z' },
    ]);
  });

  it('cannot be told of a version that reads what was not recorded', async () => {
    const model = modelOf('1');
    const inputs = [...model.signature.inputs, { name: 'income', kind: 'numeric' as const, optional: true }];
    const other = { ...model, version: '9', signature: { ...model.signature, inputs } };
    await expect(lookBack('9', other)).rejects.toThrow(/version 9 reads income/);
  });

  it('is a page that loads nothing, with a picture', async () => {
    const page = await hindsightPage(await lookBack('1'));
    expect(page).toContain('<svg');
    expect(page).toMatch(/(Better|Worse) than version 1 alone/);
    expect(page).not.toMatch(/<(script|link|img)|src=|@import|url\(/);
  });
});
