import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorReply } from '@redis/client';
import {
  fieldOf,
  type OnlineBackend,
  type RecordOf,
  unknownView,
  type ViewWriter,
  type Wanted,
} from './online-backend.ts';
import { OnlineStoreError } from './online-store.ts';
import { type RedisAddress, RedisLink } from './redis-link.ts';
import { bucketsIn, RedisWriter, recordsKey, runKey, VIEWS } from './redis-writer.ts';

/** Milliseconds for an answer to a look-up: no request waits longer for its features. */
const READ_MS = 50;
/** And for what writes: a part of a large view, on a busy server. */
const WRITE_MS = 30_000;
/** For a file that the server is writing already. */
const BUSY_MS = 300_000;
const BUSY_POLL_MS = 250;

/**
 * The online store on a Redis server, for several model servers.
 *
 * ```
 * perennial:features:views           hash: view's id → its description, empty until it is complete
 * perennial:features:<id>:run        who writes the view
 * perennial:features:<id>:marks      hash: bucket → mark
 * perennial:features:<id>:buckets    set: the buckets that have records
 * perennial:features:<id>:<bucket>   hash: digest of the entity, 16 bytes, and slice, 1 → record
 * ```
 *
 * A look-up is one transaction in one round trip.
 */
export class RedisBackend implements OnlineBackend {
  readonly #reading: RedisLink;

  private constructor(
    readonly place: string,
    private readonly address: Omit<RedisAddress, 'timeoutMs'>,
    readMs: number,
  ) {
    this.#reading = new RedisLink({ ...address, timeoutMs: readMs }, place);
  }

  /**
   * Begins to connect, and does not wait for it.
   *
   * @param url without a password
   * @param timeoutMs for an answer to a look-up, default 50
   */
  static open(
    url: string,
    { password, timeoutMs = READ_MS }: { password?: string; timeoutMs?: number } = {},
  ): RedisBackend {
    const { protocol, host, pathname } = new URL(url);
    const address = { url, ...(password === undefined ? {} : { password }) };
    return new RedisBackend(`${protocol}//${host}${pathname}`, address, timeoutMs);
  }

