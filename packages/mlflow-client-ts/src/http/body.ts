import type { Deadline } from './deadline.ts';

/**
 * A request body. A `stream` is opened once per attempt; its `length`, when known,
 * becomes `Content-Length`, otherwise the body goes out chunked.
 */
export type RequestBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly contentType: string }
  | {
      readonly kind: 'stream';
      readonly open: () => AsyncIterable<Uint8Array>;
      readonly length: number | undefined;
      readonly contentType: string;
    };

/** The parts of `fetch`'s init that depend on the body. */
export interface EncodedBody {
  readonly headers: Record<string, string>;
  readonly init: Pick<RequestInit, 'body' | 'duplex'>;
}

/** Prepares `body` for one attempt; `deadline` is told of every chunk that leaves. */
export function encodeBody(body: RequestBody | undefined, deadline: Deadline): EncodedBody {
  if (body === undefined) return { headers: {}, init: {} };
  switch (body.kind) {
    case 'json':
      return { headers: { 'content-type': 'application/json' }, init: { body: JSON.stringify(body.value) } };
    case 'bytes':
      return { headers: { 'content-type': body.contentType }, init: { body: Uint8Array.from(body.bytes) } };
    case 'stream': {
      const headers: Record<string, string> = { 'content-type': body.contentType };
      if (body.length !== undefined) headers['content-length'] = String(body.length);
      return { headers, init: { body: watched(body.open(), deadline), duplex: 'half' } };
    }
  }
}

/** Passes chunks on, noting each as progress. */
async function* watched(chunks: AsyncIterable<Uint8Array>, deadline: Deadline): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    deadline.touch();
    yield chunk;
  }
  deadline.touch();
}

/** A settled outcome in place of a thrown one keeps the read loop in one piece. */
export type ReadFailure = (thrown: unknown) => Error;

/**
 * Reads a response body chunk by chunk. The clock runs only while waiting for the
 * server; while the reader is busy with a chunk it stands still.
 */
export async function* readBody(
  response: Response,
  deadline: Deadline,
  onFailure: ReadFailure,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) {
    deadline.end();
    return;
  }
  const reader = response.body.getReader();
  let finished = false;
  try {
    for (;;) {
      deadline.touch();
      const { done, value } = await reader.read().catch((thrown: unknown) => {
        throw onFailure(thrown);
      });
      deadline.pause();
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
  } finally {
    deadline.end();
    // A reader that stops early must free the connection, or the pool runs dry.
    if (!finished) await reader.cancel().catch(() => undefined);
  }
}

/** Reads a whole body as text. */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
