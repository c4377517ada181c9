import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch, OutputColumns, PackedBatch } from '../../lib/onnx/tabular-session.ts';
import {
  type BatcherClock,
  type BatchingOptions,
  type BatchSession,
  MicroBatcher,
  type ShedReason,
} from '../../serving/micro-batcher.ts';

const SIGNATURE: ModelSignature = {
  inputs: [{ name: 'x', kind: 'numeric', optional: false }],
  outputs: [{ name: 'y', kind: 'float' }],
};

/** A time that goes on only where the test says so, and an event loop whose turns the test takes. */
class FakeLoop implements BatcherClock {
  time = 1_000;
  #next: (() => void)[] = [];

  now(): number {
    return this.time;
  }

  soon(call: () => void): void {
    this.#next.push(call);
  }

  /** Takes a turn; answers whether there was something to do. */
  async turn(): Promise<boolean> {
    const calls = this.#next;
    this.#next = [];
    for (const call of calls) call();
    // What was answered is told by promises.
    for (let i = 0; i < 10; i++) await Promise.resolve();
    return calls.length > 0;
  }

  async idle(): Promise<void> {
    while (await this.turn());
  }
}

/** `y = 2x`; a run takes `call + row × rows` milliseconds of the fake time. A batch that holds 13 fails. */
class FakeSession implements BatchSession {
  readonly signature = SIGNATURE;
  /** Rows of the runs since the warm-up, in order. */
  readonly runs: number[] = [];
  /** When they began. */
  readonly starts: number[] = [];
  closed = false;

  constructor(
    private readonly loop: FakeLoop,
    public cost: { call: number; row: number } = { call: 1, row: 0.01 },
    private readonly later = false,
  ) {}

  pack({ rows, columns }: ColumnBatch): PackedBatch {
    const x = columns.get('x');
    if (!(x instanceof Float32Array) || x.length !== rows) throw new Error('a wrong column');
    return { rows, numbers: x, others: new Map() };
  }

