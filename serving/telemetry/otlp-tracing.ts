import {
  type DiagLogger,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
} from '@opentelemetry/semantic-conventions';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Prediction } from '../prediction.ts';
import type { StageClock } from './stage-clock.ts';
import type { TracedServer, Tracing } from './tracing.ts';

/** Of the traces that begin here, where no variable says otherwise: all of them would cost more than the predictions. */
const DEFAULT_RATIO = 0.01;
/** An endpoint that is down fails every few seconds; one line a minute says so. */
const COMPLAINT_MS = 60_000;
const FLUSH_MS = 5_000;
const UNSENT = 'traces are not sent as they should be';

const headers: TextMapGetter<FastifyRequest['headers']> = {
  get: (carrier, key) => carrier[key.toLowerCase()],
  keys: (carrier) => Object.keys(carrier),
};

/** A span, and what makes milliseconds of `performance.now()` those of the epoch: the same for all of a request's spans. */
interface TimedSpan {
  readonly span: Span;
  readonly epoch: number;
}

/**
 * Spans of prediction requests, sent by OpenTelemetry's exporter: one for the request, by the semantic conventions for
 * HTTP servers, and below it one each for reading, running and writing. They carry names, versions and counts; never
 * values of rows, entities, or words of errors.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export class OtlpTracing implements Tracing {
  readonly #spans = new WeakMap<FastifyRequest, TimedSpan>();
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #tracer: Tracer;

  private constructor(
    private readonly provider: BasicTracerProvider,
    private readonly logger: Logger,
    version: string,
  ) {
    this.#tracer = provider.getTracer('perennial', version);
  }

  static create({ serverId, version }: TracedServer, logger: Logger): OtlpTracing {
    // Global, as OpenTelemetry has it: its own words (an endpoint that is down, a sampler that does not exist).
    diag.setLogger(throttled(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
    const resource = defaultResource()
      .merge(
        resourceFromAttributes({
          [ATTR_SERVICE_NAME]: 'perennial-model-server',
          [ATTR_SERVICE_VERSION]: version,
          'service.instance.id': serverId,
        }),
      )
      // What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
      .merge(detectResources({ detectors: [envDetector] }));
    const sampler = process.env.OTEL_TRACES_SAMPLER
      ? {}
      : { sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(DEFAULT_RATIO) }) };
    const spanProcessors = [new BatchSpanProcessor(new OTLPTraceExporter())];
    return new OtlpTracing(
      new BasicTracerProvider({ resource, spanProcessors, ...sampler }),
      logger,
      version,
    );
  }

  attach(app: FastifyInstance): void {
    app.addHook('onRequest', (request, _reply, done) => {
      const { config, url: route = '' } = request.routeOptions;
      if (config?.predicts) this.#spans.set(request, this.#start(request, route));
      done();
    });
    app.addHook('onResponse', (request, reply, done) => {
      const timed = this.#spans.get(request);
      if (timed) end(timed, request, reply);
      done();
    });
  }

  answered(request: FastifyRequest, prediction: Prediction, clock: StageClock): void {
    const timed = this.#spans.get(request);
    if (!timed?.span.isRecording()) return;
    const { span, epoch } = timed;
    const { call, model, role, reason, generation, insteadOf, outputs } = prediction;
    span.setAttributes({
      'perennial.endpoint': call.endpoint,
      'perennial.model.version': model.served.version,
      'perennial.model.sha256': model.served.onnx.sha256,
      'perennial.role': role,
      'perennial.reason': reason,
      'perennial.rows': outputs.rows,
      'perennial.request_id': call.requestId,
      ...(generation === undefined ? {} : { 'perennial.generation': generation }),
      ...(insteadOf === undefined ? {} : { 'perennial.instead_of': insteadOf }),
    });
    const parent = trace.setSpan(ROOT_CONTEXT, span);
    const { readStarted, readEnded, runEnded, written } = clock;
    for (const [name, from, to] of [
      ['read', readStarted, readEnded],
      ['run', readEnded, runEnded],
      ['write', runEnded, written],
    ] as const)
      this.#tracer.startSpan(name, { startTime: epoch + from }, parent).end(epoch + to);
  }

  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
    const sent = this.provider.shutdown().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.logger.warn({ opentelemetry: reason.slice(0, 300) }, UNSENT);
    });
    await Promise.race([sent, late]);
    diag.disable();
  }

  #start(request: FastifyRequest, route: string): TimedSpan {
    const startTime = Date.now();
    const from = this.#propagator.extract(ROOT_CONTEXT, request.headers, headers);
    const { method, protocol, raw } = request;
    const span = this.#tracer.startSpan(
      `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        startTime,
        attributes: {
          [ATTR_HTTP_REQUEST_METHOD]: method,
          [ATTR_HTTP_ROUTE]: route,
          [ATTR_URL_PATH]: request.url.split('?', 1)[0] ?? '',
          [ATTR_URL_SCHEME]: protocol,
          [ATTR_NETWORK_PROTOCOL_VERSION]: raw.httpVersion,
        },
      },
      from,
    );
    return { span, epoch: startTime - performance.now() };
  }
}

function end({ span, epoch }: TimedSpan, request: FastifyRequest, reply: FastifyReply): void {
  if (span.isRecording()) {
    const { statusCode } = reply;
    span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, statusCode);
    const version = request.clock?.refusedBy?.served.version;
    if (version !== undefined) span.setAttribute('perennial.model.version', version);
    // By the conventions a refusal is the client's error, not the server's.
    if (statusCode >= 500) {
      span.setAttribute(ATTR_ERROR_TYPE, String(statusCode));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
  }
  span.end(epoch + performance.now());
}

function throttled(logger: Logger): DiagLogger {
  let complained = Number.NEGATIVE_INFINITY;
  const complain = (message: string): void => {
    if (performance.now() - complained < COMPLAINT_MS) return;
    complained = performance.now();
    logger.warn({ opentelemetry: message.slice(0, 300) }, UNSENT);
  };
  const nothing = (): void => undefined;
  return { error: complain, warn: complain, info: nothing, debug: nothing, verbose: nothing };
}
