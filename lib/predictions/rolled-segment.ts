import { join } from 'node:path';
import type { Database } from '../duckdb/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { type KnownLayouts, type PredictionFrame, visitFrames } from './frame-reader.ts';
import { type LogKind, logFile } from './log-files.ts';
import { PredictionTable } from './prediction-table.ts';
import type { FrameLayout, TruthRecord } from './records.ts';
import { segmentBlocks } from './segment-format.ts';
import { TruthTable } from './truth-table.ts';

/** A Parquet file that was made of a segment. */
export interface RolledFile {
  /** Its place in the archive; the same for the same segment. */
  readonly key: string;
  /** Where it lies now, not encrypted. */
  readonly path: string;
  readonly rows: number;
}

/**
 * Columns of tables that are filled at the same time. Each holds up to 16 KiB before it is appended and as much in the
 * engine, however few rows it gets.
 */
const MOST_COLUMNS = 8_000;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/**
 * Writes a segment's records as Parquet files, one for each endpoint, kind and day (UTC): predictions by the time of the
 * request, truth by the time it was received. A segment of so many endpoints that their tables would not fit into memory
 * is read several times.
 *
 * @param origin what the files are named after
 * @param folder where they go; it exists
 * @param options.signal looked at before each block
 * @param options.endpoint whose records alone are meant; default: all
 * @throws PerennialError as `segmentBlocks`
 */
export async function rollSegment(
  database: Database,
  segment: string,
  keyring: Keyring,
  origin: string,
  folder: string,
  { signal, endpoint }: { signal?: AbortSignal | undefined; endpoint?: string | undefined } = {},
): Promise<RolledFile[]> {
  const rolled = new Map<string, RolledFile>();
  for (let hasMore = true; hasMore; ) {
    const tables = new SegmentTables(database, origin, rolled, endpoint);
    const known: KnownLayouts = new Map();
    try {
      for await (const block of segmentBlocks(segment, keyring)) {
        signal?.throwIfAborted();
        const predictions: PredictionFrame[] = [];
        const truths: TruthRecord[] = [];
        visitFrames(block, known, {
          prediction: (frame) => predictions.push(frame),
          truth: (record) => truths.push(record),
        });
        for (const frame of predictions) await tables.addPrediction(frame);
        for (const record of truths) await tables.addTruth(record);
      }
      for (const file of await tables.write(folder)) rolled.set(file.key, file);
      hasMore = tables.hasMore;
    } finally {
      await tables.drop();
    }
  }
  return [...rolled.values()];
}

let made = 0;

/** All truth of a file is alike, and so in one table. */
const TRUTHS = 'truths';

class SegmentTables {
  readonly #files = new Map<string, Map<string, PredictionTable | TruthTable>>();
  readonly #names: string[] = [];
  readonly #layoutKeys = new Map<FrameLayout, string>();
  #columns = 0;
  /** Whether there are files that are left to another reading. */
  hasMore = false;

  /**
   * @param rolled files that are there already, by their keys
   * @param only the endpoint that is meant; default: all
   */
  constructor(
    private readonly database: Database,
    private readonly origin: string,
    private readonly rolled: ReadonlyMap<string, RolledFile>,
    private readonly only: string | undefined,
  ) {}

  async addPrediction(frame: PredictionFrame): Promise<void> {
    const { layout } = frame;
    let layoutKey = this.#layoutKeys.get(layout);
    if (layoutKey === undefined) {
      layoutKey = JSON.stringify(layout);
      this.#layoutKeys.set(layout, layoutKey);
    }
    const tables = this.#tablesOf(layout.endpoint, 'predictions', frame.at);
    if (!tables) return;
    let table = tables.get(layoutKey);
    if (!(table instanceof PredictionTable)) {
      table = await PredictionTable.create(this.database, this.#newName(), layout);
      this.#columns += table.columns;
      tables.set(layoutKey, table);
    }
    table.add(frame);
  }

  async addTruth(record: TruthRecord): Promise<void> {
    const tables = this.#tablesOf(record.endpoint, 'truth', record.receivedAt);
    if (!tables) return;
    let table = tables.get(TRUTHS);
    if (!(table instanceof TruthTable)) {
      table = await TruthTable.create(this.database, this.#newName(), record.endpoint);
      this.#columns += table.columns;
      tables.set(TRUTHS, table);
    }
    table.add(record);
  }

  async write(folder: string): Promise<RolledFile[]> {
    const rolled: RolledFile[] = [];
    for (const [key, tables] of this.#files) {
      const selects: string[] = [];
      for (const table of tables.values()) {
        await table.close();
        selects.push(table.select);
      }
      const path = join(folder, `${made++}.parquet`);
      const rows = await this.database.copyToParquet(selects.join(' UNION ALL BY NAME '), path);
      rolled.push({ key, path, rows });
    }
    return rolled;
  }

  async drop(): Promise<void> {
    for (const name of this.#names) await this.database.run(`DROP TABLE IF EXISTS ${name}`);
  }

  /** @returns `undefined` where the file is not meant, is there already, or is left to another reading */
  #tablesOf(
    endpoint: string,
    kind: LogKind,
    at: number,
  ): Map<string, PredictionTable | TruthTable> | undefined {
    if (this.only !== undefined && endpoint !== this.only) return undefined;
    const key = logFile(endpoint, kind, dayOf(at), this.origin);
    const found = this.#files.get(key);
    if (found || this.rolled.has(key)) return found;
    if (this.#columns >= MOST_COLUMNS) {
      this.hasMore = true;
      return undefined;
    }
    const tables = new Map<string, PredictionTable | TruthTable>();
    this.#files.set(key, tables);
    return tables;
  }

  #newName(): string {
    const name = `rows_${made++}`;
    this.#names.push(name);
    return name;
  }
}
