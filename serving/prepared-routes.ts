import type { RouteAck, RouteTable } from '../contracts/serving.ts';

/**
 * A table whose models are loaded, and which changes nothing until it is committed: several processes load it, and
 * only where all of them could, all of them change.
 *
 * @example
 * const prepared = await host.prepare(table);
 * if (everybodyCould) prepared.commit();
 * else await prepared.abort();
 */
export interface PreparedRoutes {
  /** The table with its defaults. */
  readonly table: RouteTable;
  /** Whether a commit changes anything; not where the table, or a newer one, is in force already. */
  readonly changes: boolean;
  /**
   * Puts it into force, all at once, unless a newer table came first: the answer names the one in force.
   *
   * @throws PerennialError `ServerUnavailable` where the host was closed meanwhile
   */
  commit(): RouteAck;
  /** Gives back what was loaded for it alone. After the one or the other, both do nothing more. */
  abort(): Promise<void>;
}
