import { setTimeout as sleep } from 'node:timers/promises';
import type { ServedView } from '../../contracts/serving.ts';
import { type LookedUp, type OnlineReader, OnlineStoreError } from '../../lib/feature-store/online-store.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { type ServingSettings, storeLocation } from './settings.ts';

/** How long a store that could not be opened is left alone. */
const PATIENCE_MS = 1_000;

/** The online store of a serving process; the server closes it. */
export async function onlineFeatures({ store }: ServingSettings): Promise<OnlineReader> {
  const location = storeLocation(store);
  return new OpenedWhenAsked(async () => openFeatureStore(location, await openStore(location)));
}

/**
 * A store that is opened by the first look-up: a server without feature views has none. Where that fails look-ups are
 * refused at once, and it is tried again a second later.
 */
export class OpenedWhenAsked implements OnlineReader {
  #reader: OnlineReader | undefined;
  #opening: Promise<OnlineReader> | undefined;

  constructor(private readonly open: () => Promise<OnlineReader>) {}

  lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp | Promise<LookedUp> {
    return (
      this.#reader?.lookUp(view, keys, at) ?? this.#opened().then((reader) => reader.lookUp(view, keys, at))
    );
  }

  async views(): ReturnType<OnlineReader['views']> {
    return (await this.#opened()).views();
  }

  async close(): Promise<void> {
    await (await this.#opening?.catch(() => undefined))?.close();
  }

  #opened(): Promise<OnlineReader> {
    this.#opening ??= this.open().then(
      (reader) => {
        this.#reader = reader;
        return reader;
      },
      (cause: unknown) => {
        sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
          this.#opening = undefined;
        });
        const words = cause instanceof Error ? cause.message : String(cause);
        throw new OnlineStoreError(`the online store cannot be opened: ${words}`, { cause });
      },
    );
    return this.#opening;
  }
}
