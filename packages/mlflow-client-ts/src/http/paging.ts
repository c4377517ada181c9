import { MlflowError } from '../errors.ts';

/** One page of a listing. */
export interface Page<T> {
  /** Items in the server's order. */
  readonly items: readonly T[];
  /** Token of the next page; undefined on the last. */
  readonly nextPageToken: string | undefined;
}

/** How much of a listing to fetch. */
export interface PagingArgs {
  /** Items per request. Default: a size the endpoint handles well. */
  pageSize?: number | undefined;
  /** Stop after this many items. Default: no limit. */
  limit?: number | undefined;
}

/**
 * Walks a paged listing item by item; a page is fetched only when the one before
 * is used up.
 *
 * @param limit stop after this many items.
 */
export async function* paginate<T>(
  fetchPage: (pageToken: string | undefined) => Promise<Page<T>>,
  limit: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<T, void, undefined> {
  let token: string | undefined;
  let count = 0;
  while (count < limit) {
    const page = await fetchPage(token);
    for (const item of page.items) {
      yield item;
      count += 1;
      if (count >= limit) return;
    }
    const next = page.nextPageToken;
    if (next === undefined || next === '') return;
    if (next === token) {
      // MLflow had a release whose metric history answered the same token for ever.
      const message = 'The server answered the same page token twice; stopping instead of looping for ever';
      throw new MlflowError({ code: 'invalid-response', message });
    }
    token = next;
  }
}

/**
 * Gathers an async iterable into an array.
 *
 * @example
 * ```ts
 * const runs = await collect(client.runs.search({ experimentIds: ['1'], limit: 50 }));
 * ```
 */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
