import type { ServerResponse } from 'node:http';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Logger } from 'pino';
import type { DataPlane } from './data-plane.ts';
import type { Explainers } from './explaining/explainers.ts';
import { bearerCheck, checkEndpoint, guardOf } from './http/authentication.ts';
import { registerJsonParser } from './http/body-parsers.ts';
import { clientErrorAnswer } from './http/client-error.ts';
import { registerDocsPage } from './http/docs-page.ts';
import { decodeBody } from './http/encoded-body.ts';
import { failureBody, failureOf } from './http/errors.ts';
import { type EventSink, registerEventRoutes } from './http/event-routes.ts';
import { registerExplainRoutes } from './http/explain-routes.ts';
import { type FeedbackSink, registerFeedbackRoutes } from './http/feedback-routes.ts';
import { createHttpServer } from './http/http-server.ts';
import { registerMetricsRoute, ServingMetrics } from './http/metrics.ts';
import { registerMlflowRoutes } from './http/mlflow-routes.ts';
import type { OpenApiSource } from './http/openapi.ts';
import { registerOpenApiRoute } from './http/openapi-route.ts';
import { FEATURES_HEADER, predictionCall, REQUEST_ID_HEADER } from './http/prediction-call.ts';
import { registerRepositoryRoutes } from './http/repository-routes.ts';
import { RequestsUnderWay } from './http/requests-under-way.ts';
import type { RouteContext } from './http/route-context.ts';
import { registerV2Routes } from './http/v2-routes.ts';
import { RequestError } from './request-error.ts';
import { type RequestLimits, requestLimits } from './request-limits.ts';
import { Access } from './security/access.ts';
import { RateLimits } from './security/rate-limits.ts';
import type { TlsMaterial } from './security/tls.ts';
import { ExplanationMetrics } from './telemetry/explanation-metrics.ts';
import type { MetricFamily } from './telemetry/metric-source.ts';
import { StageClock } from './telemetry/stage-clock.ts';
import type { Tracing } from './telemetry/tracing.ts';

/** Bytes of an answer that may have to wait for its reader. */
const LONG_ANSWER = 65_536;

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that predicts. */
    clock: StageClock | undefined;
  }
}

/** What {@link createApp} needs. */
export interface AppOptions {
  readonly dataPlane: DataPlane;
  readonly logger: Logger;
  /** Shown by `GET /version` and `GET /v2`. */
  readonly version: string;
  /** Where it is given, prediction requests must send it as a bearer token. */
  readonly token?: string | undefined;
  /** Who may ask; default: whoever has `token`, or anybody where there is none. */
  readonly access?: Access | undefined;
  /** How often each caller may ask; default as `access` says, in this process alone. */
  readonly rates?: RateLimits | undefined;
  /** Sizes, times and numbers beyond which requests are refused; see {@link requestLimits} for the defaults. */
  readonly requests?: Partial<RequestLimits> | undefined;
  /** Key and certificate where it speaks TLS. */
  readonly tls?: TlsMaterial | undefined;
  /** What is counted; default its own. */
  readonly metrics?: ServingMetrics | undefined;
  /** The metrics of all processes that answer as one server; default those of `metrics`. */
  readonly allMetrics?: (() => Promise<readonly (readonly MetricFamily[])[]>) | undefined;
  /** Explains single predictions. Without it there are no such routes. */
  readonly explainers?: Explainers | undefined;
  /** Puts what turns out to be true on record. Without it there is no such route. */
  readonly feedback?: FeedbackSink | undefined;
  /** Takes recorded traffic: requests may say when they happened. Default `false`. */
  readonly replay?: boolean | undefined;
  /** Makes spans of prediction requests. */
  readonly tracing?: Tracing | undefined;
  /** Takes rows that are pushed; with a token, from whoever has it and nobody else. Without it there is no such route. */
  readonly events?: { readonly sink: EventSink; readonly token?: string | undefined } | undefined;
}

