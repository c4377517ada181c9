import type { Logger } from 'pino';
import type { RouteRole, ServedModel } from '../contracts/serving.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { LoadedModel, type LoadOptions } from './loaded-model.ts';

/** What a {@link ModelShelf} needs. */
export interface ModelShelfOptions extends LoadOptions {
  /** Where the models' bytes are. */
  readonly store: ArtifactStore;
  readonly logger: Logger;
}

/**
 * The models in memory, each for as long as somebody holds it: tables in force, tables that are being prepared,
 * candidates. Two holders of the same version in the same role share one.
 */
export class ModelShelf {
  readonly #held = new Map<LoadedModel, { endpoint: string; holders: number }>();
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
    const { store, threads, limits, isolatedMemoryBytes, logger } = this.options;
    const options = { threads, limits, isolatedMemoryBytes };
    const model =
      role === 'champion'
        ? await LoadedModel.load(served, store, options)
        : await LoadedModel.isolated(served, store, role ?? 'challenger', { ...options, logger, start });
    this.#held.set(model, { endpoint, holders: 1 });
    return model;
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
        .finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
  }

  /** Waits until all that was given back is freed. */
  async emptied(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
