import type { FoundRows, Unsearched } from '../../contracts/erasure.ts';
import type { Database } from '../duckdb/database.ts';
import type { Person } from './person.ts';

/** What a search works with. */
export interface SearchTools {
  database: Database;
  /** A folder of this search alone. */
  scratchDir: string;
  signal: AbortSignal;
  /** Says that it is still at it. */
  progress(done: number): void;
}

/** Where one person was found in a store, and how to take the rows out. */
export interface StorePlan {
  found: FoundRows[];
  unsearched: Unsearched[];
  /** JSON; each is one step of {@link PersonalStore.erase}. They are kept encrypted and deleted afterwards. */
  steps: unknown[];
}

/**
 * A store that holds rows of people: the artifacts, the prediction log, the feature store. An erasure asks each for a
 * plan, and then has the steps taken, one after the other.
 */
export interface PersonalStore {
  /** Of letters and `_`, for people and for the certificate. */
  readonly name: string;
  /** Looks for the person; changes nothing. A store without the person has no steps. */
  plan(person: Person, tools: SearchTools): Promise<StorePlan>;
  /** Whether a step that is about to be taken for the first time still fits: nothing changed since the plan. */
  isCurrent(step: unknown): Promise<boolean>;
  /**
   * Takes one step. The process may be killed at any point and the same step be taken again, also after it was
   * finished: it ends in the same state.
   *
   * @param certificate the number under which the erasure is known
   */
  erase(step: unknown, certificate: string, tools: SearchTools): Promise<void>;
}
