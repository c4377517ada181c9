import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Database } from '../../lib/duckdb/database.ts';
import type { SearchTools } from '../../lib/erasure/personal-store.ts';
import { openPredictions, type PredictionsQuery } from '../../lib/predictions/prediction-log.ts';
import { rollSegments } from '../../lib/predictions/roll.ts';
import type { PredictionConfig } from '../../lib/predictions/settings.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import {
  createPredictionLog,
  type PredictionLog,
  type PredictionLogOptions,
} from '../../serving/log/prediction-log.ts';

const DAY_MS = 86_400_000;

export const quiet = pino({ level: 'silent' });

/** A data directory with prediction logs, gone after {@link close}. */
export class PredictionLogFixture {
  readonly #logs: PredictionLog[] = [];
  readonly #databases: Database[] = [];

  private constructor(
    readonly config: PredictionConfig,
    readonly store: ArtifactStore,
  ) {}

  static async create(config: Partial<PredictionConfig> = {}): Promise<PredictionLogFixture> {
    const dataDir = config.dataDir ?? (await mkdtemp(join(tmpdir(), 'perennial-log-')));
    const whole = { ...config, dataDir };
    await mkdir(dataDir, { recursive: true });
    // Files are of a day: what a test writes belongs into one.
    const left = DAY_MS - (Date.now() % DAY_MS);
    if (left < 60_000) await sleep(left + 10);
    return new PredictionLogFixture(whole, await openStore(whole));
  }

  /** Over a data directory of somebody else, who deletes it. */
  static over(config: PredictionConfig, store: ArtifactStore): PredictionLogFixture {
    return new PredictionLogFixture(config, store);
  }

  get scratchDir(): string {
    return join(this.config.dataDir, 'scratch', randomUUID());
  }

  /** What searches of people's rows work with; closed with the fixture. */
  async searchTools(): Promise<SearchTools> {
    const { scratchDir } = this;
    await mkdir(scratchDir, { recursive: true });
    const database = await Database.create({ tempDir: join(scratchDir, 'spill') });
    this.#databases.push(database);
    return { database, scratchDir, signal: new AbortController().signal, progress: () => undefined };
  }

  async log(serverId = 'server-1', options: Partial<PredictionLogOptions> = {}): Promise<PredictionLog> {
    const { config, store } = this;
    const log = await createPredictionLog({
      config,
      store,
      serverId,
      policy: () => undefined,
      logger: quiet,
      ...options,
    });
    this.#logs.push(log);
    return log;
  }

  roll() {
    return rollSegments(this.config);
  }

  /** The rows of a query on an endpoint's views. */
  async rows(
    sql: string,
    query: Partial<PredictionsQuery> = {},
    endpoint = 'churn',
  ): Promise<Record<string, unknown>[]> {
    const { scratchDir } = this;
    await mkdir(scratchDir, { recursive: true });
    const opened = await openPredictions(this.config, endpoint, { scratchDir, ...query });
    try {
      return await opened.database.rows(sql);
    } finally {
      await opened.close();
    }
  }

  async close(): Promise<void> {
    for (const database of this.#databases) database.close();
    for (const log of this.#logs) await log.close();
    await rm(this.config.dataDir, { recursive: true, force: true });
  }
}
