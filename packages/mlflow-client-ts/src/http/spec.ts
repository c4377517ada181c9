import type { RepeatRule } from './retry.ts';
import type { RequestSpec } from './transport.ts';
import type { Query } from './url.ts';

/** A GET below `/api/2.0`; reads may always be repeated. */
export function read(operation: string, path: string, query: Query = {}): RequestSpec {
  return { operation, method: 'GET', target: { path: `/api/2.0/${path}` }, query, repeat: 'always' };
}

/**
 * A request with a JSON body below `/api/2.0`.
 *
 * @param repeat when it may be sent again; creates must say `unsent`.
 */
export function write(
  method: 'POST' | 'PATCH' | 'DELETE',
  operation: string,
  path: string,
  body: Record<string, unknown>,
  repeat: RepeatRule = method === 'DELETE' ? 'delete' : 'always',
): RequestSpec {
  return {
    operation,
    method,
    target: { path: `/api/2.0/${path}` },
    body: { kind: 'json', value: body },
    repeat,
  };
}
