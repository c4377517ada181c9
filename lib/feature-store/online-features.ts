import type { OnlineView } from '../../contracts/feature-store.ts';
import type { ServedView } from '../../contracts/serving.ts';
import type { OnlineBackend } from './online-backend.ts';
import type { OnlineKeys } from './online-keys.ts';
import { RecordReader } from './online-reader.ts';
import type { LookedUp, OnlineReader } from './online-store.ts';
import { readDescription, toldOf } from './stored-view.ts';

/**
 * The online feature store: reads features, and forgets what is no longer wanted. Views are written by
 * `materializeView`.
 *
 * @example
 * const store = await openFeatureStore(config, artifacts);
 * const { values, until } = await store.lookUp(view, [keyOf(['N12345'])], Date.now());
 */
export class OnlineFeatures implements OnlineReader {
  readonly #reader: RecordReader;

  constructor(
    readonly backend: OnlineBackend,
    readonly keys: OnlineKeys,
  ) {
    this.#reader = new RecordReader(backend, keys);
  }

  lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp | Promise<LookedUp> {
    return this.#reader.lookUp(view, keys, at);
  }

  async views(): Promise<OnlineView[]> {
    return (await this.backend.views()).flatMap(({ description }) =>
      description === undefined ? [] : [toldOf(readDescription(description))],
    );
  }

  /** Deletes a view; it is nothing where there is none. @throws OnlineStoreError */
  async removeView(store: string): Promise<void> {
    await this.backend.remove(store);
  }

  /**
   * Deletes the views of a pipeline that are not among those in use, also what was left half written of them.
   *
   * @returns their ids
   */
  async forget(pipeline: string, used: ReadonlySet<string>): Promise<string[]> {
    const views = (await this.backend.views()).map(({ view }) => view);
    const gone = views.filter((view) => view.startsWith(`${pipeline}/`) && !used.has(view));
    for (const view of gone) await this.backend.remove(view);
    return gone;
  }

  /** Leaves no bytes of what was deleted in the files of the store; see `OnlineBackend.writeAnew`. */
  async writeAnew(): Promise<void> {
    await this.backend.writeAnew();
  }

  close(): Promise<void> {
    return this.backend.close();
  }
}
