import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { servedOf } from '../../activities/monitoring/watched-version.ts';
import { loggedModelOf } from '../../contracts/lineage.ts';
import {
  type MonitorSettings,
  monitorSettings,
  type ObservedWindow,
  type WindowReport,
  type WindowSummary,
  windowReport,
} from '../../contracts/monitoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { seededRandom } from '../../domain/random.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { importTruth } from '../../lib/predictions/truth-import.ts';
import { scoreLabelled } from '../../lib/scoring/scored-table.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { type FinishedRun, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { RecordedLog, type RecordedRequest } from '../support/recorded-log.ts';

const DAY = 86_400_000;
const BEGIN = Math.floor(Date.now() / DAY) * DAY - 10 * DAY;
const ROWS = 300;
const REQUEST = 50;
const NAME = 'people';
const dayOf = (index: number): ObservedWindow => ({
  index,
  from: new Date(BEGIN + index * DAY).toISOString(),
  before: new Date(BEGIN + (index + 1) * DAY).toISOString(),
});

type Table = Record<'age' | 'visits' | 'plan' | 'left' | 'at', (string | number)[]>;

/** People of whom those with few visits leave. @param older by how many years they are older */
function people(count: number, seed: number, older = 0): Table {
  const random = seededRandom(seed);
  const table: Table = { age: [], visits: [], plan: [], left: [], at: [] };
  for (let i = 0; i < count; i++) {
    const visits = Math.floor(random() * 30);
    table.age.push(18 + Math.floor(random() * 40) + older);
    table.visits.push(visits);
    table.plan.push(random() < 0.5 ? 'basic' : 'pro');
    table.left.push(random() < 1 / (1 + Math.exp((visits - 15) / 4)) ? 'gone' : 'here');
    table.at.push(new Date(BEGIN - (count - i) * 60_000).toISOString());
  }
  return table;
}

async function writeCsv(path: string, table: Table): Promise<void> {
  const names = ['age', 'visits', 'plan', 'left', 'at'] as const;
  const lines = table.at.map((_, i) => names.map((name) => table[name][i]).join(','));
  await writeFile(path, `${[names.join(','), ...lines].join('\n')}\n`);
}

let platform: TestPlatform;
let store: ArtifactStore;
let records: MonitorRecords;
let spec: PipelineSpec;
let run: FinishedRun;

/** The rows with the answers of the registered model. */
async function answered(table: Table): Promise<Pick<RecordedRequest, 'inputs' | 'outputs'>> {
  const folder = join(platform.folder, `answers-${Math.random()}`);
  await mkdir(folder, { recursive: true });
  await writeCsv(join(folder, 'rows.csv'), table);
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  try {
    const parquetPath = join(folder, 'rows.parquet');
    await database.copyToParquet(
      `SELECT * FROM read_csv(${quoteLiteral(join(folder, 'rows.csv'))})`,
      parquetPath,
    );
    const outPath = join(folder, 'answers.parquet');
    const model = servedOf({ ...run.model, task: 'binary', classNames: [], positiveClass: null });
    await scoreLabelled({
      parquetPath,
      outPath,
      model,
      modelPath: await store.path(model.onnx),
      task: 'binary',
      target: 'left',
      timestamp: null,
      scratchDir: folder,
    });
    const rows = await database.rows(`SELECT * FROM read_parquet(${quoteLiteral(outPath)})`);
    const outputs = model.signature.outputs.map(
      ({ name, kind }) =>
        [
          name,
          rows.map((row) =>
            kind === 'string' ? String(row[`output_${name}`]) : Number(row[`output_${name}`]),
          ),
        ] as const,
    );
    const { age, visits, plan } = table;
    return { inputs: { age, visits, plan }, outputs: Object.fromEntries(outputs) };
  } finally {
    database.close();
  }
}

interface Recorded {
  day: number;
  table: Table;
  version?: string;
  /** Makes so much of the probabilities that the model gave. */
  times?: number;
  truth?: boolean;
}

async function record(...all: Recorded[]): Promise<void> {
  const log = await RecordedLog.begin(platform.config, store);
  for (const { day, table, version = '1', times = 1, truth = true } of all) {
    const { inputs, outputs } = await answered(table);
    const rows = table.at.length;
    for (let from = 0; from < rows; from += REQUEST) {
      const cut = <T>(values: readonly T[]): readonly T[] => values.slice(from, from + REQUEST);
      const at = BEGIN + day * DAY + Math.floor((from / rows) * DAY);
      const request: RecordedRequest = {
        at,
        requestId: `${day}-${version}-${from}`,
        inputs: Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, cut(values)])),
        outputs: Object.fromEntries(
          Object.entries(outputs).map(([name, values]) => [
            name,
            cut(values).map((value) => (typeof value === 'number' ? value * times : value)),
          ]),
        ),
        ...(truth ? { truth: { labels: cut(table.left).map(String), at: at + 1_000 } } : {}),
      };
      const about = { endpoint: NAME, version, digest: run.model.onnx.sha256, texts: ['plan'] };
      await log.add(RecordedLog.layout(about, request), request);
    }
  }
  await log.close();
}

