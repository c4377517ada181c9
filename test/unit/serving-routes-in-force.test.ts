import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import type { RouteTable, RouteTableInput } from '../../contracts/serving.ts';
import {
  type RouteMember,
  type RouteQuestion,
  RoutesInForce,
} from '../../serving/process/routes-in-force.ts';
import { readTable } from '../../serving/route-change.ts';

const sha256 = 'a'.repeat(64);
const table = (generation: number): RouteTableInput => ({
  endpoint: 'churn',
  generation,
  routes: [
    {
      weight: 100,
      model: {
        version: String(generation),
        onnx: { uri: `cas:${sha256}`, sha256, bytes: 1, mediaType: 'application/onnx' },
        signature: { inputs: [], outputs: [] },
      },
    },
  ],
});

/** A member in this process: what it is asked, and what it then has in force. */
class Member implements RouteMember {
  readonly asked: RouteQuestion[] = [];
  inForce: RouteTable | undefined;
  #next: RouteTable | undefined;
  fails: RouteQuestion | undefined;
  replaced = false;

  /** @param busy those that are preparing at this moment */
  constructor(private readonly busy: { now: number; most: number } = { now: 0, most: 0 }) {}

  async ask(kind: RouteQuestion, payload: unknown): Promise<unknown> {
    this.asked.push(kind);
    if (kind === 'prepare') this.busy.most = Math.max(this.busy.most, ++this.busy.now);
    await new Promise((resolve) => setImmediate(resolve));
    if (kind === 'prepare') this.busy.now -= 1;
    if (kind === this.fails) throw new PerennialError('ServerUnavailable', 'it ended', true);
    if (kind === 'join')
      this.inForce = (payload as { tables: RouteTable[] }).tables.find(
        ({ endpoint }) => endpoint === 'churn',
      );
    if (kind === 'prepare') this.#next = payload as RouteTable;
    if (kind !== 'commit') return undefined;
    this.inForce = this.#next;
    return { serverId: 's', endpoint: 'churn', generation: this.inForce?.generation, versions: [] };
  }

  replace(): void {
    this.replaced = true;
  }
}

let folder: string;
let path: string;
let routes: RoutesInForce;
const logger = pino({ level: 'silent' });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routes-in-force-'));
  path = join(folder, 'routes.json');
  routes = await RoutesInForce.open('s', path, logger);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const generationOnDisk = async (): Promise<unknown> =>
  JSON.parse(await readFile(path, 'utf8')).tables[0]?.generation;

describe('RoutesInForce', () => {
  it('changes all members or none; the file is written between', async () => {
    const [one, two] = [new Member(), new Member()];
    await routes.join(one);
    await routes.join(two);
    await routes.apply(table(1));
    expect([one, two].map(({ asked }) => asked)).toEqual(new Array(2).fill(['join', 'prepare', 'commit']));
    two.fails = 'prepare';
    await expect(routes.apply(table(2))).rejects.toMatchObject({ code: 'ServerUnavailable' });
    expect(one.asked.slice(3)).toEqual(['prepare', 'abort']);
    expect([one.inForce?.generation, await generationOnDisk()]).toEqual([1, 1]);
    two.fails = undefined;
    await routes.apply(table(2));
    expect([one, two].map(({ inForce }) => inForce?.generation)).toEqual([2, 2]);
    expect(await generationOnDisk()).toBe(2);
  });

  it.each([
    [2, 1],
    [4, 1],
    [9, 3],
  ])('of %i members lets %i prepare at a time, so that the others answer', async (count, together) => {
    const busy = { now: 0, most: 0 };
    const members = Array.from({ length: count }, () => new Member(busy));
    for (const member of members) await routes.join(member);
    await routes.apply(table(1));
    expect(busy).toEqual({ now: 0, most: together });
    for (const { asked } of members) expect(asked).toEqual(['join', 'prepare', 'commit']);
  });

  it('aborts only where it was prepared; the others are not asked any more', async () => {
    const members = Array.from({ length: 4 }, () => new Member());
    for (const member of members) await routes.join(member);
    const [, second] = members;
    if (second) second.fails = 'prepare';
    await expect(routes.apply(table(1))).rejects.toMatchObject({ code: 'ServerUnavailable' });
    const failed = ['join', 'prepare', 'abort'];
    expect(members.map(({ asked }) => asked)).toEqual([failed, failed, ['join'], ['join']]);
  });

  it('aborts where the file cannot be written', async () => {
    const one = new Member();
    const target = await RoutesInForce.open('s', join(folder, 'blocked', 'routes.json'), logger);
    await writeFile(join(folder, 'blocked'), 'a file where the folder should be');
    await target.join(one);
    await expect(target.apply(table(1))).rejects.toThrow();
    expect(one.asked.at(-1)).toBe('abort');
    expect(target.tables()).toEqual([]);
  });

  it('a member that ends between file and commit comes back with the new table', async () => {
    const [one, two] = [new Member(), new Member()];
    await routes.join(one);
    await routes.join(two);
    two.fails = 'commit';
    expect(await routes.apply(table(1))).toMatchObject({ generation: 1 });
    expect(two.replaced).toBe(true);
    routes.leave(two);
    const back = new Member();
    await routes.join(back);
    expect(back.inForce).toEqual(readTable(table(1)));
  });

  it('a member that joins in the middle of a change gets the one or the other whole', async () => {
    const one = new Member();
    await routes.join(one);
    const late = new Member();
    await Promise.all([routes.apply(table(1)), routes.join(late), routes.apply(table(2))]);
    expect([one.inForce?.generation, late.inForce?.generation]).toEqual([2, 2]);
  });

  it('is refused where nobody serves, and restored from its file', async () => {
    await expect(routes.apply(table(1))).rejects.toMatchObject({ retryable: true });
    await routes.join(new Member());
    await routes.apply(table(1));
    expect((await RoutesInForce.open('s', path, logger)).tables()).toEqual([readTable(table(1))]);
  });
});
