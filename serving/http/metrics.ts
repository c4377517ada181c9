import type { FastifyInstance } from 'fastify';
import {
  AggregatorRegistry,
  collectDefaultMetrics,
  openMetricsContentType,
  prometheusContentType,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import type { DataPlane } from '../data-plane.ts';
import { type MetricFamily, type MetricSource, metricFamily } from '../telemetry/metric-source.ts';
import { PredictionMetrics } from '../telemetry/prediction-metrics.ts';
import { ServerState } from '../telemetry/server-state.ts';
import { errorResponses, type OpenApiSource } from './openapi.ts';
import type { RouteContext } from './route-context.ts';

/** What one process of the server counts. */
export class ServingMetrics {
  /** To be told of every prediction. */
  readonly predictions: PredictionMetrics;
  readonly #sources: MetricSource[];
  readonly #process = new Registry();

  /** @param options.process the number of this process among those that share the port; alone it has none */
  constructor(dataPlane: DataPlane, options: { version: string; process?: string | undefined }) {
    this.predictions = new PredictionMetrics(dataPlane);
    this.#sources = [this.predictions, new ServerState(dataPlane, options.version), dataPlane.featureMetrics];
    collectDefaultMetrics({ register: this.#process });
    if (options.process !== undefined) this.#process.setDefaultLabels({ process: options.process });
  }

  /** Shows what a source counts from now on. */
  add(source: MetricSource): void {
    this.#sources.push(source);
  }

  /** All metrics of this process, as data that can be sent to another one. */
  async families(): Promise<MetricFamily[]> {
    const own = this.#sources.flatMap((source) => source.collect());
    const ofProcess = metricFamily.array().parse(await this.#process.getMetricsAsJSON());
    const all = [
      ...own,
      ...ofProcess
        // Sums of others, named like counters though they go down.
        .filter(({ name, type }) => type === 'counter' || !name.endsWith('_total'))
        // Each process has its own: under its number, where there are several.
        .map((family): MetricFamily => ({ ...family, aggregator: 'first' })),
    ];
    // A mean of nothing is no number, and would be null on its way to another process.
    return all.map((family) => ({
      ...family,
      values: family.values.filter(({ value }) => Number.isFinite(value)),
    }));
  }
}

/**
 * The page of the metrics.
 *
 * @param processes metrics of one or several processes; those of the same name and labels become one
 * @param accept the reader's `Accept`: OpenMetrics 1.0 where it names that, else the text format of Prometheus
 */
export async function metricsPage(
  processes: readonly (readonly MetricFamily[])[],
  accept = '',
): Promise<{ contentType: string; text: string }> {
  const open = /\bapplication\/openmetrics-text\b/i.test(accept);
  const contentType = open ? openMetricsContentType : prometheusContentType;
  const families = processes.map((of) => of.filter(({ values }) => values.length > 0));
  // prom-client adds the suffix of a counter's samples in OpenMetrics, whether it is there or not.
  const named = open ? families.map((of) => of.map(withoutSuffix)) : families;
  const registry = AggregatorRegistry.aggregate<RegistryContentType>(named);
  registry.setContentType(contentType);
  return { contentType, text: await registry.metrics() };
}

const withoutSuffix = (family: MetricFamily): MetricFamily =>
  family.type === 'counter' ? { ...family, name: family.name.replace(/_total$/, '') } : family;

/**
 * `GET /metrics`.
 *
 * @param collect the metrics of all processes that share the port
 */
export function registerMetricsRoute(
  app: FastifyInstance,
  context: RouteContext,
  collect: () => Promise<readonly (readonly MetricFamily[])[]>,
): void {
  context.describe(metricsDescription);
  app.get('/metrics', context.guarded('operate'), async ({ headers, caller }, reply) => {
    const { contentType, text } = await metricsPage(
      seenBy(caller?.endpoints, await collect()),
      headers.accept,
    );
    return reply.header('vary', 'accept').type(contentType).send(text);
  });
}

const metricsDescription: OpenApiSource = () => ({
  paths: {
    '/metrics': {
      get: {
        operationId: 'metrics',
        summary: 'What is counted, for Prometheus',
        tags: ['Operation'],
        responses: {
          200: {
            description: 'In the text format, or as OpenMetrics where that is accepted.',
            content: {
              'text/plain': { schema: { type: 'string' } },
              'application/openmetrics-text': { schema: { type: 'string' } },
            },
          },
          ...errorResponses('v2', [401, 403, 429]),
        },
      },
    },
  },
});

/** Without what is counted for endpoints that the caller may not ask. */
function seenBy(
  endpoints: ReadonlySet<string> | undefined,
  processes: readonly (readonly MetricFamily[])[],
): readonly (readonly MetricFamily[])[] {
  if (!endpoints) return processes;
  const seen = ({ labels }: MetricFamily['values'][number]): boolean =>
    labels.endpoint === undefined || labels.endpoint === '' || endpoints.has(String(labels.endpoint));
  return processes.map((families) =>
    families.map((family) => ({ ...family, values: family.values.filter(seen) })),
  );
}
