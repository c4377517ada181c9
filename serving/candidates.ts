import { PerennialError } from '../contracts/errors.ts';
import type { ServedModel } from '../contracts/serving.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelShelf } from './model-shelf.ts';

/** Versions that are loaded without a route, so that they can be asked by their version. */
export class Candidates {
  readonly #byEndpoint = new Map<string, Map<string, LoadedModel>>();

  constructor(private readonly shelf: ModelShelf) {}

  /** @param routed the version of that name that a route points at */
  async load(endpoint: string, served: ServedModel, routed: LoadedModel | undefined): Promise<void> {
    if (routed && !routed.is(served))
      throw new PerennialError(
        'InputInvalid',
        `version ${served.version} of "${endpoint}" is served with other bytes or another signature; register a new version`,
      );
    const loaded = await this.shelf.take(endpoint, served);
    const versions = this.#byEndpoint.get(endpoint) ?? new Map<string, LoadedModel>();
    const previous = versions.get(served.version);
    this.#byEndpoint.set(endpoint, versions.set(served.version, loaded));
    this.shelf.release(previous ? [previous] : []);
  }

  unload(endpoint: string, version: string): void {
    const versions = this.#byEndpoint.get(endpoint);
    const model = versions?.get(version);
    if (!(versions && model)) return;
    versions.delete(version);
    if (versions.size === 0) this.#byEndpoint.delete(endpoint);
    this.shelf.release([model]);
  }

  get(endpoint: string, version: string): LoadedModel | undefined {
    return this.#byEndpoint.get(endpoint)?.get(version);
  }

  versions(endpoint: string): string[] {
    return [...(this.#byEndpoint.get(endpoint)?.keys() ?? [])];
  }

  clear(): void {
    for (const versions of this.#byEndpoint.values()) this.shelf.release(versions.values());
    this.#byEndpoint.clear();
  }
}
