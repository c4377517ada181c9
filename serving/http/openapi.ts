import { z } from 'zod';
import type { ModelMetadata } from '../data-plane.ts';
import { ENTITY_HEADER, FEATURES_HEADER, REQUEST_ID_HEADER, TIMEOUT_HEADER } from './prediction-call.ts';

/** A JSON Schema (draft 2020-12), as OpenAPI 3.1 uses it. */
export type Schema = boolean | { readonly [keyword: string]: unknown };

/** One operation of OpenAPI 3.1; see the specification. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
  readonly security?: readonly object[];
}

/** The operations of one path by method, in small letters. */
export type PathItem = Readonly<Record<string, Operation>>;

/** What a file of routes says of itself in the server's OpenAPI document. */
export interface OpenApiPart {
  readonly paths: Readonly<Record<string, PathItem>>;
  /** Under `components.schemas`. */
  readonly schemas?: Readonly<Record<string, Schema>>;
}

/**
 * Describes the routes of one file, by the models that are loaded when somebody asks.
 *
 * @example
 * export const statusDescription: OpenApiSource = () => ({
 *   paths: { '/status': { get: { operationId: 'status', summary: 'Status', responses: { 200: jsonResponse('it', true) } } } },
 * });
 */
export type OpenApiSource = (models: readonly ModelMetadata[]) => OpenApiPart;

/** A response with a JSON body. */
export function jsonResponse(description: string, schema: Schema, headers?: object): object {
  return { description, ...(headers && { headers }), content: { 'application/json': { schema } } };
}

/** A response with a text. */
export const textResponse = (description: string): object => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' } } },
});

const ERROR_WORDS: Readonly<Record<number, string>> = {
  400: 'The request is wrong: path, header, body, column, type or value.',
  401: 'The credentials are absent or wrong.',
  403: 'The credentials do not reach so far.',
  404: 'There is no such model or version.',
  413: 'More rows or bytes than one request may bring.',
  415: 'Another content type or encoding than the route takes.',
  429: 'The caller asks too often.',
  500: 'The server failed on a sound request.',
  503: 'Nothing answers at the moment; try again later.',
};

/** The refusals of a route, with the bodies of its protocol. */
export function errorResponses(
  protocol: 'v2' | 'mlflow',
  statuses: readonly number[],
): Readonly<Record<string, object>> {
  const schema = { $ref: `#/components/schemas/${protocol === 'v2' ? 'Error' : 'MlflowError'}` };
  return Object.fromEntries(
    statuses.map((status) => [String(status), jsonResponse(ERROR_WORDS[status] ?? 'Refused.', schema)]),
  );
}

/** What every route that predicts may answer instead of a prediction. */
export const PREDICTION_REFUSALS = [400, 401, 403, 404, 413, 415, 429, 500, 503] as const;

/** The bodies of refusals, for all parts. */
export const ERROR_SCHEMAS: Readonly<Record<string, Schema>> = {
  Error: { type: 'object', properties: { error: { type: 'string' } }, required: ['error'] },
  MlflowError: {
    type: 'object',
    properties: { error_code: { type: 'string' }, message: { type: 'string' } },
    required: ['error_code', 'message'],
  },
};

/** How long the client waits. */
export const TIMEOUT_PARAMETER: object = {
  name: TIMEOUT_HEADER,
  in: 'header',
  description: 'Milliseconds in which the client wants the answer; else 503.',
  schema: { type: 'integer', minimum: 1 },
};

/** The headers that every prediction may have. */
export const PREDICTION_HEADERS: readonly object[] = [
  {
    name: ENTITY_HEADER,
    in: 'header',
    description: 'Whom or what the rows are about, percent-encoded UTF-8: for sticky routes and late truth.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9._~-]{1,500}$' },
  },
  TIMEOUT_PARAMETER,
  {
    name: REQUEST_ID_HEADER,
    in: 'header',
    description: "The client's name of the request, sent back. One that cannot be taken is replaced.",
    schema: { type: 'string', pattern: '^[!-~]{1,200}$' },
  },
];

/** The headers of every answered prediction. */
export const ANSWER_HEADERS = {
  'perennial-endpoint': { description: 'The endpoint that answered.', schema: { type: 'string' } },
  'perennial-model-version': { description: 'The version that answered.', schema: { type: 'string' } },
  [REQUEST_ID_HEADER]: {
    description: 'Names the request, for the truth that comes later.',
    schema: { type: 'string' },
  },
  [FEATURES_HEADER]: {
    description: 'Where defaults stand in for features that could not be looked up.',
    schema: { const: 'default' },
  },
} as const;

/** A parameter in the path. */
export const pathParameter = (name: string, description: string): object => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', minLength: 1, maxLength: 100 },
});

/** A model's name as a part of a key under `components.schemas`, where only plain letters may stand. */
export const schemaName = (metadata: ModelMetadata, what: string): string =>
  `${encodeURIComponent(metadata.endpoint).replaceAll(/[^A-Za-z0-9._-]/g, '_')}.${what}`;

export const schemaReference = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** The schema of what zod checks; without the reference to the dialect, which is that of OpenAPI 3.1 itself. */
export function schemaOf(schema: z.ZodType): Schema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}
