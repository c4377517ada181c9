import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadableModel } from '../../activities/champion.ts';
import { servedOf } from '../../activities/monitoring/watched-version.ts';
import type { PerennialClient } from '../../client/perennial-client.ts';
import { loggedModelOf } from '../../contracts/lineage.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { seededRandom } from '../../domain/random.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { PredictionConfig } from '../../lib/predictions/settings.ts';
import { scoreLabelled } from '../../lib/scoring/scored-table.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { MlflowClient, ModelVersion } from '../../packages/mlflow-client-ts/src/index.ts';
import { RecordedLog, type RecordedRequest } from './recorded-log.ts';

const FIRST = 'fleet-0';
const TRAINING_ROWS = 4_000;
/** Rows of one request. */
const REQUEST = 50;
const DAY = 86_400_000;
/** Windows end before the clock's time: files of the future would be odd. */
export const FLEET_SINCE = Math.floor(Date.now() / DAY) * DAY - 10 * DAY;
const NUMBERS = ['age', 'income', 'visits', 'spent'] as const;
const TEXTS = ['plan', 'city'] as const;
const PLANS = ['basic', 'plus', 'pro'];
const CITIES = ['Köln', 'Lyon', 'Turin', 'Wien', 'Gent', 'Brno', 'Bath', 'Graz'];

/** What a fleet stands on. */
export interface FleetGround {
  perennial: PerennialClient;
  mlflow: MlflowClient;
  store: ArtifactStore;
  config: PredictionConfig;
  /** Which sources may lie in. */
  folder: string;
}

/** Rows of people who leave or stay. @param shift how far the meaning of the rows has moved */
function rowsOf(count: number, seed: number, shift = 0): Record<string, (string | number)[]> {
  const random = seededRandom(seed);
  const rows: Record<string, (string | number)[]> = {};
  const put = (name: string, value: string | number): void => {
    rows[name] = [...(rows[name] ?? []), value];
  };
  for (let i = 0; i < count; i++) {
    const age = 18 + Math.floor(random() * 60);
    const visits = Math.floor(random() * 30);
    const plan = PLANS[Math.floor(random() * PLANS.length)] ?? '';
    put('age', age);
    put('income', Math.round(20_000 + random() * 60_000));
    put('visits', visits);
    put('spent', Math.round(random() * 1_000) / 10);
    put('plan', plan);
    put('city', CITIES[Math.floor(random() * CITIES.length)] ?? '');
    const score = (visits - 15) / 5 + (plan === 'pro' ? -1 : 0.5) + (age - 45) / 30;
    const leaves = random() < 1 / (1 + Math.exp(score)) !== shift > 0;
    put('churned', leaves ? 'left' : 'stayed');
    put('at', new Date(FLEET_SINCE - (count - i) * 60_000).toISOString());
  }
  return rows;
}

function csv(rows: Record<string, (string | number)[]>): string {
  const names = Object.keys(rows);
  const length = rows[names[0] ?? '']?.length ?? 0;
  const lines = Array.from({ length }, (_, i) => names.map((name) => rows[name]?.[i]).join(','));
  return `${[names.join(','), ...lines].join('\n')}\n`;
}

/**
 * Many endpoints that are watched and have a log: one trained model, registered under the names of all of them. Nothing
 * has been looked at.
 *
 * @returns their names
 */
export async function watchedFleet(
  { perennial, mlflow, store, folder }: FleetGround,
  { endpoints: count, monitoring }: { endpoints: number; monitoring: object },
): Promise<string[]> {
  writeFileSync(join(folder, 'people.csv'), csv(rowsOf(TRAINING_ROWS, 1)));
  const spec = pipelineSpec.parse({
    name: FIRST,
    task: 'binary',
    data: { sources: { people: { path: join(folder, 'people.csv') } } },
    columns: { target: 'churned', timestamp: 'at' },
    candidates: [{ trainer: 'logistic', search: false }],
    evaluation: { gates: [] },
    approval: { required: false },
  });
  const { workflowId } = await perennial.start(JSON.parse(JSON.stringify(spec)));
  const { outcome, message } = await perennial.result(workflowId);
  if (outcome !== 'deployed') throw new Error(`the first model was not deployed: ${message}`);
  const version = await mlflow.modelVersions.get({ name: FIRST, version: '1' });
  const endpoints = Array.from({ length: count }, (_, i) => `fleet-${i}`);
  await registerAll(mlflow, version, endpoints.slice(1));
  await watchAll(store, { ...spec, monitoring: undefined }, endpoints, monitoring);
  return endpoints;
}