/**
 * The HTTP app of the model server. It listens nowhere yet: `listen` it, or `inject` requests in a test.
 *
 * @example
 * const app = createApp({ dataPlane: new DataPlane(host), logger, version: '0.1.0' });
 * const answer = await app.inject({ method: 'GET', url: '/v2/health/ready' });
 */
export function createApp(options: AppOptions): FastifyInstance {
  const { dataPlane, logger } = options;
  const limits = requestLimits.parse(options.requests ?? {});
  const loggerInstance: FastifyBaseLogger = logger;
  const app = Fastify({
    loggerInstance,
    // A line for each request would cost more than the prediction; /metrics counts them.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytes,
    serverFactory: (handler) => createHttpServer(limits, options.tls, handler),
    forceCloseConnections: 'idle',
    // While it closes, a request that still comes over an open connection is answered, not refused.
    return503OnClosing: false,
    // Names of endpoints have up to 100 characters, each up to 12 when percent-encoded.
    routerOptions: { maxParamLength: 1_200 },
    clientErrorHandler: clientErrorAnswer,
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
  });
  // Before anything else: nobody's key is asked for here, so that nothing of the body may be read.
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    return reply.code(404).send({ error: `there is no ${request.method} on this path; see docs/serving.md` });
  });
  const metrics = options.metrics ?? new ServingMetrics(dataPlane, { version: options.version });
  dataPlane.listen(metrics.predictions);
  app.decorateRequest('clock', undefined);
  options.tracing?.attach(app);
  const access = options.access ?? Access.ofToken(options.token, logger);
  const underWay = new RequestsUnderWay(limits);
  const guarding = {
    access,
    rates: options.rates ?? new RateLimits(access.settings.rate),
    // Beside TLS there is a plain socket on loopback; it is the server's own.
    internalOnly: (request: FastifyRequest) =>
      options.tls !== undefined && !('encrypted' in request.raw.socket),
  };
  app.decorateRequest('caller', null);
  app.decorateRequest('bodyGrows', undefined);
  app.addHook('preParsing', decodeBody);
  app.addHook('onSend', (_request, reply, payload, done) => {
    // What the system's own buffers take is gone at once; a long answer waits for whoever reads it.
    const long = (typeof payload === 'string' || Buffer.isBuffer(payload)) && payload.length > LONG_ANSWER;
    if (long) endAfter(limits.answerMs, reply.raw);
    done(null, payload);
  });

  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const failure = failureOf(error, request.routeOptions?.bodyLimit ?? limits.bodyBytes);
    const { protocol = 'v2', predicts = false } = request.routeOptions?.config ?? {};
    if (predicts) {
      const path = pathOf(request.params);
      const refusal = {
        clock: request.clock,
        shedding: error instanceof RequestError ? error.shedding : undefined,
      };
      for (const listener of dataPlane.listeners) listener.refused?.(path, failure.status, refusal);
    }
    // Only the code and the words meant for people: a cause may quote what the client sent.
    if (failure.status >= 500 && failure.status !== 503)
      logger.error({ route: request.routeOptions?.url, ...reasonOf(error) }, 'a request failed');
    if (failure.status === 401) reply.header('www-authenticate', 'Bearer');
    if (failure.retryAfter !== undefined) reply.header('retry-after', String(failure.retryAfter));
    return (
      reply
        .code(failure.status)
        // Without a charset, which JSON does not have: clients compare the type as a whole.
        .header('content-type', 'application/json')
        .send(JSON.stringify(failureBody(protocol, failure)))
    );
  };
  app.setErrorHandler(refuse);

  // The bytes are parsed by the handler: a parser that fails here would cost the client its connection.
  registerJsonParser(app);

  const descriptions: OpenApiSource[] = [];
  const context: RouteContext = {
    dataPlane,
    replay: options.replay ?? false,
    version: options.version,
    describe: (source) => descriptions.push(source),
    guarded: (role, body) => ({
      onRequest: guardOf(guarding, role, body && ((request, reply) => underWay.enter(request, reply, body))),
    }),
    inference: (protocol) => ({
      config: { protocol, predicts: true },
      ...context.guarded('predict', 'held'),
    }),
    allowed: ({ caller }, endpoint, version) => {
      checkEndpoint(caller, endpoint);
      if (version === undefined || caller?.roles.has('operate') === true) return;
      if (dataPlane.takesTraffic(endpoint, version)) return;
      throw new RequestError(
        403,
        'a version that takes no traffic needs the role operate; ask for a key that has it',
      );
    },
    predict: async (request, reply, asked) => {
      context.allowed(request, asked.endpoint, asked.version);
      const clock = new StageClock();
      request.clock = clock;
      const call = predictionCall(request, asked, context.replay, clock.timed(asked.read));
      const prediction = await dataPlane.predict(call);
      clock.runEnded = performance.now();
      const body = asked.write(prediction);
      clock.written = performance.now();
      const seconds = (clock.written - call.arrived) / 1000;
      for (const listener of dataPlane.listeners) listener.answered?.(prediction, seconds, clock);
      options.tracing?.answered(request, prediction, clock);
      if (prediction.features?.defaulted) reply.header(FEATURES_HEADER, 'default');
      if (prediction.generation !== undefined) reply.header('perennial-generation', prediction.generation);
      return reply
        .header('content-type', asked.contentType ?? 'application/json; charset=utf-8')
        .header('perennial-endpoint', headerText(call.endpoint))
        .header('perennial-model-version', headerText(prediction.model.served.version))
        .header('perennial-model-digest', prediction.model.served.onnx.sha256)
        .header('perennial-route', prediction.role)
        .header('perennial-reason', prediction.reason)
        .header(REQUEST_ID_HEADER, call.requestId)
        .send(body);
    },
  };
  registerV2Routes(app, context);
  registerRepositoryRoutes(app, context);
  registerMlflowRoutes(app, context);
  if (options.explainers) {
    const explanations = new ExplanationMetrics(options.explainers);
    metrics.add(explanations);
    registerExplainRoutes(app, context, options.explainers, explanations);
  }
  if (options.feedback) registerFeedbackRoutes(app, context, options.feedback);
  if (options.events)
    registerEventRoutes(
      app,
      context,
      options.events.sink,
      eventGuard(options.events.token, context, underWay),
    );
  const { allMetrics = async () => [await metrics.families()] } = options;
  registerMetricsRoute(app, context, allMetrics);
  registerOpenApiRoute(app, context, descriptions);
  registerDocsPage(app);
  return app;
}

