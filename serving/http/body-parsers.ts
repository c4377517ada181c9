import type { FastifyInstance } from 'fastify';
import { RequestError } from '../request-error.ts';

/** The content type of requests and answers with binary tensors. */
export const BINARY_TYPE = 'application/octet-stream';

/** Bodies reach the handlers as bytes: who knows the model's columns reads them into those at once. */
export function registerJsonParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
}

/**
 * The bodies of the Open Inference Protocol: JSON, and JSON with binary tensors behind it. Triton's HTTP client sends
 * either without a content type.
 */
export function registerTensorParsers(app: FastifyInstance): void {
  app.addContentTypeParser(BINARY_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (request.headers['content-type'] === undefined) done(null, body);
    else
      done(
        new RequestError(
          415,
          `send JSON with the header "Content-Type: application/json", or with binary tensors behind it "${BINARY_TYPE}"`,
        ),
      );
  });
}
