import type { DataPlane, VersionMetadata } from '../data-plane.ts';
import { gauge, type MetricFamily, type MetricSource } from './metric-source.ts';

/** What the server holds at the moment: routes in force, loaded models, readiness. */
export class ServerState implements MetricSource {
  constructor(
    private readonly dataPlane: DataPlane,
    private readonly version: string,
  ) {}

  collect(): MetricFamily[] {
    const { dataPlane } = this;
    const generations = [...dataPlane.generations()];
    const endpoints = dataPlane.endpoints().map((endpoint) => ({
      endpoint,
      ready: dataPlane.modelReady(endpoint),
      versions: this.#versions(endpoint),
    }));
    return [
      gauge(
        'perennial_build_info',
        'The version of Perennial and of Node.js; always 1.',
        [{ labels: { version: this.version, node: process.version }, value: 1 }],
        'first',
      ),
      gauge(
        'perennial_ready',
        'Whether the server answers requests to all of its endpoints.',
        [{ labels: {}, value: Number(dataPlane.ready()) }],
        'min',
      ),
      gauge(
        'perennial_endpoint_ready',
        'Whether the models of the endpoint are loaded.',
        endpoints.map(({ endpoint, ready }) => ({ labels: { endpoint }, value: Number(ready) })),
        'min',
      ),
      gauge(
        'perennial_routes_generation',
        'Generation of the routes in force.',
        generations.map(([endpoint, value]) => ({ labels: { endpoint }, value })),
        // The one that all processes have reached: one that is left behind must be seen.
        'min',
      ),
      gauge(
        'perennial_route_weight',
        "Percent of the requests by the routes in force; a shadow's is what it gets a copy of, a candidate has 0.",
        endpoints.flatMap(({ endpoint, versions }) =>
          versions.map(({ version, role, weight }) => ({
            labels: { endpoint, version, role },
            value: weight,
          })),
        ),
        'max',
      ),
      gauge(
        'perennial_models_loaded',
        'Versions in memory, candidates included.',
        endpoints.map(({ endpoint, versions }) => ({ labels: { endpoint }, value: versions.length })),
        'max',
      ),
    ];
  }

  /** Nothing of an endpoint whose models could not be restored. */
  #versions(endpoint: string): readonly VersionMetadata[] {
    return this.dataPlane.modelReady(endpoint) ? this.dataPlane.metadata(endpoint).versions : [];
  }
}
