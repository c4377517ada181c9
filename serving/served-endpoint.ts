import { PerennialError } from '../contracts/errors.ts';
import type { Route, RouteReason, RouteRole, RouteTable } from '../contracts/serving.ts';
import { chooseRoute, type RoutingFacts, tableProblem } from '../domain/routing.ts';
import type { LoadedModel } from './loaded-model.ts';

/** The version that answers a request, and why this one. */
export interface RoutedModel {
  readonly model: LoadedModel;
  readonly role: RouteRole;
  readonly reason: RouteReason;
}

/** One endpoint's table in force with its models. Replaced as a whole, so that a request never sees half a change. */
export class ServedEndpoint {
  readonly #byVersion: ReadonlyMap<string, LoadedModel>;
  /** Whether a request gets an answer. */
  readonly ready: boolean;
  /** The model that stands in for the others. */
  readonly champion: LoadedModel | undefined;
  /** Who gets copies. */
  readonly shadows: readonly Route[];

  /** @param models one for each route; `undefined` where they could not be restored */
  constructor(
    readonly table: RouteTable,
    readonly models: readonly LoadedModel[] | undefined,
  ) {
    this.#byVersion = new Map((models ?? []).map((model) => [model.served.version, model]));
    this.ready = models !== undefined && table.routes.length > 0;
    this.champion = models?.[table.routes.findIndex(({ role }) => role === 'champion')];
    this.shadows = models ? table.routes.filter(({ role, weight }) => role === 'shadow' && weight > 0) : [];
  }

  version(version: string): LoadedModel | undefined {
    return this.#byVersion.get(version);
  }

  /** The role of a routed version. */
  role(version: string): RouteRole | undefined {
    return this.table.routes.find(({ model }) => model.version === version)?.role;
  }

  /** The model for one request; see {@link chooseRoute}. */
  choose(facts: RoutingFacts): RoutedModel | undefined {
    const choice = chooseRoute(this.table, facts);
    const model = choice && this.#byVersion.get(choice.route.model.version);
    return model && { model, role: choice.route.role, reason: choice.reason };
  }
}

/**
 * What a schema cannot say of a table.
 *
 * @throws PerennialError `InputInvalid`
 */
export function checkTable(table: RouteTable): void {
  const where = `the routes of "${table.endpoint}", generation ${table.generation}`;
  const problem = tableProblem(table);
  if (problem) throw new PerennialError('InputInvalid', `${where}: ${problem}`);
  for (const { model } of table.routes)
    if (model.onnx.uri !== `cas:${model.onnx.sha256}`)
      throw new PerennialError(
        'InputInvalid',
        `${where}: version ${model.version} has a uri and a sha256 of different blobs; take both from one artifact`,
      );
}