const settingsOf = async (monitoring: object = {}): Promise<MonitorSettings> =>
  monitorSettings.parse({
    endpoint: NAME,
    pipeline: NAME,
    specRef: await store.putJson(spec),
    monitoring: {
      quality: { metric: 'roc_auc', min: 0.6 },
      drift: { share: 0.3 },
      ...monitoring,
    },
    since: new Date(BEGIN).toISOString(),
  });

async function observed(
  settings: MonitorSettings,
  window: ObservedWindow,
  labelled: ObservedWindow | null = window,
): Promise<{ summary: WindowSummary; report: WindowReport }> {
  const summary = await platform.run('observeWindow', {
    settings,
    due: { window, labelled },
    champion: '1',
    counters: null,
    again: false,
  });
  return { summary, report: windowReport.parse(await store.json(summary.report)) };
}

const stateOf = (report: WindowReport, check: string, of?: string): string | undefined =>
  report.verdicts.find(
    (one) => one.check === check && one.slice === null && (of === undefined || one.of === of),
  )?.state;

beforeAll(async () => {
  platform = await TestPlatform.start();
  store = (await platform.deps.store()).within(join(platform.folder, 'test'), { encrypt: true });
  records = new MonitorRecords(store.documents);
  await platform.takeLease();
  await writeCsv(join(platform.folder, 'people.csv'), people(2_000, 1));
  spec = pipelineSpec.parse({
    name: NAME,
    task: 'binary',
    data: { sources: { people: { path: join(platform.folder, 'people.csv') } } },
    columns: { target: 'left', timestamp: 'at' },
    candidates: [{ trainer: 'logistic', search: false }],
    evaluation: { gates: [] },
    approval: { required: false },
    monitoring: {},
  });
  run = await runLifecycle(platform, spec, { commit: null, dirty: false });
  const { modelVersions } = platform.deps.mlflow();
  const first = await modelVersions.get({ name: NAME, version: '1' });
  const modelId = loggedModelOf(first);
  // The same model once more, as a version of its own.
  await modelVersions.create({
    name: NAME,
    source: `models:/${modelId}`,
    modelId,
    runId: first.runId,
    tags: first.tags,
  });
  await record(
    { day: 0, table: people(ROWS, 2) },
    { day: 1, table: people(ROWS, 3, 60) },
    { day: 2, table: people(ROWS, 4), times: 0.5, truth: false },
    { day: 4, table: people(100, 5) },
    { day: 4, table: people(ROWS, 6), version: '2' },
  );
}, 300_000);
afterAll(() => platform?.close(), 60_000);

it('a window like the reference is within its limits, with all its truth', { timeout: 120_000 }, async () => {
  const { summary, report } = await observed(await settingsOf(), dayOf(0));
  expect(summary).toMatchObject({ version: '1', rows: ROWS, labels: ROWS, state: 'ok' });
  expect(report.reference).toMatchObject({ version: '1', words: expect.stringContaining('training rows') });
  expect(report.quality.metrics.roc_auc).toBeGreaterThan(0.75);
  expect(report.skew).toEqual({ rows: ROWS, differing: 0, largest: expect.any(Number) });
  expect(report.operations).toMatchObject({ requests: ROWS / REQUEST, rows: ROWS, failed: null });
  expect(report.warnings).toEqual([]);
});

it('a planted drift is found, and what drifted; the quality need not have', {
  timeout: 120_000,
}, async () => {
  const { summary, report } = await observed(await settingsOf(), dayOf(1));
  expect(summary.state).toBe('breached');
  expect(stateOf(report, 'data-drift', '')).toBe('breached');
  expect(report.columns.filter(({ drifted }) => drifted).map(({ name }) => name)).toEqual(['age']);
  expect(stateOf(report, 'quality', 'roc_auc')).toBe('ok');
  expect(summary.plot).not.toBeNull();
});

