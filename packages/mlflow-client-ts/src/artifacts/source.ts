import { invalidArgument } from '../errors.ts';
import type { RequestBody } from '../http/body.ts';
import type { RepeatRule } from '../http/retry.ts';

/** What can be uploaded: bytes, text, or a stream of either (a Node `Readable` is one). */
export type ArtifactBody = Uint8Array | string | AsyncIterable<Uint8Array | string>;

/** A body ready to send and whether it can be sent twice. */
export interface UploadSource {
  readonly body: RequestBody;
  readonly repeat: RepeatRule;
}

/**
 * Prepares `body`. Bytes and text can be sent again after a failure; a stream is gone
 * once read, so an upload from one is never repeated.
 *
 * @param contentLength bytes a stream will yield, when known; checked while sending.
 */
export function uploadSource(
  body: ArtifactBody,
  contentLength: number | undefined,
  contentType: string | undefined,
): UploadSource {
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
    if (contentLength !== undefined && contentLength !== bytes.byteLength) {
      throw invalidArgument(`contentLength is ${contentLength} but the body has ${bytes.byteLength} bytes`);
    }
    const fallback = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/octet-stream';
    return { body: { kind: 'bytes', bytes, contentType: contentType ?? fallback }, repeat: 'always' };
  }
  const open = (): AsyncIterable<Uint8Array> => checkedBytes(body, contentLength);
  return {
    body: {
      kind: 'stream',
      open,
      length: contentLength,
      contentType: contentType ?? 'application/octet-stream',
    },
    repeat: 'never',
  };
}

/** Passes a stream on as bytes and refuses one that is not as long as announced. */
async function* checkedBytes(
  chunks: AsyncIterable<Uint8Array | string>,
  expected: number | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
    sent += bytes.byteLength;
    if (expected !== undefined && sent > expected) {
      throw invalidArgument(`the stream is longer than the announced contentLength of ${expected} bytes`);
    }
    yield bytes;
  }
  if (expected !== undefined && sent < expected) {
    throw invalidArgument(`the stream ended after ${sent} of the announced ${expected} bytes`);
  }
}
