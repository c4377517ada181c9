import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { type Explainers, explanationOf } from '../explaining/explainers.ts';
import { JsonBody } from '../input/json.ts';
import type { RequestRows } from '../input/key-columns.ts';
import { readInvocationBody, readTensorBody } from '../input/request-reader.ts';
import type { LoadedModel } from '../loaded-model.ts';
import { RequestError } from '../request-error.ts';
import type { ExplanationMetrics } from '../telemetry/explanation-metrics.ts';
import type { Protocol } from './errors.ts';
import { explainDescription } from './explain-openapi.ts';
import { FEATURES_HEADER, predictionCall } from './prediction-call.ts';
import type { RouteContext } from './route-context.ts';

/** More rows are work for the report of a run, not for a request. */
const MOST_ROWS = 16;

/** The parts of a path. */
interface ModelPath {
  name: string;
  version?: string;
}

/** What is explained for a protocol: the rows of its body, and the id that it sends back. */
type Reader = (model: LoadedModel, body: JsonBody) => { batch: RequestRows; id?: string | undefined };

const READERS: Record<Protocol, Reader> = {
  v2: (model, body) =>
    readTensorBody(
      model.schema,
      model.served.signature.outputs.map(({ name }) => name),
      body,
      undefined,
    ),
  mlflow: (model, body) => ({ batch: readInvocationBody(model.schema, body) }),
};

/**
 * Explanations of single predictions: `POST /v2/models/<model>[/versions/<version>]/explain` takes the body of
 * `…/infer`, `POST /endpoints/<model>/explain` that of `…/invocations`. Both answer alike, in the words of KServe's V1
 * protocol (`predictions`, `explanations`); its V2 has none. Without a version the champion is explained.
 */
export function registerExplainRoutes(
  app: FastifyInstance,
  context: RouteContext,
  explainers: Explainers,
  metrics: ExplanationMetrics,
): void {
  context.describe(explainDescription);
  const explain =
    (protocol: Protocol) =>
    async (request: FastifyRequest<{ Params: ModelPath }>, reply: FastifyReply): Promise<FastifyReply> => {
      const { name, version } = request.params;
      context.allowed(request, name, version);
      const arrived = performance.now();
      const { dataPlane } = context;
      const model = dataPlane.model(name, version);
      // What cannot be explained is not computed either.
      explanationOf(model.served);
      const { batch: read, id } = READERS[protocol](model, JsonBody.of(request.body));
      if (read.rows > MOST_ROWS)
        throw new RequestError(
          413,
          `the request has ${read.rows} rows, more than the ${MOST_ROWS} that are explained at once; send several requests`,
        );
      const asked = { endpoint: name, read: () => read, write: () => '' };
      const call = predictionCall(request, asked, context.replay);
      const { timeoutMs } = call;
      const deadline = dataPlane.deadline({ endpoint: name, arrived, timeoutMs });
      // Before anything is awaited: from now on the model waits for the run before it is freed.
      const found = dataPlane.rowsOf(call).whole(model, deadline);
      const outputs = await model.runWhole(found, deadline);
      const { batch, features } = await found;
      if (features?.defaulted) reply.header(FEATURES_HEADER, 'default');
      const { confidence, explanations } = await explainers.explain(model.served, batch, timeoutMs, arrived);
      metrics.explained(name, model.served.version, batch.rows, (performance.now() - arrived) / 1000);
      return reply.send({
        model_name: name,
        model_version: model.served.version,
        ...(id === undefined ? {} : { id }),
        predictions: records(outputs),
        confidence,
        explanations,
      });
    };
  for (const path of ['/v2/models/:name/explain', '/v2/models/:name/versions/:version/explain'])
    app.post<{ Params: ModelPath }>(
      path,
      { config: { protocol: 'v2' }, ...context.guarded('predict', 'held') },
      explain('v2'),
    );
  app.post<{ Params: ModelPath }>(
    '/endpoints/:name/explain',
    { config: { protocol: 'mlflow' }, ...context.guarded('predict', 'held') },
    explain('mlflow'),
  );
}

/** The answers themselves, an object for each row, as `/invocations` gives them. */
function records({ rows, columns }: OutputColumns): Record<string, unknown>[] {
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(
      columns.map(({ name, data }) => {
        const value = data[row];
        return [name, typeof value === 'number' && !Number.isFinite(value) ? null : value];
      }),
    ),
  );
}
