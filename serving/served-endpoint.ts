import { PerennialError } from '../contracts/errors.ts';
import type { RouteTable } from '../contracts/serving.ts';
import type { LoadedModel } from './loaded-model.ts';

/** A version that takes traffic, and its share in percent. */
export interface WeightedModel {
  readonly model: LoadedModel;
  readonly weight: number;
}

/** One endpoint's table in force with its models. Replaced as a whole, so that a request never sees half a change. */
export class ServedEndpoint {
  readonly #byVersion: ReadonlyMap<string, LoadedModel>;
  readonly #weighted: readonly WeightedModel[];

  /** @param models one for each route; `undefined` where they could not be restored */
  constructor(
    readonly table: RouteTable,
    readonly models: readonly LoadedModel[] | undefined,
  ) {
    this.#byVersion = new Map((models ?? []).map((model) => [model.served.version, model]));
    this.#weighted = (models ?? []).flatMap((model, index) => {
      const weight = table.routes[index]?.weight ?? 0;
      return weight > 0 ? [{ model, weight }] : [];
    });
  }

  /** Whether a request gets an answer. */
  get ready(): boolean {
    return this.#weighted.length > 0;
  }

  version(version: string): LoadedModel | undefined {
    return this.#byVersion.get(version);
  }

  /**
   * The model for one request, by weight.
   *
   * @param random gives a number from 0 up to, not including, 1
   */
  choose(random: () => number): LoadedModel | undefined {
    const weighted = this.#weighted;
    if (weighted.length < 2) return weighted[0]?.model;
    let left = random() * 100;
    for (const { model, weight } of weighted) {
      left -= weight;
      if (left < 0) return model;
    }
    // Weights that add up to a hair less than 100 leave a gap at the very end.
    return weighted.at(-1)?.model;
  }
}

/**
 * What a schema cannot say of a table: weights add up to 100, each version is there once.
 *
 * @throws PerennialError `InputInvalid`
 */
export function checkTable({ endpoint, generation, routes }: RouteTable): void {
  const where = `the routes of "${endpoint}", generation ${generation}`;
  const versions = new Set(routes.map((route) => route.model.version));
  if (versions.size !== routes.length)
    throw new PerennialError('InputInvalid', `${where}: a version is there twice; give it one weight`);
  const total = routes.reduce((sum, route) => sum + route.weight, 0);
  if (routes.length > 0 && Math.abs(total - 100) > 1e-6)
    throw new PerennialError('InputInvalid', `${where}: the weights add up to ${total}; they must give 100`);
  for (const { model } of routes)
    if (model.onnx.uri !== `cas:${model.onnx.sha256}`)
      throw new PerennialError(
        'InputInvalid',
        `${where}: version ${model.version} has a uri and a sha256 of different blobs; take both from one artifact`,
      );
}
