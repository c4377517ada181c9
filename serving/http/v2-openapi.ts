import type { ModelMetadata } from '../data-plane.ts';
import { BINARY_TYPE } from './body-parsers.ts';
import { outputSchema, requestColumns } from './column-schemas.ts';
import {
  ANSWER_HEADERS,
  errorResponses,
  jsonResponse,
  type OpenApiSource,
  type Operation,
  PREDICTION_HEADERS,
  PREDICTION_REFUSALS,
  pathParameter,
  type Schema,
  schemaName,
  schemaReference,
} from './openapi.ts';

const TAGS = ['Open Inference Protocol'] as const;

const ready: Schema = {
  type: 'object',
  properties: { name: { type: 'string' }, ready: { type: 'boolean' } },
  required: ['ready'],
};

const tensorMetadata: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    datatype: { type: 'string' },
    shape: { type: 'array', items: { type: 'integer' } },
    parameters: { type: 'object' },
  },
  required: ['name', 'datatype', 'shape'],
};

const modelMetadata: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    versions: { type: 'array', items: { type: 'string' } },
    platform: { type: 'string' },
    inputs: { type: 'array', items: tensorMetadata },
    outputs: { type: 'array', items: tensorMetadata },
    parameters: { type: 'object' },
  },
  required: ['name', 'platform', 'inputs', 'outputs'],
};

/** One tensor for each input; a single one of all columns, and binary ones, are told in words. */
function requestSchema({ model, otherKeys, maxRows }: ModelMetadata): Schema {
  const length = { type: 'integer', minimum: 1, maximum: maxRows };
  return {
    type: 'object',
    properties: {
      id: { type: 'string' },
      // Anything may stand here; of an object, these are read.
      parameters: { properties: { entity: { type: 'string', minLength: 1, maxLength: 500 } } },
      inputs: {
        type: 'array',
        description:
          'A tensor for each column. Where all inputs are numbers, a single tensor of the shape [n, inputs] is taken as well.',
        items: {
          anyOf: requestColumns({ model, otherKeys }).map(({ name, schema, datatypes }) => ({
            type: 'object',
            properties: {
              name: { const: name },
              datatype: { enum: datatypes },
              shape: { type: 'array', prefixItems: [length, { const: 1 }], items: false, minItems: 1 },
              data: { type: 'array', items: schema, minItems: 1, maxItems: maxRows },
            },
            required: ['name', 'datatype', 'shape', 'data'],
          })),
        },
        minItems: 1,
      },
      outputs: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            name: { enum: model.signature.outputs.map(({ name }) => name) },
            parameters: {},
          },
          required: ['name'],
        },
      },
    },
    required: ['inputs'],
  };
}

function answerSchema({ model: { signature } }: ModelMetadata): Schema {
  return {
    type: 'object',
    properties: {
      model_name: { type: 'string' },
      model_version: { type: 'string' },
      id: { type: 'string' },
      parameters: {
        type: 'object',
        properties: { features: { const: 'default', description: 'some could not be looked up' } },
      },
      outputs: {
        type: 'array',
        items: {
          anyOf: signature.outputs.map((output) => ({
            type: 'object',
            properties: {
              name: { const: output.name },
              datatype: { enum: output.kind === 'string' ? ['BYTES'] : ['FP32', 'FP64'] },
              shape: { type: 'array', items: { type: 'integer' } },
              data: { type: 'array', items: outputSchema(output) },
            },
            required: ['name', 'datatype', 'shape', 'data'],
          })),
        },
      },
    },
    required: ['model_name', 'model_version', 'outputs'],
  };
}

function infer(metadata: ModelMetadata, version?: string): Operation {
  return {
    operationId: schemaName(metadata, version === undefined ? 'infer' : `infer.${version}`),
    summary: `Predict with ${metadata.endpoint}${version === undefined ? '' : `, version ${version}`}`,
    description: `With binary tensors, request and answer are ${BINARY_TYPE}, and the header Inference-Header-Content-Length tells the length of their JSON.`,
    tags: TAGS,
    parameters: PREDICTION_HEADERS,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: schemaReference(schemaName(metadata, 'inference')) } },
    },
    responses: {
      200: {
        description: 'The outputs.',
        headers: ANSWER_HEADERS,
        content: {
          'application/json': { schema: schemaReference(schemaName(metadata, 'outputs')) },
          [BINARY_TYPE]: { schema: {} },
        },
      },
      ...errorResponses('v2', PREDICTION_REFUSALS),
    },
  };
}

function look(
  operationId: string,
  summary: string,
  schema: Schema,
  parameters: readonly object[],
): Operation {
  return {
    operationId,
    summary,
    tags: TAGS,
    parameters,
    responses: { 200: jsonResponse('Found.', schema), ...errorResponses('v2', [400, 404, 503]) },
  };
}

function readiness(operationId: string, summary: string, parameters: readonly object[] = []): Operation {
  return {
    operationId,
    summary,
    tags: TAGS,
    parameters,
    responses: {
      200: jsonResponse('It is.', ready),
      ...errorResponses('v2', parameters.length > 0 ? [400] : []),
      503: jsonResponse('It is not.', ready),
    },
  };
}

/** The routes of {@link registerV2Routes}. */
export const v2Description: OpenApiSource = (models) => {
  const model = pathParameter('model', 'An endpoint.');
  const version = pathParameter('version', 'A loaded version.');
  const names: Schema = { type: 'array', items: { type: 'string' } };
  const server: Schema = {
    type: 'object',
    properties: { name: { type: 'string' }, version: { type: 'string' }, extensions: names },
    required: ['name', 'version', 'extensions'],
  };
  const live: Schema = { type: 'object', properties: { live: { type: 'boolean' } }, required: ['live'] };
  const list: Schema = { type: 'object', properties: { models: names }, required: ['models'] };
  const one = (operationId: string, summary: string, schema: Schema): Operation => ({
    operationId,
    summary,
    tags: TAGS,
    responses: { 200: jsonResponse('Here.', schema) },
  });
  return {
    paths: {
      '/v2': { get: one('server', 'Name, version and extensions of the server', server) },
      '/v2/health/live': { get: one('live', 'Whether the process runs', live) },
      '/v2/health/ready': { get: readiness('ready', 'Whether all that is to be served can be') },
      '/v2/models': { get: one('models', 'The endpoints', list) },
      '/v2/models/{model}': { get: look('model', 'Inputs, outputs and versions', modelMetadata, [model]) },
      '/v2/models/{model}/versions/{version}': {
        get: look('modelVersion', 'Inputs and outputs of a version', modelMetadata, [model, version]),
      },
      '/v2/models/{model}/ready': { get: readiness('modelReady', 'Whether the endpoint answers', [model]) },
      '/v2/models/{model}/versions/{version}/ready': {
        get: readiness('versionReady', 'Whether the version is loaded', [model, version]),
      },
      ...Object.fromEntries(
        models.flatMap((metadata) => {
          const path = `/v2/models/${encodeURIComponent(metadata.endpoint)}`;
          return [
            [`${path}/infer`, { post: infer(metadata) }],
            // Other versions may have other columns: this one is the one described.
            [
              `${path}/versions/${encodeURIComponent(metadata.model.version)}/infer`,
              { post: infer(metadata, metadata.model.version) },
            ],
          ];
        }),
      ),
    },
    schemas: Object.fromEntries(
      models.flatMap((metadata) => [
        [schemaName(metadata, 'inference'), requestSchema(metadata)],
        [schemaName(metadata, 'outputs'), answerSchema(metadata)],
      ]),
    ),
  };
};
