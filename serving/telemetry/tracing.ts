import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Prediction } from '../prediction.ts';
import type { StageClock } from './stage-clock.ts';

/** Makes spans of prediction requests. */
export interface Tracing {
  /** Begins a span with every prediction request of the app, and ends it with the answer. Before there are routes. */
  attach(app: FastifyInstance): void;
  /** Puts onto the span of a request what answered it. */
  answered(request: FastifyRequest, prediction: Prediction, clock: StageClock): void;
  /** Sends what is left; spans that cannot be sent within some seconds are lost. */
  close(): Promise<void>;
}

/** What the spans say about where they come from. */
export interface TracedServer {
  readonly serverId: string;
  readonly version: string;
}

/**
 * Tracing by the standard variables of OpenTelemetry, in OTLP over HTTP. Nothing of OpenTelemetry is loaded unless
 * `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set.
 *
 * @returns `undefined` where traces are off
 * @example const tracing = await openTracing({ serverId: 'a', version: '0.1.0' }, logger);
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export async function openTracing(server: TracedServer, logger: Logger): Promise<Tracing | undefined> {
  // The variables are those of the process: OpenTelemetry's own parts read them there.
  const { env } = process;
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const off = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none';
  if (!endpoint || off) return undefined;
  const { OtlpTracing } = await import('./otlp-tracing.ts');
  return OtlpTracing.create(server, logger);
}
