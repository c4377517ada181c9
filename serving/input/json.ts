import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';

/** A JSON object as JSON.parse gives it. */
export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses a body. The engine's own message is not passed on: it quotes the body.
 *
 * Plain `JSON.parse` is safe here: nothing copies an object's keys into another, so that `__proto__` is a name like
 * any other.
 *
 * @param text the body; `undefined` where the request has none
 * @throws RequestError 400
 */
export function parseJson(text: unknown): unknown {
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
