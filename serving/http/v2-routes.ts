import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ServedView } from '../../contracts/serving.ts';
import type { ModelMetadata } from '../data-plane.ts';
import { keysBeside, requestInputs } from '../features/view-inputs.ts';
import { METADATA_DATATYPES } from '../input/datatypes.ts';
import { readEnvelope } from '../input/envelope.ts';
import { readTensorBody } from '../input/request-reader.ts';
import type { TensorRequest } from '../input/tensors.ts';
import { BINARY_TYPE, registerTensorParsers } from './body-parsers.ts';
import type { RouteContext } from './route-context.ts';
import { JSON_LENGTH_HEADER, tensorMessage } from './tensor-message.ts';
import { v2Description } from './v2-openapi.ts';

/** The parts of a path below `/v2/models`. */
interface ModelPath {
  name: string;
  version?: string;
}

/** What of the protocol's extensions the server has, in the names of Triton. */
export const V2_EXTENSIONS = ['binary_tensor_data', 'parameters', 'model_repository'] as const;

/**
 * The HTTP interface of the Open Inference Protocol (V2), with the binary tensor extension.
 */
export function registerV2Routes(app: FastifyInstance, context: RouteContext): void {
  const { dataPlane } = context;
  context.describe(v2Description);

  app.get('/v2', () => ({ name: 'perennial', version: context.version, extensions: V2_EXTENSIONS }));
  app.get('/v2/health/live', () => ({ live: true }));
  app.get('/v2/health/ready', (_request, reply) => {
    const ready = dataPlane.ready();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  app.get('/v2/models', context.guarded('predict'), ({ caller }) => ({
    models: dataPlane.endpoints(caller?.endpoints),
  }));

  const infer = async (
    request: FastifyRequest<{ Params: ModelPath }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    const { json, bytes } = tensorMessage(request);
    const { name, version } = request.params;
    let read: TensorRequest | undefined;
    return context.predict(request, reply, {
      endpoint: name,
      version,
      ...readEnvelope(json, 'v2'),
      read: ({ schema, served }) => {
        const outputs = served.signature.outputs.map((output) => output.name);
        read = readTensorBody(schema, outputs, json, bytes);
        return read.batch;
      },
      write: ({ model, outputs, features }) => {
        const { body, jsonLength } = model.writer.tensors(outputs, {
          endpoint: name,
          version: model.served.version,
          id: read?.id,
          defaulted: features?.defaulted,
          outputs: read?.outputs ?? [],
        });
        if (jsonLength !== undefined) reply.header(JSON_LENGTH_HEADER, jsonLength);
        return body;
      },
      get contentType() {
        return read?.outputs.some(({ binary }) => binary) ? BINARY_TYPE : undefined;
      },
    });
  };

  for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version']) {
    app.get<{ Params: ModelPath }>(path, context.guarded('predict'), ({ params }) =>
      describeModel(dataPlane.metadata(params.name, params.version)),
    );
    app.get<{ Params: ModelPath }>(`${path}/ready`, ({ params: { name, version } }, reply) => {
      const ready = dataPlane.modelReady(name, version);
      return reply.code(ready ? 200 : 503).send({ name, ready });
    });
  }
  // Encapsulated: the other routes take JSON only.
  void app.register((scope, _options, registered) => {
    registerTensorParsers(scope);
    for (const path of ['/v2/models/:name/infer', '/v2/models/:name/versions/:version/infer'])
      scope.post<{ Params: ModelPath }>(path, context.inference('v2'), infer);
    registered();
  });
}

/** The protocol's model metadata; what it has no field for stands under `parameters`. */
function describeModel({ endpoint, generation, versions, model, otherKeys }: ModelMetadata): object {
  const inputs = requestInputs(model);
  const views = model.views ?? [];
  const viewOf = new Map(views.flatMap(({ name, columns }) => columns.map(({ input }) => [input, name])));
  return {
    name: endpoint,
    versions: versions.map(({ version }) => version),
    platform: 'onnx_onnxv1',
    inputs: [
      ...inputs.map(({ name, kind, optional }) => ({
        name,
        datatype: METADATA_DATATYPES[kind],
        shape: [-1],
        parameters: { kind, optional, ...(viewOf.has(name) && { view: viewOf.get(name) }) },
      })),
      ...keysBeside(model, []).own.map((name) => ({
        name,
        datatype: 'BYTES',
        shape: [-1],
        parameters: { kind: 'key', optional: true },
      })),
    ],
    outputs: model.signature.outputs.map(({ name, kind }) => ({
      name,
      datatype: kind === 'string' ? 'BYTES' : 'FP32',
      shape: [-1],
    })),
    parameters: {
      version: model.version,
      sha256: model.onnx.sha256,
      generation,
      loaded: versions,
      ...(views.length > 0 && { views: views.map(describeView) }),
      ...(otherKeys.length > 0 && { otherKeys }),
    },
  };
}

/** A view as clients have to know it. */
const describeView = ({ name, entity, columns, unavailable }: ServedView): object => ({
  name,
  entity,
  inputs: columns.map(({ input }) => input),
  unavailable,
});
