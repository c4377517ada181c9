import { type CacheList, type CacheRemoval, cacheInput, removeCachedInput } from '../../contracts/cache.ts';
import { collectCache, listCache, removeCached } from '../activities.ts';
import { parseInput } from '../parse.ts';

const WHAT = 'the argument of workflow cache';

/** Shows the step cache, or takes results out of it; `perennial cache` runs it. */
export async function cache(argument?: unknown): Promise<CacheList | CacheRemoval> {
  const input = parseInput(cacheInput, argument, WHAT);
  switch (input.action) {
    case 'list': {
      const { action: _, ...asked } = input;
      return listCache(asked);
    }
    case 'collect':
      return collectCache({ keep: input.keep });
    case 'remove': {
      const { action: _, ...meant } = input;
      return removeCached(parseInput(removeCachedInput, meant, WHAT));
    }
  }
}