  compute({ rows, numbers }: PackedBatch): OutputColumns | Promise<OutputColumns> {
    this.runs.push(rows);
    this.starts.push(this.loop.time);
    this.loop.time += this.cost.call + this.cost.row * rows;
    if (numbers.includes(13)) throw new Error('thirteen');
    const outputs: OutputColumns = {
      rows,
      columns: [{ name: 'y', kind: 'float', data: numbers.map((value) => value * 2) }],
    };
    return this.later ? Promise.resolve(outputs) : outputs;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

async function bench(
  options: BatchingOptions = {},
  cost?: { call: number; row: number },
  later = false,
): Promise<{ loop: FakeLoop; session: FakeSession; batcher: MicroBatcher; told: string[] }> {
  const loop = new FakeLoop();
  const session = new FakeSession(loop, cost, later);
  const told: string[] = [];
  const listener = {
    ran: (rows: number, requests: number) => void told.push(`ran ${rows} of ${requests}`),
    shed: (reason: ShedReason) => void told.push(reason),
  };
  const batcher = await MicroBatcher.create(session, { listener, ...options }, loop);
  session.runs.length = 0;
  return { loop, session, batcher, told };
}

const batchOf = (...x: number[]): ColumnBatch => ({
  rows: x.length,
  columns: new Map([['x', Float32Array.from(x)]]),
});
const rowsFrom = (first: number, rows: number): ColumnBatch =>
  batchOf(...Array.from({ length: rows }, (_, i) => first + i + 100));

const answerOf = async (run: Promise<OutputColumns>): Promise<number[]> =>
  Array.from((await run).columns[0]?.data ?? [], Number);
/** Tells when a run has ended, and how. */
function watched(run: Promise<unknown>): { state: string } {
  const seen = { state: 'waits' };
  run.then(
    () => {
      seen.state = 'answered';
    },
    (error: unknown) => {
      seen.state = error instanceof Error ? error.message : 'failed';
    },
  );
  return seen;
}

describe('requests that arrive together', () => {
  it.each([false, true])('share a run (engine answers later: %s)', async (later) => {
    const { loop, session, batcher, told } = await bench({}, undefined, later);
    const runs = [batchOf(1), batchOf(2, 3), batchOf(4)].map((batch) => batcher.run(batch));
    expect(batcher.depth).toEqual({ requests: 3, rows: 4 });
    await loop.idle();
    expect(await Promise.all(runs.map(answerOf))).toEqual([[2], [4, 6], [8]]);
    expect(session.runs).toEqual([4]);
    expect(told).toEqual(['ran 4 of 3']);
    expect(batcher.depth).toEqual({ requests: 0, rows: 0 });
  });

  it('do not fail by the rows of another', async () => {
    const { loop, session, batcher } = await bench();
    const runs = [batchOf(1), batchOf(13), batchOf(3)].map((batch) => watched(batcher.run(batch)));
    await loop.idle();
    expect(runs.map(({ state }) => state)).toEqual(['answered', 'thirteen', 'answered']);
    expect(session.runs).toEqual([3, 1, 1, 1]);
  });

  it('are as many as fit into 256 rows', async () => {
    const { loop, session, batcher } = await bench();
    const runs = Array.from({ length: 20 }, (_, i) => batcher.run(rowsFrom(i, 30)));
    await loop.idle();
    expect(session.runs).toEqual([240, 240, 120]);
    for (const [i, run] of runs.entries()) expect((await answerOf(run))[0]).toBe((i + 100) * 2);
  });
});

describe('waiting for company', () => {
  /** Requests of many clients, one every `gap` milliseconds whatever the server does; answers the mean of a run. */
  async function sharing(options: BatchingOptions, call: number, gap: number): Promise<number> {
    const { loop, session, batcher } = await bench(options, { call, row: 0.001 });
    let next = loop.time;
    for (let sent = 0; sent < 400; ) {
      for (; next <= loop.time && sent < 400; next += gap, sent++) void batcher.run(batchOf(sent + 100));
      await loop.turn();
      loop.time += 0.005;
    }
    await loop.idle();
    return 400 / session.runs.length;
  }

  it('happens where the call is dear and the next one near', async () => {
    expect(await sharing({}, 0.4, 0.5)).toBeLessThan(1.1);
    expect(await sharing({ maxWaitMs: 0 }, 0.4, 0.25)).toBeLessThan(1.8);
    expect(await sharing({}, 0.4, 0.25)).toBeGreaterThan(1.9);
    expect(await sharing({}, 0.4, 0.1)).toBeGreaterThan(await sharing({ maxWaitMs: 0 }, 0.4, 0.1));
  });

  it('does not where the call is cheap beside the gap', async () => {
    expect(await sharing({}, 0.02, 0.1)).toBe(1);
  });

  it('does not hold back a lone client', async () => {
    const { loop, session, batcher } = await bench({}, { call: 5, row: 0.01 });
    for (let i = 0; i < 50; i++) {
      const run = watched(batcher.run(batchOf(i + 100)));
      await loop.turn();
      expect(run.state).toBe('answered');
      loop.time += 0.1;
    }
    expect(session.runs).toHaveLength(50);
  });

  it.each([
    ['the longest time', 0.2, 0.2],
    ['some gaps without anybody', 100, 0.5],
  ])('ends after %s', async (_name, maxWaitMs, longest) => {
    const { loop, session, batcher } = await bench({ maxWaitMs }, { call: 5, row: 0.001 });
    const turn = async (): Promise<void> => {
      await loop.turn();
      loop.time += 0.01;
    };
    let next = loop.time;
    for (let sent = 0; sent < 300; await turn())
      for (; next <= loop.time && sent < 300; next += 0.1, sent++) void batcher.run(batchOf(sent + 100));
    while (batcher.depth.requests > 0) await turn();
    // One every 0.1 ms until now; after this one nobody comes any more, and it cannot know.
    const start = loop.time;
    const runs = session.starts.length;
    const run = batcher.run(batchOf(1));
    while (session.starts.length === runs) await turn();
    const waited = (session.starts[runs] ?? 0) - start;
    expect(waited).toBeGreaterThan(0.05);
    expect(waited).toBeLessThanOrEqual(longest);
    expect(await answerOf(run)).toEqual([2]);
  });
});

describe('a large request', () => {
  it('is computed in pieces, with small requests in between, and answered as a whole', async () => {
    const { loop, session, batcher } = await bench({}, { call: 0.1, row: 0.01 });
    const large = batcher.run(rowsFrom(0, 2_000));
    const state = watched(large);
    const small: { state: string }[] = [];
    let turns = 0;
    while (state.state === 'waits') {
      const own = watched(batcher.run(batchOf(turns)));
      small.push(own);
      await loop.turn();
      turns += 1;
      // Each small one was answered in the turn in which it came.
      expect(own.state).not.toBe('waits');
    }
    expect(turns).toBeGreaterThan(3);
    expect(Math.max(...session.runs)).toBeLessThan(2_000);
    expect(await answerOf(large)).toEqual(Array.from({ length: 2_000 }, (_, i) => (i + 100) * 2));
  });

  it('does not starve, however many small ones there are, and shares with others of its size', async () => {
    const { loop, batcher } = await bench({}, { call: 0.1, row: 0.01 });
    const large = [0, 1, 2].map((i) => watched(batcher.run(rowsFrom(i, 1_000))));
    for (let turn = 0; turn < 12; turn++) {
      for (let i = 0; i < 100; i++) void batcher.run(batchOf(i + 100));
      await loop.turn();
    }
    expect(large.map(({ state }) => state)).toEqual(['answered', 'answered', 'answered']);
  });

  it('fails as a whole where a piece fails', async () => {
    const { loop, batcher } = await bench({}, { call: 0.1, row: 0.01 });
    const bad = watched(batcher.run(batchOf(...new Array<number>(999).fill(1), 13)));
    const good = watched(batcher.run(rowsFrom(0, 1_000)));
    await loop.idle();
    expect([bad.state, good.state]).toEqual(['thirteen', 'answered']);
    expect(batcher.depth).toEqual({ requests: 0, rows: 0 });
  });
});

describe('refusals', () => {
  const refused = async (run: Promise<unknown>, message: string): Promise<void> => {
    await expect(run).rejects.toMatchObject({
      status: 503,
      code: 'ServerUnavailable',
      retryAfterSeconds: 1,
      shedding: message.startsWith('too many') ? 'queue' : 'deadline',
      message: expect.stringContaining(message),
    });
  };

  it('bound what waits', async () => {
    const { loop, session, batcher, told } = await bench({ maxRequests: 3, maxRows: 10 });
    const taken = [batchOf(1), batchOf(2), rowsFrom(0, 8)].map((batch) => watched(batcher.run(batch)));
    await refused(batcher.run(batchOf(4)), 'too many requests wait');
    await loop.idle();
    expect(taken.map(({ state }) => state)).toEqual(['answered', 'answered', 'answered']);
    expect(told.filter((what) => what === 'full')).toHaveLength(1);
    // One request may be larger than the queue, where nothing else waits.
    const large = watched(batcher.run(rowsFrom(0, 50)));
    await refused(batcher.run(batchOf(1)), 'too many requests wait');
    await loop.idle();
    expect(large.state).toBe('answered');
    expect(session.runs.reduce((sum, rows) => sum + rows, 0)).toBe(60);
  });

  it('come before a run that nobody waits for', async () => {
    const { loop, session, batcher, told } = await bench();
    await refused(batcher.run(batchOf(1), loop.time), 'the time for this request was over');
    const late = batcher.run(batchOf(2), loop.time + 5);
    const kept = batcher.run(batchOf(3), loop.time + 50);
    await Promise.resolve();
    loop.time += 6;
    const refusal = refused(late, 'the time for this request was over');
    await loop.idle();
    await refusal;
    expect(await answerOf(kept)).toEqual([6]);
    expect(session.runs).toEqual([1]);
    expect(told).toEqual(['expired', 'expired', 'ran 1 of 1']);
  });

  it('end a large request whose time is over between its pieces', async () => {
    const { loop, session, batcher } = await bench({}, { call: 0.1, row: 0.01 });
    const large = batcher.run(rowsFrom(0, 4_000), loop.time + 60);
    await Promise.resolve();
    const refusal = refused(large, 'the time for this request was over');
    await loop.turn();
    await loop.turn();
    loop.time += 100;
    await loop.idle();
    await refusal;
    expect(session.runs).toHaveLength(2);
    expect(batcher.depth).toEqual({ requests: 0, rows: 0 });
  });

  it('come early where the learned cost says that it will be too late, and are not for ever', async () => {
    const { loop, session, batcher, told } = await bench({}, { call: 20, row: 0.01 });
    await refused(batcher.run(batchOf(1), loop.time + 10), 'cannot be answered in its time');
    expect(session.runs).toEqual([]);
    // The model has become fast, which only a run can tell.
    session.cost = { call: 1, row: 0.01 };
    let tries = 0;
    for (; tries < 50; tries++) {
      const run = watched(batcher.run(batchOf(1), loop.time + 10));
      await loop.idle();
      if (run.state === 'answered') break;
    }
    expect(tries).toBeGreaterThan(0);
    expect(tries).toBeLessThan(20);
    expect(told).toContain('late');
  });
});

describe('closing', () => {
  it('answers what waits, then closes the session, and takes nothing more', async () => {
    const { loop, session, batcher } = await bench();
    const waiting = [watched(batcher.run(batchOf(1))), watched(batcher.run(rowsFrom(0, 3_000)))];
    const closed = batcher.close();
    await expect(batcher.run(batchOf(2))).rejects.toMatchObject({ code: 'ModelInvalid' });
    expect(session.closed).toBe(false);
    await loop.idle();
    await closed;
    expect(session.closed).toBe(true);
    expect(waiting.map(({ state }) => state)).toEqual(['answered', 'answered']);
    await batcher.close();
  });

  it('follows a warm-up that fails', async () => {
    const loop = new FakeLoop();
    const session = new FakeSession(loop);
    session.compute = () => {
      throw new Error('does not run');
    };
    await expect(MicroBatcher.create(session, {}, loop)).rejects.toThrow('does not run');
    expect(session.closed).toBe(true);
  });
});
