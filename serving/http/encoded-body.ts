import { PassThrough, type Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { FastifyRequest, preParsingHookHandler } from 'fastify';
import { RequestError } from '../request-error.ts';

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  identity: () => new PassThrough(),
};

/** What a compressed body may be compressed with. */
export const ACCEPTED_ENCODINGS = 'gzip, deflate, br';

/**
 * Reads compressed bodies (`Content-Encoding` gzip, deflate or br) as they arrive. What comes out is bounded like a
 * plain body, by the route's limit and by that of all bodies: reading ends at the first byte beyond it, however little
 * was sent (a zip bomb). Plain bodies of an unknown length (chunked) are counted likewise.
 */
export const decodeBody: preParsingHookHandler = (request, _reply, payload, done) => {
  const { 'content-encoding': encoding, 'content-length': length } = request.headers;
  // One of a known length has its place already; one that is not kept needs none.
  if (encoding === undefined && (length !== undefined || !request.bodyGrows)) {
    done(null, payload);
    return;
  }
  const decoder = DECODERS[(encoding ?? 'identity').trim().toLowerCase()];
  if (!decoder) {
    done(
      new RequestError(
        415,
        `bodies may be compressed once, with ${ACCEPTED_ENCODINGS}; see Content-Encoding`,
      ),
    );
    return;
  }
  done(null, decoded(request, payload, decoder()));
};

function decoded(request: FastifyRequest, payload: Readable, decoder: Transform): Readable {
  const limit = request.routeOptions.bodyLimit;
  let arrived = 0;
  let made = 0;
  const counted = Object.assign(
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        made += chunk.length;
        try {
          if (made > limit)
            throw new RequestError(
              413,
              `the body is larger than ${limit} bytes when decompressed; send less at once`,
            );
          request.bodyGrows?.(made);
          done(null, chunk);
        } catch (error) {
          done(error instanceof Error ? error : new Error('the body cannot be taken'));
        }
      },
    }),
    // Fastify compares this with Content-Length instead of what came out.
    { receivedEncodedLength: 0 },
  );
  payload.on('data', (chunk: Buffer) => {
    arrived += chunk.length;
    counted.receivedEncodedLength = arrived;
  });
  // Not `pipeline`: it would end the connection with the request, and nobody would read the answer.
  payload.pipe(decoder).pipe(counted);
  const stop = (): void => {
    payload.unpipe(decoder);
    decoder.destroy();
  };
  counted.on('close', stop);
  payload.on('close', () => {
    if (!payload.readableEnded) counted.destroy(new RequestError(400, 'the body ended too early'));
  });
  // The decoder's own words may quote the body.
  decoder.on('error', () =>
    counted.destroy(
      new RequestError(400, 'the body is not what its Content-Encoding says, or ends too early'),
    ),
  );
  // Whoever was refused before his body was read to the end has his answer; nobody listens any more.
  counted.on('error', () => undefined);
  return counted;
}
