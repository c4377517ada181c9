import { isUtf8 } from 'node:buffer';
import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';

/** A JSON object as JSON.parse gives it. */
export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The JSON text of a request: its bytes for scanners, and its value for whoever needs objects, parsed once.
 *
 * @throws RequestError 400 where the bytes are no UTF-8
 */
export class JsonBody {
  #value: { readonly value: unknown } | undefined;

  private constructor(readonly bytes: Buffer) {}

  /** @param body what the content-type parser gave; `undefined` where the request has no body */
  static of(body: unknown): JsonBody {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    checkUtf8(bytes);
    return new JsonBody(bytes);
  }

  /** @throws RequestError 400 where the text is no JSON */
  get value(): unknown {
    this.#value ??= { value: parseJson(this.bytes) };
    return this.#value.value;
  }
}

function checkUtf8(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw badRequest('the body is not UTF-8; encode the JSON text as UTF-8');
}

/**
 * Parses a body. The engine's own message is not passed on: it quotes the body.
 *
 * Plain `JSON.parse` is safe here: nothing copies an object's keys into another, so that `__proto__` is a name like
 * any other.
 *
 * @param body its bytes or its text; `undefined` where the request has none
 * @throws RequestError 400
 */
export function parseJson(body: unknown): unknown {
  if (Buffer.isBuffer(body)) checkUtf8(body);
  const text = Buffer.isBuffer(body) ? body.toString('utf8') : body;
  if (typeof text !== 'string' || text.trim() === '')
    throw badRequest('the body is empty; send a JSON object');
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(
      'the body is not JSON; check quotes and commas, and write null for a missing value: NaN and Infinity are not JSON',
    );
  }
}

/** @throws RequestError 400 where the body is not an object */
export function asObject(body: unknown): JsonObject {
  if (!isObject(body)) throw badRequest(`the body must be a JSON object, got ${describe(body)}`);
  return body;
}
