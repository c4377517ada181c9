import { PerennialError } from '../../contracts/errors.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { Database } from '../duckdb/database.ts';
import { copyNumbers, TextReader } from '../duckdb/vectors.ts';
import type { Events } from './event-record.ts';
import { KEY, TIME, valueColumn } from './view-plan.ts';

/** Rows of a chunk that DuckDB gives. */
const CHUNK_ROWS = 2_048;
const FIRST_CAPACITY = 256;
const BUCKET = '__perennial_bucket';

/** Events of [from, until), microseconds, cut into buckets of a length. */
export interface Horizon {
  readonly from: number;
  readonly until: number;
  readonly length: number;
}

/** What the events of a bucket are, whatever their order. */
export interface BucketSum {
  readonly bucket: number;
  readonly events: number;
  /** The sum of a hash of each event: 128 bits as decimal text. It hangs on the version of the engine. */
  readonly sum: string;
}

/** Events without an entity or a time do not count. */
function eventsOf(plan: ViewPlan, { from, until, length }: Horizon): string {
  // `//` cuts towards zero, also before 1970.
  const rest = `(${TIME} % ${length} + ${length}) % ${length}`;
  return `SELECT *, (${TIME} - ${rest}) // ${length} AS ${BUCKET} FROM (${plan.eventsSql}\n)
    WHERE ${KEY} IS NOT NULL AND ${TIME} >= ${from} AND ${TIME} < ${until}`;
}

const values = (plan: ViewPlan): string[] => Array.from({ length: plan.values }, (_, at) => valueColumn(at));

/**
 * What DuckDB sums of the events of each bucket, in the order of time. The hash of several columns xors the last one in:
 * hashed once more, values that two events exchange change the sum.
 */
export async function bucketSums(database: Database, plan: ViewPlan, horizon: Horizon): Promise<BucketSum[]> {
  const rows = await database.rows(
    `SELECT CAST(${BUCKET} AS DOUBLE) AS bucket, CAST(count(*) AS DOUBLE) AS events,
       CAST(sum(hash(hash(${[KEY, TIME, ...values(plan)].join(', ')}))) AS VARCHAR) AS sum
     FROM (${eventsOf(plan, horizon)}) GROUP BY ${BUCKET} ORDER BY bucket`,
    'SqlInvalid',
    `featureViews.${plan.name}.events`,
  );
  return rows.map(({ bucket, events, sum }) => ({
    bucket: Number(bucket),
    events: Number(events),
    sum: String(sum),
  }));
}

/** The version of the engine, which sums hang on. */
export async function engineVersion(database: Database): Promise<string> {
  const { version } = await database.row('SELECT version() AS version');
  return `duckdb ${String(version)}`;
}

/** The events of one entity in one bucket. */
export interface EntityEvents extends Events {
  readonly bucket: number;
  readonly key: string;
}

/**
 * The events of some buckets, entity by entity, the buckets in the order of time. What is given is valid until the next
 * is asked for. Events of one moment stand in the order of their values, so that the same events give the same bytes.
 */
export async function* entityEvents(
  database: Database,
  plan: ViewPlan,
  horizon: Horizon,
  buckets: readonly number[],
): AsyncGenerator<EntityEvents> {
  const columns = values(plan);
  // No NULL is left, so that columns are copied as memory. Infinite values are not there: NaN is free.
  const sql = `SELECT CAST(${BUCKET} AS DOUBLE), ${KEY}, CAST(${TIME} AS DOUBLE)${columns
    .map((column) => `, coalesce(${column}, 'nan'::DOUBLE)`)
    .join('')}
    FROM (${eventsOf(plan, horizon)}) WHERE ${BUCKET} IN (${buckets.join(', ')})
    ORDER BY ${[BUCKET, KEY, TIME, ...columns].join(', ')}`;
  const chunkBuckets = new Float64Array(CHUNK_ROWS);
  const keys = new TextReader(CHUNK_ROWS);
  const chunkTimes = new Float64Array(CHUNK_ROWS);
  const chunkValues = columns.map(() => new Float64Array(CHUNK_ROWS));
  const gathered = new GatheredEvents(plan.values);
  let current: { bucket: number; key: string } | undefined;
  for await (const chunk of database.streamed(sql, 'SqlInvalid', `featureViews.${plan.name}.events`)) {
    const rows = chunk.rowCount;
    copyNumbers(chunk, 0, 0, rows, chunkBuckets, 0);
    keys.copy(chunk, 1, 0, rows, 0);
    copyNumbers(chunk, 2, 0, rows, chunkTimes, 0);
    chunkValues.forEach((column, value) => {
      copyNumbers(chunk, 3 + value, 0, rows, column, 0);
    });
    for (let from = 0; from < rows; ) {
      const bucket = chunkBuckets[from] ?? 0;
      const key = keys.texts[from] ?? '';
      let to = from + 1;
      while (to < rows && keys.texts[to] === key && chunkBuckets[to] === bucket) to++;
      if (current && (current.bucket !== bucket || current.key !== key)) {
        if (!isBefore(current, { bucket, key })) throw outOfOrder(plan);
        yield { ...current, ...gathered.events };
        gathered.clear();
      }
      current = { bucket, key };
      if ((chunkTimes[from] ?? 0) < gathered.last) throw outOfOrder(plan);
      gathered.add(chunkTimes, chunkValues, from, to);
      from = to;
    }
  }
  if (current) yield { ...current, ...gathered.events };
}

/** As DuckDB orders them: keys by their bytes. */
const isBefore = (a: { bucket: number; key: string }, b: { bucket: number; key: string }): boolean =>
  a.bucket < b.bucket ||
  (a.bucket === b.bucket && Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) < 0);

/** DuckDB 1.5 is known to mix up streamed results of another kind; half an entity must not replace the whole. */
const outOfOrder = (plan: ViewPlan): PerennialError =>
  new PerennialError(
    'StageFailed',
    `featureViews.${plan.name}.events: the engine gave events out of order; nothing of that stretch was marked as complete`,
    true,
  );

/** Columns that grow. */
class GatheredEvents {
  #count = 0;
  #times = new Float64Array(FIRST_CAPACITY);
  #values: Float64Array<ArrayBuffer>[];

  constructor(width: number) {
    this.#values = Array.from({ length: width }, () => new Float64Array(FIRST_CAPACITY));
  }

  /** The time of the last event. */
  get last(): number {
    return this.#count === 0 ? -Infinity : (this.#times[this.#count - 1] ?? 0);
  }

  get events(): Events {
    return { times: this.#times, values: this.#values, count: this.#count };
  }

  clear(): void {
    this.#count = 0;
  }

  add(times: Float64Array, values: readonly Float64Array[], from: number, to: number): void {
    const needed = this.#count + to - from;
    if (needed > this.#times.length) {
      const capacity = Math.max(needed, 2 * this.#times.length);
      this.#times = grown(this.#times, capacity);
      this.#values = this.#values.map((column) => grown(column, capacity));
    }
    this.#times.set(times.subarray(from, to), this.#count);
    this.#values.forEach((column, value) => {
      const added = values[value];
      if (added) column.set(added.subarray(from, to), this.#count);
    });
    this.#count = needed;
  }
}

function grown(column: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}
