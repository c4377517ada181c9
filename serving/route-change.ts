import { isDeepStrictEqual } from 'node:util';
import { PerennialError } from '../contracts/errors.ts';
import { type RouteTable, type RouteTableInput, routeTable } from '../contracts/serving.ts';
import { checkTable } from './served-endpoint.ts';

/**
 * A traffic table as it came, checked.
 *
 * @throws PerennialError `InputInvalid`
 */
export function readTable(input: RouteTableInput): RouteTable {
  const table = parsed(routeTable.safeParse(input), 'the route table');
  checkTable(table);
  return table;
}

/**
 * What a table means beside the one in force: `older` changes nothing, `same` is acknowledged again.
 *
 * @throws PerennialError `RolloutFailed` for another table under the generation in force
 */
export function routeChange(current: RouteTable | undefined, next: RouteTable): 'new' | 'same' | 'older' {
  if (!current || next.generation > current.generation) return 'new';
  if (next.generation < current.generation) return 'older';
  if (isDeepStrictEqual(current, next)) return 'same';
  throw new PerennialError(
    'RolloutFailed',
    `"${next.endpoint}" already has other routes under generation ${next.generation}; raise the generation with every change`,
  );
}

/** @throws PerennialError `InputInvalid` that names the place */
export function parsed<T>(
  result:
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } },
  what: string,
): T {
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PerennialError(
    'InputInvalid',
    `${what} is malformed at ${issue?.path.map(String).join('.') || 'its root'}: ${issue?.message ?? 'wrong shape'}`,
  );
}
