import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Logger } from 'pino';
import type { DataPlane } from './data-plane.ts';
import { bearerCheck } from './http/authentication.ts';
import { registerJsonParser } from './http/body-parsers.ts';
import { failureBody, failureOf } from './http/errors.ts';
import { type EventSink, registerEventRoutes } from './http/event-routes.ts';
import { ServingMetrics } from './http/metrics.ts';
import { registerMlflowRoutes } from './http/mlflow-routes.ts';
import { registerOpenApiRoutes } from './http/openapi-routes.ts';
import { predictionCall, REQUEST_ID_HEADER } from './http/prediction-call.ts';
import { registerRepositoryRoutes } from './http/repository-routes.ts';
import type { RouteContext } from './http/route-context.ts';
import { registerV2Routes } from './http/v2-routes.ts';

/** Ten mebibytes: ten thousand rows of a hundred columns fit. */
export const DEFAULT_BODY_LIMIT = 10 * 1024 * 1024;

/** What {@link createApp} needs. */
export interface AppOptions {
  readonly dataPlane: DataPlane;
  readonly logger: Logger;
  /** Shown by `GET /version` and `GET /v2`. */
  readonly version: string;
  /** Where it is given, prediction requests must send it as a bearer token. */
  readonly token?: string | undefined;
  /** The largest body in bytes, default {@link DEFAULT_BODY_LIMIT}. */
  readonly bodyLimit?: number | undefined;
  /** Takes rows that are pushed, and the token that they need. Without it there is no such route. */
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
  const { dataPlane, logger, bodyLimit = DEFAULT_BODY_LIMIT } = options;
  const loggerInstance: FastifyBaseLogger = logger;
  const app = Fastify({
    loggerInstance,
    // A line for each request would cost more than the prediction; /metrics counts them.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    // A client that sends its request byte by byte does not keep a connection for ever.
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    // Names of endpoints have up to 100 characters, each up to 12 when percent-encoded.
    routerOptions: { maxParamLength: 1_200 },
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
  });
  const metrics = new ServingMetrics(dataPlane);
  dataPlane.listen(metrics);
  const authenticate = options.token === undefined ? undefined : bearerCheck(options.token);

  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const failure = failureOf(error, bodyLimit);
    const { protocol = 'v2', predicts = false } = request.routeOptions?.config ?? {};
    if (predicts) {
      const path = pathOf(request.params);
      for (const listener of dataPlane.listeners) listener.refused?.(path, failure.status);
    }
    // Only the code and the words meant for people: a cause may quote what the client sent.
    if (failure.status >= 500 && failure.status !== 503)
      logger.error({ route: request.routeOptions?.url, ...reasonOf(error) }, 'a request failed');
    if (failure.status === 401) reply.header('www-authenticate', 'Bearer');
    return (
      reply
        .code(failure.status)
        // Without a charset, which JSON does not have: clients compare the type as a whole.
        .header('content-type', 'application/json')
        .send(JSON.stringify(failureBody(protocol, failure)))
    );
  };
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `there is no ${request.method} on this path; see docs/serving.md` }),
  );

  // The bytes are parsed by the handler: a parser that fails here would cost the client its connection.
  registerJsonParser(app, bodyLimit);

  const context: RouteContext = {
    dataPlane,
    version: options.version,
    // Before the body is read: who may not ask does not make the server work.
    guarded: () =>
      authenticate
        ? {
            onRequest: (request, _reply, done) => {
              authenticate(request.headers.authorization);
              done();
            },
          }
        : {},
    inference: (protocol) => ({
      config: { protocol, predicts: true },
      ...context.guarded('predict'),
    }),
    predict: async (request, reply, asked) => {
      const call = predictionCall(request, asked);
      const prediction = await dataPlane.predict(call);
      const body = asked.write(prediction);
      const seconds = (performance.now() - call.arrived) / 1000;
      for (const listener of dataPlane.listeners) listener.answered?.(prediction, seconds);
      return reply
        .header('content-type', asked.contentType ?? 'application/json; charset=utf-8')
        .header('perennial-endpoint', headerText(call.endpoint))
        .header('perennial-model-version', headerText(prediction.model.served.version))
        .header(REQUEST_ID_HEADER, call.requestId)
        .send(body);
    },
  };
  registerV2Routes(app, context, bodyLimit);
  registerRepositoryRoutes(app, context, bodyLimit);
  registerMlflowRoutes(app, context);
  registerOpenApiRoutes(app, context);
  if (options.events) registerEventRoutes(app, options.events.sink, options.events.token);
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  return app;
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
