import type { Logger } from 'pino';
import type { RouteRole, ServedModel } from '../contracts/serving.ts';
import type { QueueDepth } from './batch-queue.ts';
import { LoadedModel, type LoadOptions, type ModelStore } from './loaded-model.ts';
import type { BatcherListener } from './micro-batcher.ts';

const NOTHING_WAITS: QueueDepth = { requests: 0, rows: 0 };

/** What a {@link ModelShelf} needs. */
export interface ModelShelfOptions extends LoadOptions {
  /** Where the models' bytes are. */
  readonly store: ModelStore;
  readonly logger: Logger;
  /** Makes the listener of each model that computes in this process. */
  readonly watchRuns?: WatchRuns | undefined;
}

/** Listens to the runs of one model until it is told to forget it. `waiting` tells what waits at this moment. */
export type WatchRuns = (
  endpoint: string,
  version: string,
  waiting: () => QueueDepth,
) => BatcherListener & { forget(): void };

/**
 * The models in memory, each for as long as somebody holds it: tables in force, tables that are being prepared,
 * candidates. Two holders of the same version in the same role share one.
 */
export class ModelShelf {
  readonly #held = new Map<LoadedModel, { endpoint: string; holders: number; forget?: () => void }>();
  readonly #closing = new Set<Promise<void>>();

  constructor(private readonly options: ModelShelfOptions) {}

  /**
   * Takes a version, loading it where it is not there.
   *
   * @param role a champion computes in this process, others in their own; `undefined`: wherever it is, or else apart
   * @param start `background`: see {@link LoadedModel.isolated}
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ModelInvalid`
   */
  async take(
    endpoint: string,
    served: ServedModel,
    role?: RouteRole,
    start?: 'background',
  ): Promise<LoadedModel> {
    for (const [model, held] of this.#held) {
      const right = role === undefined || model.place === role;
      if (!(held.endpoint === endpoint && right && model.usable && model.is(served))) continue;
      held.holders += 1;
      return model;
    }
    const { model, forget } = await this.#load(endpoint, served, role ?? 'challenger', start);
    this.#held.set(model, { endpoint, holders: 1, ...(forget && { forget }) });
    return model;
  }

  async #load(
    endpoint: string,
    served: ServedModel,
    role: RouteRole,
    start: 'background' | undefined,
  ): Promise<{ model: LoadedModel; forget?: () => void }> {
    const { store, threads, limits, isolatedMemoryBytes, logger, batching, watchRuns } = this.options;
    const options = { threads, limits, isolatedMemoryBytes, batching };
    if (role !== 'champion')
      return { model: await LoadedModel.isolated(served, store, role, { ...options, logger, start }) };
    let model: LoadedModel | undefined;
    const listener = watchRuns?.(endpoint, served.version, () => model?.waiting ?? NOTHING_WAITS);
    try {
      model = await LoadedModel.load(served, store, { ...options, listener });
    } catch (error) {
      listener?.forget();
      throw error;
    }
    return { model, ...(listener && { forget: () => listener.forget() }) };
  }

  /** Gives models back; one that nobody else holds is freed when its last request is answered. */
  release(models: Iterable<LoadedModel>): void {
    for (const model of models) {
      const held = this.#held.get(model);
      if (!held) continue;
      held.holders -= 1;
      if (held.holders > 0) continue;
      this.#held.delete(model);
      const closing: Promise<void> = model
        .close()
        .catch((error: unknown) => this.options.logger.error({ err: error }, 'a model could not be freed'))
        .finally(() => {
          held.forget?.();
          this.#closing.delete(closing);
        });
      this.#closing.add(closing);
    }
  }

  /** Waits until all that was given back is freed. */
  async emptied(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
