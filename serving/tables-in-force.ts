import type { RouteTable } from '../contracts/serving.ts';
import { keyColumnsOf } from '../domain/routing.ts';
import type { LoadedModel } from './loaded-model.ts';
import { routeChange } from './route-change.ts';
import { ServedEndpoint } from './served-endpoint.ts';

/** The table of each endpoint, which never goes back a generation; withdrawn ones stay known. */
export class TablesInForce {
  readonly #endpoints = new Map<string, ServedEndpoint>();

  get(endpoint: string): ServedEndpoint | undefined {
    return this.#endpoints.get(endpoint);
  }

  /** Names of the endpoints that have routes. */
  endpoints(): string[] {
    return this.tables().flatMap(({ endpoint, routes }) => (routes.length > 0 ? [endpoint] : []));
  }

  tables(): RouteTable[] {
    return [...this.#endpoints.values()].map((state) => state.table);
  }

  /** All models, and forgets them. */
  clear(): LoadedModel[] {
    const models = [...this.#endpoints.values()].flatMap((state) => state.models ?? []);
    this.#endpoints.clear();
    return models;
  }

  /** @param models one for each route; `undefined` where they could not be restored */
  enforce(table: RouteTable, models: readonly LoadedModel[] | undefined): ServedEndpoint {
    const next = new ServedEndpoint(table, models);
    const keys = keyColumnsOf(table);
    for (const model of models ?? []) {
      model.serveWithin(table.deadlineMs);
      model.takeKeys(keys);
    }
    this.#endpoints.set(table.endpoint, next);
    return next;
  }

  /**
   * What makes a table needless: a newer one, or itself. One that could not be restored is taken up by the same table.
   *
   * @throws PerennialError `RolloutFailed` for another table under the generation in force
   */
  overtaker(table: RouteTable): ServedEndpoint | undefined {
    const current = this.#endpoints.get(table.endpoint);
    const change = routeChange(current?.table, table);
    if (!current || change === 'new') return undefined;
    if (change === 'older') return current;
    return current.models && current;
  }
}
