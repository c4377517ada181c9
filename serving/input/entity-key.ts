import { describe } from './column-buffer.ts';

/** The same bound as of the header `perennial-entity`. */
export const MAX_KEY_LENGTH = 500;

/** What a whole number of 64 bits holds, with a sign or without. */
const LEAST = -(2n ** 63n);
const MOST = 2n ** 64n - 1n;

/** A whole number as JSON writes it. */
const WHOLE = /^-?\d+$/;
/** So many digits are below 2^53. */
const SAFE_DIGITS = 15;

/** Above these a number of the datatype may have been another one before it was rounded. */
const FIRST_ROUNDED: Readonly<Record<string, number>> = { FP32: 2 ** 24, FP16: 2 ** 11, BF16: 2 ** 8 };

/** A key as the feature views have it, `undefined` for none; or what is wrong with what was sent. */
export type KeyText = { readonly key: string | undefined } | { readonly problem: string };

const NO_KEY: KeyText = { key: undefined };
const KEYS = { true: { key: 'true' }, false: { key: 'false' } } as const;

const problem = (text: string): KeyText => ({ problem: text });
const FRACTION = problem('a key is text or a whole number; send it without a fraction');
const TOO_LARGE = problem(
  'the number is too large to be told exactly as it was sent; send the key as text, or as INT64',
);
const ROUNDED = problem(
  'numbers of this size are rounded by the datatype, and another key would be meant; send the column as INT64 or BYTES',
);
const TOO_LONG = problem(`a key has at most ${MAX_KEY_LENGTH} characters`);
const BROKEN = problem('the key has half a surrogate pair, which no text has; encode it as UTF-8');

/**
 * The text of an entity's key, as `CAST(… AS VARCHAR)` gives it for the column of the events: text as it is, a whole
 * number in digits, `true` or `false`. An empty text is no key, as a missing text of the model is an empty one.
 *
 * @param value as JSON or a tensor had it; a `bigint` where that had 64 bits
 * @param datatype of the tensor; empty where there is none
 */
export function keyOfValue(value: unknown, datatype = ''): KeyText {
  switch (typeof value) {
    case 'string':
      return keyOfText(value);
    case 'boolean':
      return value ? KEYS.true : KEYS.false;
    case 'bigint':
      return { key: String(value) };
    case 'number':
      return keyOfNumber(value, datatype);
    default:
      return value === null
        ? NO_KEY
        : problem(`expected a key, got ${describe(value)}; send text, a whole number, true or false`);
  }
}

export function keyOfText(text: string): KeyText {
  if (text === '') return NO_KEY;
  if (text.length > MAX_KEY_LENGTH) return TOO_LONG;
  return /\p{Surrogate}/u.test(text) ? BROKEN : { key: text };
}

/** NaN is a missing value. */
export function keyOfNumber(value: number, datatype = ''): KeyText {
  if (Number.isNaN(value)) return NO_KEY;
  if (datatype === 'BOOL') return keyOfFlag(value);
  if (!Number.isInteger(value)) return FRACTION;
  if (!Number.isSafeInteger(value)) return TOO_LARGE;
  if (Math.abs(value) >= (FIRST_ROUNDED[datatype] ?? Infinity)) return ROUNDED;
  // The negative zero is a zero.
  return { key: String(value + 0) };
}

/** @param literal a number as JSON writes it */
export function keyOfLiteral(literal: string, datatype = ''): KeyText {
  if (
    literal.length <= SAFE_DIGITS ||
    !WHOLE.test(literal) ||
    datatype in FIRST_ROUNDED ||
    datatype === 'BOOL'
  )
    return keyOfNumber(Number(literal), datatype);
  const whole = BigInt(literal);
  return whole < LEAST || whole > MOST ? TOO_LARGE : { key: String(whole) };
}

/** A truth value that is held as a number. */
export function keyOfFlag(value: number): KeyText {
  if (Number.isNaN(value)) return NO_KEY;
  if (value === 1) return KEYS.true;
  return value === 0 ? KEYS.false : problem('expected true or false, got another number');
}

/** A date that is held as seconds of Unix time. */
export function keyOfDate(seconds: number): KeyText {
  if (Number.isNaN(seconds)) return NO_KEY;
  if (seconds % 86_400 !== 0) return problem('a key is a date; send it without a time of day');
  return { key: new Date(seconds * 1000).toISOString().slice(0, 10) };
}
