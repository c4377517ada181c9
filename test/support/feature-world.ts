import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { ServedView } from '../../contracts/serving.ts';
import { featureView } from '../../contracts/spec/feature-views.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { storeIdOf } from '../../lib/feature-store/stored-view.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { sweptColumns, type TestEvent } from './feature-events.ts';

/** An event of an entity: milliseconds of Unix time, and two values. */
export interface WorldEvent {
  readonly key: string;
  readonly time: number;
  readonly amount: number | null;
  readonly other: number | null;
}

export const HOUR = 3_600_000;
/** A moment that is no border of anything. */
export const NOW = Date.UTC(2026, 4, 17, 11, 23, 45, 678);
export const PIPELINE = 'payments';

export const WORLD_VIEW = featureView.parse({
  events: 'SELECT * FROM payments',
  entity: ['key'],
  timestamp: 'happened',
  windows: ['1h', '8h', '3d'],
  features: {
    amount: 'avg(amount)',
    amounts: 'sum(amount)',
    payments: 'count(*)',
    spread: 'stddev(amount)',
    last: 'last(other)',
    most: 'max(other)',
    big: 'count(*) FILTER (WHERE amount > 50)',
  },
});

/** A DuckDB with a table of events, and a view of it. */
export class FeatureWorld {
  private constructor(
    readonly folder: string,
    readonly artifacts: ArtifactStore,
    readonly database: Database,
    readonly plan: ViewPlan,
  ) {}

  static async create(): Promise<FeatureWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-features-'));
    const database = await Database.create({ tempDir: folder, threads: 2 });
    await database.run(
      'CREATE TABLE payments (key VARCHAR, happened TIMESTAMP, amount DOUBLE, other DOUBLE)',
    );
    const artifacts = await ArtifactStore.create(join(folder, 'artifacts'));
    return new FeatureWorld(folder, artifacts, database, await planView(database, 'payer', WORLD_VIEW));
  }

  async close(): Promise<void> {
    this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  get id(): string {
    return storeIdOf(PIPELINE, this.plan);
  }

  /** Exactly these events are there. */
  async set(events: readonly WorldEvent[]): Promise<void> {
    await this.database.run('DELETE FROM payments');
    await this.add(events);
  }

  /** Keeps what is there now under a name. */
  async keepAs(name: string): Promise<void> {
    await this.database.run(`CREATE TABLE ${quoteIdent(name)} AS SELECT * FROM payments`);
  }

  /** Exactly what was kept under a name is there. */
  async put(name: string): Promise<void> {
    await this.database.run('DELETE FROM payments');
    await this.database.run(`INSERT INTO payments SELECT * FROM ${quoteIdent(name)}`);
  }

  async add(events: readonly WorldEvent[]): Promise<void> {
    const number = (value: number | null): string => (value === null ? 'NULL' : `${value}::DOUBLE`);
    for (let from = 0; from < events.length; from += 1_000)
      await this.database.run(
        `INSERT INTO payments VALUES ${events
          .slice(from, from + 1_000)
          .map(
            ({ key, time, amount, other }) =>
              `(${quoteLiteral(key)}, make_timestamp(${Math.round(time * 1_000)}), ${number(amount)}, ${number(other)})`,
          )
          .join(', ')}`,
      );
  }

  /** The view as a server has it. */
  get served(): ServedView {
    const { name, entity, values, windows, columns } = this.plan;
    return {
      name,
      store: this.id,
      entity: [...entity],
      values,
      columns: columns.map((column) => ({
        input: column.name,
        aggregate: column.aggregate,
        value: column.value,
        window: windows[column.window] ?? 0,
        default: null,
      })),
      ttlMs: null,
      unavailable: 'refuse',
    };
  }

  /** What training gets for an entity at a moment, milliseconds, of the events that are in the table. */
  async trained(key: string, at: number): Promise<number[]> {
    const rows = await this.database.rows(
      `SELECT * FROM (${this.plan.eventsSql}) WHERE __perennial_key = ${quoteLiteral(key)} AND __perennial_time IS NOT NULL`,
    );
    const events = rows.map(
      (row): TestEvent => ({
        time: Number(row.__perennial_time),
        values: Array.from({ length: this.plan.values }, (_, value) => {
          const found = row[`__perennial_value_${value}`];
          return typeof found === 'number' ? found : Number.NaN;
        }),
      }),
    );
    return sweptColumns(this.served, events, at * 1_000);
  }
}

/** All that a store holds of a view, as text. */
export async function contentOf(store: OnlineFeatures, view: string): Promise<Record<string, string>> {
  const writer = await store.backend.write(view);
  const content: Record<string, string> = {};
  for (const [bucket, mark] of await store.backend.buckets(view)) {
    content[`mark ${bucket}`] = mark ?? 'incomplete';
    for await (const fields of writer.fields(bucket))
      for (const field of fields) {
        const entity = field.subarray(0, -1);
        const slice = field.at(-1) ?? 0;
        const wanted = { entities: [entity], buckets: [bucket], slices: [{ bucket, slice }] };
        content[`${bucket} ${field.toString('hex')}`] = await store.backend.read(view, wanted, (_, record) =>
          Buffer.from(record(0, bucket, slice) ?? []).toString('base64'),
        );
      }
  }
  await writer.close();
  return Object.fromEntries(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The same numbers every time, from 0 to 1 (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Events of some entities over the last days before {@link NOW}, some at one moment, some without a value. */
export function someEvents(count: number, entities: number, days = 5, seed = 1): WorldEvent[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => ({
    key: `payer-${Math.floor(random() ** 2 * entities)}`,
    time:
      NOW -
      (1 + Math.floor(random() * days * 24)) * HOUR -
      (random() < 0.3 ? 0 : Math.floor(random() * HOUR)),
    amount: random() < 0.1 ? null : Math.round(random() * 10_000) / 100,
    other: random() < 0.1 ? null : random() * 2 - 1,
  }));
}
