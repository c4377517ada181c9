import { WatchError } from '@redis/client';
import { type RecordPut, supplanted, type ViewWriter } from './online-backend.ts';
import type { RedisClient, RedisLink } from './redis-link.ts';

const PREFIX = 'perennial:features:';
export const VIEWS = `${PREFIX}views`;
export const runKey = (view: string): string => `${PREFIX}${view}:run`;
export const marksKey = (view: string): string => `${PREFIX}${view}:marks`;
export const bucketsKey = (view: string): string => `${PREFIX}${view}:buckets`;
export const recordsKey = (view: string, bucket: number): string => `${PREFIX}${view}:${bucket}`;

/** Fields that are scanned at once; a server answers nobody else meanwhile. */
const PART = 1_000;

type Command = readonly (string | Buffer)[];

/** The marks of the buckets of a view, and buckets that have records without being complete. */
export async function bucketsIn(link: RedisLink, view: string): Promise<Map<number, string | undefined>> {
  const ask = async (...command: string[]): Promise<string[]> =>
    listOf(await link.ask((client) => client.sendCommand<unknown>(command))).map(String);
  const found = new Map<number, string | undefined>();
  for (const bucket of await ask('SMEMBERS', bucketsKey(view))) found.set(Number(bucket), undefined);
  const marks = await ask('HGETALL', marksKey(view));
  for (let at = 0; at + 1 < marks.length; at += 2) found.set(Number(marks[at]), marks[at + 1]);
  return found;
}

/** Writes a view on a Redis server, by a connection of its own. */
export class RedisWriter implements ViewWriter {
  constructor(
    private readonly view: string,
    private readonly run: string,
    private readonly link: RedisLink,
  ) {}

  async description(): Promise<string | undefined> {
    const text = await this.#ask(['HGET', VIEWS, this.view]);
    return Buffer.isBuffer(text) && text.length > 0 ? text.toString('utf8') : undefined;
  }

  async describe(text: string): Promise<void> {
    await this.#change([['HSET', VIEWS, this.view, text]]);
  }

  async open(bucket: number): Promise<void> {
    await this.#change([['HDEL', marksKey(this.view), String(bucket)]]);
  }

  async put(bucket: number, records: readonly RecordPut[]): Promise<number> {
    const known = await this.#records(
      bucket,
      records.map(({ field }) => field),
    );
    const changed = records.filter(({ bytes }, at) => !known[at]?.equals(bytes));
    if (changed.length === 0) return 0;
    const key = recordsKey(this.view, bucket);
    await this.#change([
      ['SADD', bucketsKey(this.view), String(bucket)],
      ['HSET', key, ...changed.flatMap(({ field, bytes }) => [field, bytes])],
    ]);
    return changed.length;
  }

  async *fields(bucket: number): AsyncGenerator<Buffer[]> {
    let cursor = '0';
    do {
      const [next, found] = listOf(
        await this.#ask(['HSCAN', recordsKey(this.view, bucket), cursor, 'COUNT', String(PART)]),
      );
      cursor = String(next);
      const fields = listOf(found).filter((one, at): one is Buffer => at % 2 === 0 && Buffer.isBuffer(one));
      if (fields.length > 0) yield fields;
    } while (cursor !== '0');
  }

  async removeFields(bucket: number, fields: readonly Buffer[]): Promise<number> {
    const [removed] = await this.#change([['HDEL', recordsKey(this.view, bucket), ...fields]]);
    return Number(removed);
  }

  async complete(bucket: number, mark: string): Promise<void> {
    await this.#change([['HSET', marksKey(this.view), String(bucket), mark]]);
  }

  async drop(bucket: number): Promise<number> {
    const key = recordsKey(this.view, bucket);
    const [, records] = await this.#change([
      ['HDEL', marksKey(this.view), String(bucket)],
      ['HLEN', key],
      ['UNLINK', key],
      ['SREM', bucketsKey(this.view), String(bucket)],
    ]);
    return Number(records);
  }

  /** Deletes all of it; its description goes first, that nobody reads what is half gone. */
  async removeView(): Promise<void> {
    await this.#change([['HSET', VIEWS, this.view, '']]);
    for (const bucket of (await bucketsIn(this.link, this.view)).keys()) await this.drop(bucket);
    await this.#change([
      ['HDEL', VIEWS, this.view],
      ['UNLINK', marksKey(this.view), bucketsKey(this.view), runKey(this.view)],
    ]);
  }

  close(): Promise<void> {
    return this.link.close();
  }

  async #records(bucket: number, fields: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    const found = listOf(await this.#ask(['HMGET', recordsKey(this.view, bucket), ...fields]));
    return fields.map((_, at) => {
      const bytes = found[at];
      return Buffer.isBuffer(bytes) ? bytes : undefined;
    });
  }

  #ask(command: Command): Promise<unknown> {
    return this.link.ask((client) => client.sendCommand<unknown>([...command]));
  }

  /** One transaction, for as long as nobody else began to write the view. */
  async #change(commands: readonly Command[]): Promise<unknown[]> {
    const answer = await this.link.ask((client) => this.#ifStillMine(client, commands));
    if (answer === undefined) throw supplanted();
    return answer;
  }

  async #ifStillMine(client: RedisClient, commands: readonly Command[]): Promise<unknown[] | undefined> {
    await client.watch(runKey(this.view));
    const run = await client.sendCommand<unknown>(['GET', runKey(this.view)]);
    if (String(run) !== this.run) {
      await client.unwatch();
      return undefined;
    }
    const multi = client.multi();
    for (const command of commands) multi.addCommand([...command]);
    return multi.exec().catch((error: unknown) => {
      if (error instanceof WatchError) return undefined;
      throw error;
    });
  }
}

const listOf = (answer: unknown): unknown[] => (Array.isArray(answer) ? answer : []);