  async read<T>(view: string, wanted: Wanted, use: (description: string, record: RecordOf) => T): Promise<T> {
    const fields = new Map(wanted.buckets.map((bucket) => [bucket, fieldsOf(wanted, bucket)]));
    const asked = [...fields].filter(([, own]) => own.length > 0);
    const answer = await this.#reading.ask((client) => {
      // Not `exec()`: what it gives for EXEC is text, whatever type was asked for.
      const pipeline = client.multi().addCommand(['MULTI']).addCommand(['HGET', VIEWS, view]);
      for (const [bucket, own] of asked) pipeline.addCommand(['HMGET', recordsKey(view, bucket), ...own]);
      return pipeline.addCommand(['EXEC']).execAsPipeline();
    });
    const executed: unknown = answer.at(-1);
    if (!Array.isArray(executed)) throw unreadable(this.place);
    const [description, ...answers]: unknown[] = executed;
    const records = new Map<string, Buffer>();
    asked.forEach(([bucket, own], at) => {
      const found: unknown = answers[at];
      if (!Array.isArray(found)) throw unreadable(this.place);
      own.forEach((field, place) => {
        const bytes: unknown = found[place];
        if (Buffer.isBuffer(bytes)) records.set(`${bucket} ${field.toString('latin1')}`, bytes);
      });
    });
    return use(this.#known(description), (entity, bucket, slice) => {
      const digest = wanted.entities[entity];
      return digest && records.get(`${bucket} ${fieldOf(digest, slice).toString('latin1')}`);
    });
  }

  async description(view: string): Promise<string> {
    return this.#known(await this.#reading.ask((client) => client.sendCommand(['HGET', VIEWS, view])));
  }

  async views(): Promise<{ view: string; description: string | undefined }[]> {
    const answer = await this.#patiently((link) =>
      link.ask((client) => client.sendCommand<unknown>(['HGETALL', VIEWS])),
    );
    const texts = Array.isArray(answer) ? answer.map(String) : [];
    return texts.flatMap((view, at) =>
      at % 2 === 0 ? [{ view, description: texts[at + 1] || undefined }] : [],
    );
  }

  buckets(view: string): Promise<Map<number, string | undefined>> {
    return this.#patiently((link) => bucketsIn(link, view));
  }

  write(view: string): Promise<ViewWriter> {
    return this.#writer(view);
  }

  async remove(view: string): Promise<void> {
    const writer = await this.#writer(view);
    try {
      await writer.removeView();
    } finally {
      await writer.close();
    }
  }

  /**
   * Redis frees the memory of what is deleted at once. What it keeps on disk it is asked to write anew, as far as it
   * allows that: it goes on in the background.
   */
  async writeAnew(): Promise<void> {
    await this.#patiently(async (link) => {
      const told = String(await link.ask((client) => client.sendCommand<unknown>(['INFO', 'persistence'])));
      const commands = [
        ...(told.includes('aof_enabled:1') ? [['BGREWRITEAOF']] : []),
        // A server that never saved nor loaded a snapshot has none.
        ...(/^rdb_saves:0/m.test(told) && /^rdb_last_load_keys_loaded:0/m.test(told)
          ? []
          : [['BGSAVE', 'SCHEDULE']]),
      ];
      for (const command of commands) await whenFree(link, command);
    });
  }

  close(): Promise<void> {
    return this.#reading.close();
  }

  /** By a connection of its own: for people and for workflows, who can wait. */
  async #patiently<T>(work: (link: RedisLink) => Promise<T>): Promise<T> {
    const link = new RedisLink({ ...this.address, timeoutMs: WRITE_MS }, this.place);
    return work(link).finally(() => link.close());
  }

  async #writer(view: string): Promise<RedisWriter> {
    const link = new RedisLink({ ...this.address, timeoutMs: WRITE_MS }, this.place);
    const run = randomUUID();
    try {
      await this.#refuseEviction(link);
      await this.#refuseCluster(link);
      await link.ask((client) =>
        client
          .multi()
          .addCommand(['SET', runKey(view), run])
          .addCommand(['HSETNX', VIEWS, view, ''])
          .exec(),
      );
      return new RedisWriter(view, run, link);
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  /** A server that drops what it likes would make features out of what is left. */
  async #refuseEviction(link: RedisLink): Promise<void> {
    const memory = String(await link.ask((client) => client.sendCommand<unknown>(['INFO', 'memory'])));
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1] ?? '';
    if (policy.startsWith('allkeys'))
      throw new OnlineStoreError(
        `the online store ${this.place} deletes keys when memory is short (maxmemory-policy ${policy}), and features would be made of what is left; set maxmemory-policy to noeviction`,
      );
  }

  /** What is one transaction here lies on several servers there. */
  async #refuseCluster(link: RedisLink): Promise<void> {
    const cluster = String(await link.ask((client) => client.sendCommand<unknown>(['INFO', 'cluster'])));
    if (/^cluster_enabled:1/m.test(cluster))
      throw new OnlineStoreError(
        `the online store ${this.place} is a Redis Cluster, which is not supported; name one server, with replicas where you like, that was started with cluster-enabled no`,
      );
  }

  #known(description: unknown): string {
    const text = Buffer.isBuffer(description) ? description.toString('utf8') : '';
    if (text === '') throw unknownView(this.place);
    return text;
  }
}

/** What is asked of one bucket: for each entity its main record, and the slices that edges fall into. */
function fieldsOf({ entities, slices }: Wanted, bucket: number): Buffer[] {
  const own = new Set([0, ...slices.filter((one) => one.bucket === bucket).map(({ slice }) => slice)]);
  return entities.flatMap((entity) => [...own].map((slice) => fieldOf(entity, slice)));
}

const unreadable = (place: string): OnlineStoreError =>
  new OnlineStoreError(
    `the online store ${place} has something else where records are expected; give it a database of its own`,
  );

/**
 * Has a server write a file anew. What it is writing already may have what was deleted since: it is waited for. A user
 * need not be allowed to.
 */
async function whenFree(link: RedisLink, command: string[]): Promise<void> {
  for (const end = Date.now() + BUSY_MS; ; await sleep(BUSY_POLL_MS))
    try {
      await link.ask((client) => client.sendCommand<unknown>(command));
      return;
    } catch (error) {
      const { cause } = error instanceof OnlineStoreError ? error : {};
      if (!(cause instanceof ErrorReply)) throw error;
      if (!/in progress/i.test(cause.message)) return;
      if (Date.now() > end) throw error;
    }
}