/**
 * Ends the connection where an answer is not read in time. A timer of its own: that of the socket begins anew with each
 * byte that comes, and who does not read may send on.
 */
function endAfter(milliseconds: number, response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), milliseconds).unref();
  response.once('close', () => clearTimeout(timer));
}

/** A token for events alone shuts out all others. */
function eventGuard(
  token: string | undefined,
  context: RouteContext,
  underWay: RequestsUnderWay,
): ReturnType<RouteContext['guarded']> {
  if (token === undefined) return context.guarded('feedback', 'streamed');
  const check = bearerCheck(token);
  return {
    onRequest: (request, reply, done) => {
      check(request.headers.authorization);
      underWay.enter(request, reply, 'streamed');
      done();
    },
  };
}

/** Names may have letters that a header cannot carry. */
function headerText(text: string): string {
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}

/** What a path names; only strings: other routes have other parameters. */
function pathOf(params: unknown): { endpoint?: string; version?: string } {
  if (typeof params !== 'object' || params === null) return {};
  const { name, version } = params as { name?: unknown; version?: unknown };
  return {
    ...(typeof name === 'string' ? { endpoint: name } : {}),
    ...(typeof version === 'string' ? { version } : {}),
  };
}

function reasonOf(error: unknown): { type: string; reason: string; stack: string | undefined } {
  if (!(error instanceof Error)) return { type: typeof error, reason: 'not an error', stack: undefined };
  return { type: error.name, reason: error.message, stack: error.stack };
}