/** The same logged model as version 1 of further names. */
async function registerAll(mlflow: MlflowClient, version: ModelVersion, names: string[]): Promise<void> {
  const modelId = loggedModelOf(version);
  const { runId, tags } = version;
  for (const name of names) {
    await mlflow.registeredModels.getOrCreate({ name });
    await mlflow.modelVersions.create({ name, source: `models:/${modelId}`, modelId, runId, tags });
  }
}

async function watchAll(
  store: ArtifactStore,
  spec: PipelineSpec,
  endpoints: readonly string[],
  monitoring: object,
): Promise<void> {
  const records = new MonitorRecords(store.documents);
  for (const endpoint of endpoints) {
    const own = pipelineSpec.parse({ ...spec, deployment: { ...spec.deployment, endpoint }, monitoring });
    const specRef = await store.putJson(own);
    if (!own.monitoring) throw new Error('the spec says nothing of monitoring');
    const settings = {
      endpoint,
      pipeline: FIRST,
      specRef,
      monitoring: own.monitoring,
      since: new Date(FLEET_SINCE).toISOString(),
      paused: false,
    };
    await records.changeSettings(endpoint, () => settings);
  }
}

/**
 * Writes the log of a fleet: the model's own answers, each window a day from {@link FLEET_SINCE} on.
 *
 * @param traffic.isBroken whether the truth of a window of an endpoint is the opposite of what it was
 */
export async function recordFleetTraffic(
  { mlflow, store, config, folder }: FleetGround,
  endpoints: readonly string[],
  {
    windows,
    rows,
    isBroken,
  }: { windows: number; rows: number; isBroken: (n: number, window: number) => boolean },
): Promise<void> {
  const version = await mlflow.modelVersions.get({ name: FIRST, version: '1' });
  const model = await loadableModel(mlflow, store, version);
  if (!model) throw new Error('there is no model');
  const scratchDir = join(folder, 'scoring');
  mkdirSync(scratchDir, { recursive: true });
  const raw = rowsOf(rows, 2);
  writeFileSync(join(folder, 'traffic.csv'), csv(raw));
  const database = await Database.create({ tempDir: join(scratchDir, 'spill') });
  const [parquetPath, outPath] = [join(folder, 'traffic.parquet'), join(folder, 'answers.parquet')];
  await database.copyToParquet(
    `SELECT * FROM read_csv(${quoteLiteral(join(folder, 'traffic.csv'))})`,
    parquetPath,
  );
  await scoreLabelled({
    parquetPath,
    outPath,
    model: servedOf(model),
    modelPath: await store.path(model.onnx),
    task: 'binary',
    target: 'churned',
    timestamp: null,
    scratchDir,
  });
  const answered = await database.rows(`SELECT * FROM read_parquet(${quoteLiteral(outPath)})`);
  database.close();
  const column = (name: string): (string | number)[] => answered.map((row) => row[name] as string | number);
  const outputs = model.signature.outputs.map(({ name }) => [name, column(`output_${name}`)] as const);
  const log = await RecordedLog.begin(config, store);
  for (const [n, endpoint] of endpoints.entries()) {
    const about = { endpoint, version: '1', digest: model.onnx.sha256, texts: [...TEXTS] };
    let layout: ReturnType<typeof RecordedLog.layout> | undefined;
    for (let window = 0; window < windows; window++)
      for (let from = 0; from < rows; from += REQUEST) {
        const cut = <T>(values: readonly T[]): readonly T[] => values.slice(from, from + REQUEST);
        const at = FLEET_SINCE + window * DAY + Math.floor((from / rows) * DAY);
        const isOpposite = isBroken(n, window);
        const request: RecordedRequest = {
          at,
          requestId: `${n}-${window}-${from}`,
          inputs: Object.fromEntries(
            [...NUMBERS, ...TEXTS].map((name) => [name, cut(raw[name] ?? [])] as const),
          ),
          outputs: Object.fromEntries(outputs.map(([name, values]) => [name, cut(values)])),
          truth: {
            labels: cut(raw.churned ?? []).map((label) =>
              (label === 'left') !== isOpposite ? 'left' : 'stayed',
            ),
            at: at + 1_000,
          },
        };
        layout ??= RecordedLog.layout(about, request);
        await log.add(layout, request);
      }
  }
  await log.close();
}
