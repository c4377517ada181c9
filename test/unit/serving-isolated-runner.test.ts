import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import { type RestartPolicy, restartDelay } from '../../domain/restarts.ts';
import type { ColumnBatch, OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { ChallengerFailure } from '../../serving/isolation/challenger-failure.ts';
import { IsolatedRunner } from '../../serving/isolation/isolated-runner.ts';
import type { ModelLink } from '../../serving/isolation/model-link.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const batch = (rows = 1): ColumnBatch => ({ rows, columns: new Map([['x', new Float32Array(rows)]]) });
const outputs = (rows = 1): OutputColumns => ({
  rows,
  columns: [{ name: 'y', kind: 'float', data: new Float32Array(rows) }],
});

/** A process that says what the test has it say. */
class FakeLink implements ModelLink {
  readonly pid = 1;
  lastHeard = performance.now();
  killed = false;
  readonly asked: PromiseWithResolvers<OutputColumns>[] = [];
  readonly #end = withResolvers<string>();
  readonly ended = this.#end.promise;

  ask(): Promise<OutputColumns> {
    const answer = withResolvers<OutputColumns>();
    this.asked.push(answer);
    return answer.promise;
  }

  answer(index: number): void {
    this.lastHeard = performance.now();
    this.asked[index]?.resolve(outputs());
  }

  end(how: string): void {
    this.#end.resolve(how);
    for (const { reject } of this.asked) reject(new Error(how));
  }

  kill(): void {
    this.killed = true;
    this.end('ended by SIGKILL');
  }
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  return { promise, resolve, reject };
}

async function started(own: { maxRequests?: number; maxRows?: number; restarts?: RestartPolicy } = {}) {
  const links: FakeLink[] = [];
  const events: string[] = [];
  const start = vi.fn(async (): Promise<ModelLink> => {
    const link = new FakeLink();
    links.push(link);
    return link;
  });
  const runner = await IsolatedRunner.create({
    start,
    maxRequests: 10,
    maxRows: 100,
    onChange: ({ event }) => events.push(event),
    ...own,
  });
  const link = (index: number): FakeLink => {
    const found = links[index];
    if (!found) throw new Error(`process ${index} was not started`);
    return found;
  };
  return { runner, link, start, events };
}

const failing = async (run: Promise<unknown>): Promise<ChallengerFailure> => {
  const error = await run.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof ChallengerFailure) return error;
  throw new Error(`expected a ChallengerFailure, got ${String(error)}`);
};

/** Lets what was settled be heard of. */
const settle = () => vi.advanceTimersByTimeAsync(0);
const inMs = (ms: number): number => performance.now() + ms;

