import type { OnlineBackend, ViewWriter } from '../../lib/feature-store/online-backend.ts';
import { OnlineFeatures } from '../../lib/feature-store/online-features.ts';

/** What changes a store. */
const CHANGES: readonly (keyof ViewWriter)[] = [
  'describe',
  'open',
  'put',
  'removeFields',
  'complete',
  'drop',
];

/**
 * The same store, where something happens just before or just after a change.
 *
 * @param at is told of each change: its number from 0 on, and whether it was made
 */
export function interrupted(
  store: OnlineFeatures,
  at: (change: number, made: boolean) => void,
): OnlineFeatures {
  let changes = 0;
  const backend = new Proxy(store.backend, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (name !== 'write') return typeof found === 'function' ? found.bind(target) : found;
      return async (view: string) => watched(await target.write(view));
    },
  });
  const watched = (writer: ViewWriter): ViewWriter =>
    new Proxy(writer, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        if (!CHANGES.some((change) => change === name)) return found.bind(target);
        return async (...values: unknown[]) => {
          const change = changes++;
          at(change, false);
          const result: unknown = await found.apply(target, values);
          at(change, true);
          return result;
        };
      },
    });
  return new OnlineFeatures(backend satisfies OnlineBackend, store.keys);
}
