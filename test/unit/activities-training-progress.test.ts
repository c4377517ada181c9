import { expect, it } from 'vitest';
import {
  earlierProgress,
  type ProgressDetails,
  TrainingProgress,
} from '../../activities/training-progress.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';

const ref = (name: string): ArtifactRef => ({ uri: `cas:${name}`, sha256: name, bytes: 1, mediaType: 'x' });

/** A training whose copies end when the test says so. */
function training(resumedFrom?: ArtifactRef) {
  const reported: ProgressDetails[] = [];
  const copies = new Map<string, PromiseWithResolvers<ArtifactRef>>();
  const keep = (path: string): Promise<ArtifactRef> => {
    const copy = withResolvers<ArtifactRef>();
    copies.set(path, copy);
    return copy.promise;
  };
  const progress = new TrainingProgress(
    resumedFrom,
    keep,
    () => 7,
    (details) => void reported.push(details),
  );
  return {
    progress,
    reported,
    at: (iteration: number) =>
      progress.note({ event: 'progress', iteration, maxIterations: 99, metrics: {} }),
    saves: (iteration: number) => {
      const path = `c${iteration}`;
      progress.note({ event: 'checkpoint', iteration, path });
      const copy = copies.get(path);
      if (!copy) throw new Error('no copy was begun');
      return { ends: () => copy.resolve(ref(path)), fails: () => copy.reject(new Error('disk full')) };
    },
  };
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

it('a resumed training goes on naming its checkpoint until there is a newer one', async () => {
  const { progress, reported, at, saves } = training(ref('old'));
  at(41);
  expect(reported.at(-1)).toEqual({ iteration: 41, checkpoint: ref('old'), seconds: 7 });
  saves(42).ends();
  await progress.stored();
  expect(reported.at(-1)).toEqual({ iteration: 42, checkpoint: ref('c42'), seconds: 7 });
});

it('a resumed training that begins anew names its own checkpoint, earlier though it is', async () => {
  const { progress, reported, saves } = training(ref('c90'));
  saves(1).ends();
  await progress.stored();
  expect(reported.at(-1)?.checkpoint).toEqual(ref('c1'));
});

it('the newest checkpoint counts, in whatever order the copies end', async () => {
  const { progress, reported, at, saves } = training();
  const [first, second] = [saves(1), saves(2)];
  at(3);
  second.ends();
  first.ends();
  await progress.stored();
  expect(reported.at(-1)).toEqual({ iteration: 3, checkpoint: ref('c2'), seconds: 7 });
});

it('a copy under way is waited for, and one that fails changes nothing', async () => {
  const { progress, reported, saves } = training(ref('old'));
  const [first, second] = [saves(1), saves(2)];
  let waited = false;
  const stored = progress.stored().then(() => {
    waited = true;
  });
  second.fails();
  await new Promise((resolve) => setImmediate(resolve));
  expect(waited).toBe(false);
  first.ends();
  await stored;
  expect(reported.map(({ checkpoint }) => checkpoint)).toEqual([ref('c1')]);
});

it('the next attempt reads what the last heartbeat said, and a first one nothing', () => {
  const details = { iteration: 3, checkpoint: null, seconds: 12.5 };
  expect(earlierProgress(details)).toEqual(details);
  for (const none of [undefined, null, 'words', { iteration: 3 }])
    expect(earlierProgress(none)).toEqual({ iteration: 0, checkpoint: null, seconds: 0 });
});
