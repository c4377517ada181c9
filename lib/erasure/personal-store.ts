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
 * A store that holds rows of people: the artifacts, the event logs, the prediction log and the feature store. An
 * erasure asks each for a plan, and then has the steps taken, one after the other; then it asks again, until no store
 * has a step. `PushedRows` is the smallest example; a new store is named in `activities/erasure.ts`.
 *
 * What a store has to see to: compare by `person.valueIn` (normal form, or pseudonym with its key) and never put the id
 * into a statement, a message or a step; report what it cannot look through under `unsearched` instead of throwing,
 * unless trying again may help; leave bytes nowhere, former versions and copies included; and keep rows of the person
 * from coming back by what is sent or computed again, for which `Suppressions` has the list.
 */
export interface PersonalStore {
  /** Of letters and `_`, for people and for the certificate. */
  readonly name: string;
  /**
   * Looks for the person; changes nothing that the store has. A store without the person has no steps. Only rows of
   * pipelines that `person.concerns`, by `person.columnsOf` alone.
   */
  plan(person: Person, tools: SearchTools): Promise<StorePlan>;
  /** Whether a step that is about to be taken for the first time still fits: nothing changed since the plan. */
  isCurrent(step: unknown): Promise<boolean>;
  /**
   * Takes one step. The process may be killed at any point and the same step be taken again, also after it was
   * finished, or by two processes at once: it ends in the same state.
   *
   * @param certificate the number under which the erasure is known
   */
  erase(step: unknown, certificate: string, tools: SearchTools): Promise<void>;
}
