import { gunzip, inflate } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RequestError } from '../request-error.ts';

type Done = (error: Error | null, body?: Buffer) => void;
type Inflate = typeof gunzip | typeof inflate;

/** What `Content-Encoding` may say. */
const INFLATERS: Readonly<Record<string, Inflate>> = { gzip: gunzip, 'x-gzip': gunzip, deflate: inflate };

/** The content type of requests and answers with binary tensors. */
export const BINARY_TYPE = 'application/octet-stream';

/**
 * Bodies reach the handlers as bytes: who knows the model's columns reads them into those at once. Compressed ones
 * are unpacked, to at most the limit of a body.
 *
 * @param bodyLimit bytes
 */
export function registerJsonParser(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) =>
    unpacked(request, body, bodyLimit, done),
  );
}

/**
 * The bodies of the Open Inference Protocol: JSON, and JSON with binary tensors behind it. Triton's HTTP client sends
 * either without a content type.
 *
 * @param bodyLimit bytes
 */
export function registerTensorParsers(app: FastifyInstance, bodyLimit: number): void {
  app.addContentTypeParser(BINARY_TYPE, { parseAs: 'buffer' }, (request, body: Buffer, done) =>
    unpacked(request, body, bodyLimit, done),
  );
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (request.headers['content-type'] === undefined) unpacked(request, body, bodyLimit, done);
    else
      done(
        new RequestError(
          415,
          `send JSON with the header "Content-Type: application/json", or with binary tensors behind it "${BINARY_TYPE}"`,
        ),
      );
  });
}

function unpacked(request: FastifyRequest, body: Buffer, bodyLimit: number, done: Done): void {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '') {
    done(null, body);
    return;
  }
  const inflater = INFLATERS[encoding];
  if (!inflater) {
    done(new RequestError(415, 'the body may be compressed by gzip or deflate, by nothing else'));
    return;
  }
  inflater(body, { maxOutputLength: bodyLimit }, (error, plain) => {
    if (!error) done(null, plain);
    else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      done(
        new RequestError(
          413,
          `the body has more than ${bodyLimit} bytes when unpacked; send several requests`,
        ),
      );
    else
      done(
        new RequestError(400, `the body is not what its Content-Encoding says; compress it by ${encoding}`),
      );
  });
}
