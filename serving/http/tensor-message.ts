import type { FastifyRequest } from 'fastify';
import { JsonBody } from '../input/json.ts';
import { badRequest } from '../request-error.ts';

/** How many bytes of the body are JSON; those behind are binary tensors. In requests and in answers. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length';

/** The body of an inference request in its parts. */
export interface TensorMessage {
  readonly json: JsonBody;
  /** What stands behind the JSON; `undefined` where the client says that all is JSON. */
  readonly bytes: Buffer | undefined;
}

/**
 * Takes a body apart as the header of the binary tensor extension says.
 *
 * @throws RequestError 400
 */
export function tensorMessage({ headers, body }: FastifyRequest): TensorMessage {
  const header = headers[JSON_LENGTH_HEADER];
  if (header === undefined) return { json: JsonBody.of(body), bytes: undefined };
  const length = typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  const all = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  if (!(length <= all.length))
    throw badRequest(
      `the header Inference-Header-Content-Length must be the length of the JSON, at most the ${all.length} bytes of the body`,
    );
  return { json: JsonBody.of(all.subarray(0, length)), bytes: all.subarray(length) };
}