describe('IsolatedRunner', () => {
  it('answers what its process answers', async () => {
    const { runner, link } = await started();
    const run = runner.run(batch(), inMs(100));
    link(0).answer(0);
    expect(await run).toEqual(outputs());
    expect(runner).toMatchObject({ available: true, usable: true, pid: 1 });
  });

  it('gives up on one request at its deadline, and not on a process that goes on answering', async () => {
    const { runner, link } = await started();
    runner.patienceMs = 1_000;
    const late = failing(runner.run(batch(), inMs(400)));
    await vi.advanceTimersByTimeAsync(400);
    expect(await late).toMatchObject({ kind: 'deadline', status: 503 });
    for (let i = 1; i < 10; i++) {
      const next = runner.run(batch(), inMs(400)).catch(() => undefined);
      await vi.advanceTimersByTimeAsync(300);
      link(0).answer(i);
      await next;
    }
    expect(link(0).killed).toBe(false);
    expect(runner.available).toBe(true);
  });

  it('kills a process that is silent while it is asked, and starts another', async () => {
    const { runner, link, events } = await started();
    runner.patienceMs = 2_000;
    const first = failing(runner.run(batch(), inMs(500)));
    await vi.advanceTimersByTimeAsync(500);
    expect(await first).toMatchObject({ kind: 'deadline' });
    const second = failing(runner.run(batch(), inMs(5_000)));
    expect(link(0).killed).toBe(false);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(link(0).killed).toBe(true);
    expect(await second).toMatchObject({
      kind: 'deadline',
      reason: expect.stringContaining('said nothing for'),
    });
    expect(runner.available).toBe(false);
    expect(await failing(runner.run(batch(), inMs(500)))).toMatchObject({ kind: 'deadline' });
    await vi.advanceTimersByTimeAsync(200);
    const again = runner.run(batch(), inMs(500));
    link(1).answer(0);
    expect(await again).toEqual(outputs());
    expect(events).toEqual(['started', 'ended', 'started']);
  });

  it('does not mistake a pause between requests for silence', async () => {
    const { runner, link } = await started();
    runner.patienceMs = 1_000;
    const one = runner.run(batch(), inMs(900));
    link(0).answer(0);
    await one;
    await vi.advanceTimersByTimeAsync(60_000);
    const two = runner.run(batch(), inMs(900));
    await vi.advanceTimersByTimeAsync(800);
    expect(link(0).killed).toBe(false);
    link(0).answer(1);
    expect(await two).toEqual(outputs());
  });

  it('is patient for a second even where the endpoint is not', async () => {
    const { runner, link } = await started();
    runner.patienceMs = 10;
    const late = failing(runner.run(batch(), inMs(10)));
    await vi.advanceTimersByTimeAsync(900);
    await late;
    expect(link(0).killed).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(link(0).killed).toBe(true);
  });

  it('fails at once what a crash leaves behind', async () => {
    const { runner, link } = await started();
    const runs = [1, 2, 3].map(() => failing(runner.run(batch(), inMs(60_000))));
    link(0).end('ended by SIGSEGV');
    for (const failure of await Promise.all(runs))
      expect(failure).toMatchObject({ kind: 'crash', reason: 'its process ended by SIGSEGV' });
    expect(await failing(runner.run(batch(), inMs(60_000)))).toMatchObject({
      kind: 'crash',
      reason: 'it is being started again: its process ended by SIGSEGV',
    });
  });

  it('waits longer each time, and gives up after the last', async () => {
    const restarts = { firstMs: 100, lastMs: 1_000, limit: 3, windowMs: 60_000 };
    const { runner, link, start, events } = await started({ restarts });
    link(0).end('ended by SIGSEGV');
    await vi.advanceTimersByTimeAsync(100);
    expect(start).toHaveBeenCalledTimes(2);
    link(1).end('ended by SIGSEGV');
    await vi.advanceTimersByTimeAsync(199);
    expect(start).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(start).toHaveBeenCalledTimes(3);
    link(2).end('ended by SIGSEGV');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(start).toHaveBeenCalledTimes(3);
    expect(runner.usable).toBe(false);
    expect((await failing(runner.run(batch()))).reason).toContain('not started again before the next change');
    expect(events.at(-1)).toBe('given-up');
  });

  it('counts a start that fails as an end', async () => {
    const { runner, link, start } = await started({
      restarts: { firstMs: 100, lastMs: 1_000, limit: 2, windowMs: 60_000 },
    });
    start.mockRejectedValueOnce(new PerennialError('ArtifactMissing', 'artifact cas:1 is gone'));
    link(0).end('ended by SIGSEGV');
    await vi.advanceTimersByTimeAsync(100);
    expect(runner.usable).toBe(false);
    expect((await failing(runner.run(batch()))).reason).toContain('artifact cas:1 is gone');
  });

  it('starts in the background without anybody being at fault', async () => {
    const link = new FakeLink();
    const gate = withResolvers<ModelLink>();
    const runner = IsolatedRunner.background({ start: () => gate.promise, maxRequests: 1, maxRows: 1 });
    expect(await failing(runner.run(batch()))).toMatchObject({
      kind: undefined,
      reason: 'it is being started',
    });
    gate.resolve(link);
    await settle();
    const run = runner.run(batch());
    link.answer(0);
    expect(await run).toEqual(outputs());
  });

  it('takes so many requests and rows, and refuses more at once', async () => {
    const { runner, link } = await started({ maxRequests: 2, maxRows: 100 });
    const large = runner.run(batch(1_000));
    expect(await failing(runner.run(batch()))).toMatchObject({ kind: 'overload' });
    link(0).answer(0);
    await large;
    const two = [runner.run(batch()), runner.run(batch())];
    expect(await failing(runner.run(batch()))).toMatchObject({ kind: 'overload' });
    link(0).answer(1);
    link(0).answer(2);
    await Promise.all(two);
  });

  it('counts what it gave up on as long as the process has not answered it', async () => {
    const { runner, link } = await started({ maxRequests: 1 });
    runner.patienceMs = 10_000;
    const late = failing(runner.run(batch(), inMs(100)));
    await vi.advanceTimersByTimeAsync(100);
    await late;
    expect(await failing(runner.run(batch(), inMs(100)))).toMatchObject({ kind: 'overload' });
    link(0).answer(0);
    await settle();
    const next = runner.run(batch(), inMs(100));
    link(0).answer(1);
    expect(await next).toEqual(outputs());
  });

  it('hands on what the model itself says', async () => {
    const { runner, link } = await started();
    const run = runner.run(batch());
    link(0).asked[0]?.reject(new PerennialError('ModelInvalid', 'the model failed on a batch of 1 rows'));
    await expect(run).rejects.toMatchObject({ code: 'ModelInvalid' });
    expect(runner.available).toBe(true);
  });

  it('refuses what has no time left', async () => {
    const { runner, link } = await started();
    expect(await failing(runner.run(batch(), inMs(-1)))).toMatchObject({ kind: 'deadline' });
    expect(link(0).asked).toHaveLength(0);
  });

  it('blames nobody, and kills nobody, for a time in which this thread was held', async () => {
    vi.useRealTimers();
    const { runner, link } = await started();
    const [late, run] = [failing(runner.run(batch(), inMs(50))), runner.run(batch(), inMs(60_000))];
    // Longer than the least patience.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100);
    expect(await late).toMatchObject({ kind: undefined, status: 503 });
    expect(link(0).killed).toBe(false);
    link(0).answer(1);
    expect(await run).toEqual(outputs());
    await runner.close();
  });

  it('answers what is under way when it is closed, and nothing after', async () => {
    const { runner, link, start } = await started();
    const run = runner.run(batch(), inMs(5_000));
    const closed = runner.close();
    expect(await failing(runner.run(batch()))).toMatchObject({ kind: undefined });
    link(0).answer(0);
    expect(await run).toEqual(outputs());
    await closed;
    expect(link(0).killed).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(start).toHaveBeenCalledTimes(1);
    await runner.close();
  });

  it('does not wait for what nobody waits for when it is closed', async () => {
    const { runner, link } = await started();
    runner.patienceMs = 60_000;
    const late = failing(runner.run(batch(), inMs(100)));
    await vi.advanceTimersByTimeAsync(100);
    await late;
    await runner.close();
    expect(link(0).killed).toBe(true);
  });

  it('does not wait for ever when it is closed', async () => {
    const { runner, link } = await started();
    const run = failing(runner.run(batch()));
    const closed = runner.close();
    await vi.advanceTimersByTimeAsync(10_000);
    await closed;
    expect(link(0).killed).toBe(true);
    await run;
  });
});

describe('restartDelay', () => {
  const policy = { firstMs: 100, lastMs: 350, limit: 5, windowMs: 1_000 };
  it('doubles up to the last, and forgets what is long ago', () => {
    expect(restartDelay([0], 0, policy)).toBe(100);
    expect(restartDelay([0, 1], 1, policy)).toBe(200);
    expect(restartDelay([0, 1, 2], 2, policy)).toBe(350);
    expect(restartDelay([0, 1, 2, 3, 4], 4, policy)).toBeUndefined();
    expect(restartDelay([0, 1, 2, 3, 5_000], 5_000, policy)).toBe(100);
  });
});