it('answers that are not the file’s are skew; without truth the quality is unknown', {
  timeout: 120_000,
}, async () => {
  const settings = await settingsOf();
  const { summary, report } = await observed(settings, dayOf(2));
  expect(report.skew).toMatchObject({ rows: ROWS, differing: ROWS });
  expect(report.skew?.largest).toBeGreaterThan(0.4);
  expect(stateOf(report, 'skew')).toBe('breached');
  expect(stateOf(report, 'quality', 'roc_auc')).toBe('insufficient');
  expect(summary.labels).toBe(0);
  // The truth comes a day later.
  const late = people(ROWS, 4);
  const requests = Array.from({ length: ROWS / REQUEST }, (_, i) => i * REQUEST);
  const lines = requests.flatMap((from) =>
    late.left
      .slice(from, from + REQUEST)
      .map((label, row) => JSON.stringify({ requestId: `2-1-${from}`, row, label })),
  );
  const file = join(platform.folder, 'late.jsonl');
  await writeFile(file, `${lines.join('\n')}\n`);
  await importTruth(
    platform.config,
    { endpoint: NAME, file, format: 'jsonl', newEndpoint: false },
    join(platform.folder, 'import'),
  );
  const later = await observed(settings, dayOf(3), dayOf(2));
  expect(later.report.quality).toMatchObject({ rows: ROWS, labels: ROWS });
  expect(later.report.labelled).toEqual(dayOf(2));
});

it('a window without rows says insufficient, never ok', { timeout: 120_000 }, async () => {
  const { summary, report } = await observed(await settingsOf(), dayOf(3));
  expect(summary).toMatchObject({ rows: 0, labels: 0, state: 'insufficient' });
  expect(report.verdicts.filter(({ state }) => state === 'ok')).toEqual([]);
});

it('a window in which versions change is held against the one that answered most', {
  timeout: 120_000,
}, async () => {
  const { summary, report } = await observed(await settingsOf(), dayOf(4));
  expect(report.versions).toEqual({ '1': 100, '2': ROWS });
  expect(summary.version).toBe('2');
  expect(report.reference.version).toBe('2');
});

it('predictions of a time as the reference', { timeout: 120_000 }, async () => {
  const seconds = (at: string): string => at.replace('.000', '');
  const [from, before] = [seconds(dayOf(1).from), seconds(dayOf(1).before)];
  const settings = await settingsOf({ reference: { from, before } });
  const { report } = await observed(settings, dayOf(0));
  expect(report.reference).toMatchObject({
    words: `predictions from ${from} to ${before}`,
    rows: ROWS,
    labels: ROWS,
  });
  expect(report.columns.filter(({ drifted }) => drifted).map(({ name }) => name)).toEqual(['age']);
});

it('windows of so many rows are planned one after the other', { timeout: 120_000 }, async () => {
  const settings = await settingsOf({ window: { rows: 200 } });
  await records.changeSettings(NAME, () => settings);
  const { due } = await platform.run('planMonitoring', {
    endpoint: NAME,
    asOf: dayOf(8).before,
    again: null,
  });
  expect(due.length).toBeGreaterThanOrEqual(5);
  for (const [i, { window }] of due.entries()) {
    expect(window.index).toBe(i);
    if (i > 0) expect(window.from).toBe(due[i - 1]?.window.before);
  }
  const [first] = due;
  if (!first) throw new Error('nothing is due');
  expect((await observed(settings, first.window)).summary.rows).toBe(200);
});

it('a window is on record once, whoever is faster; what is planned follows', {
  timeout: 120_000,
}, async () => {
  const settings = await settingsOf();
  await records.changeSettings(NAME, () => settings);
  const plan = () => platform.run('planMonitoring', { endpoint: NAME, asOf: dayOf(2).before, again: null });
  const { due } = await plan();
  expect(due.map(({ window }) => window)).toEqual([dayOf(0), dayOf(1), dayOf(2)]);
  const { summary } = await observed(settings, dayOf(0));
  const alerts = { open: [], outbox: [] };
  const written = await Promise.all(
    Array.from({ length: 4 }, () => platform.run('recordWindow', { settings, summary, alerts })),
  );
  expect(new Set(written.map(({ next }) => next))).toEqual(new Set([dayOf(0).before]));
  const state = await records.state(NAME);
  expect(state).toMatchObject({ index: 1, next: dayOf(0).before, judgedThrough: dayOf(0).before });
  expect(state?.trend).toHaveLength(1);
  expect((await plan()).due.map(({ window }) => window.index)).toEqual([1, 2]);
  const again = await platform.run('planMonitoring', {
    endpoint: NAME,
    asOf: dayOf(2).before,
    again: { from: dayOf(0).from, before: dayOf(5).before },
  });
  expect(again.due).toEqual([{ window: dayOf(0), labelled: dayOf(0) }]);
});

it('a file of the log that cannot be read is left out, and named', { timeout: 120_000 }, async () => {
  const folder = join(platform.config.dataDir, 'predictions', 'archive', NAME, 'predictions');
  const [day = ''] = (await readdir(folder)).sort();
  await writeFile(join(folder, day, 'broken.parquet'), 'not Parquet');
  const { summary, report } = await observed(await settingsOf({ skew: false }), dayOf(0));
  expect(summary.rows).toBe(ROWS);
  expect(report.warnings).toEqual([expect.stringMatching(/^1 files? of the log cannot be read/)]);
});
