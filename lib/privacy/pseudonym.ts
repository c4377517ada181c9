import { createHash, createHmac } from 'node:crypto';
import { DuckDBBlobValue, DuckDBScalarFunction, VARCHAR } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { PersonalKind } from '../../contracts/privacy.ts';
import type { Database } from '../duckdb/database.ts';
import { normalForm, normalFormSql, phoneForm } from './normal-form.ts';

/** A shorter key could be guessed: whoever has it can try all e-mail addresses there are. */
const MIN_KEY_BYTES = 16;
/** Bytes of SHA-256's block (RFC 2104). */
const BLOCK = 64;
/** Hexadecimal digits of a pseudonym: 128 bits, so that two of 10⁹ people share one with a chance of 10⁻²¹. */
const DIGITS = 32;
const INNER = 'perennial_inner_key';
const OUTER = 'perennial_outer_key';

/** A key of pseudonyms with its version. */
export interface PseudonymKey {
  /** At least 16 bytes, taken as UTF-8; from `Secrets.resolve`, never from a spec. */
  key: string;
  /** Stands in each pseudonym, such as `v1`. */
  version: string;
}

/** @throws PerennialError `InputInvalid` where the key is too short */
function bytesOf(key: string): Buffer {
  const bytes = Buffer.from(key, 'utf8');
  if (bytes.length < MIN_KEY_BYTES)
    throw new PerennialError(
      'InputInvalid',
      `privacy.pseudonymKey: the key has fewer than ${MIN_KEY_BYTES} bytes; make one by \`openssl rand -hex 32\``,
    );
  return bytes;
}

/**
 * The pseudonym of one value: HMAC-SHA-256 (RFC 2104, FIPS 198-1) of its normal form, cut to 128 bits. The same as
 * {@link pseudonymSql} gives for a whole column, so that a person can be looked up for erasure.
 *
 * @param value as it stands in the data; numbers as decimal text
 * @param kind the declared kind of the column, which decides the normal form
 * @param region kind phone: the country of numbers that are written without one
 * @throws PerennialError `InputInvalid` where the key is too short
 * @example
 * pseudonymOf('Ann@Example.com ', 'email', { key, version: 'v1' }) // 'pv1_5c1d…'
 */
export function pseudonymOf(
  value: string,
  kind: PersonalKind | undefined,
  { key, version }: PseudonymKey,
  region?: string,
): string {
  const digest = createHmac('sha256', bytesOf(key))
    .update(normalForm(value, kind, region), 'utf8')
    .digest('hex');
  return `p${version}_${digest.slice(0, DIGITS)}`;
}

/** The key's block with each byte xor `value`: the inner or the outer key of HMAC. */
function paddedKey(key: string, value: number): DuckDBBlobValue {
  const bytes = bytesOf(key);
  const block = bytes.length > BLOCK ? createHash('sha256').update(bytes).digest() : bytes;
  const padded = Buffer.alloc(BLOCK, value);
  for (const [i, byte] of block.entries()) padded[i] = byte ^ value;
  return new DuckDBBlobValue(padded);
}

/**
 * Runs `work` while the key can be used by {@link pseudonymSql} in this database. The key is bound to session
 * variables: it stands in no statement, so neither in an error message nor in a plan; afterwards they are gone.
 */
export async function withPseudonymKey<T>(
  database: Database,
  { key }: PseudonymKey,
  work: () => Promise<T>,
): Promise<T> {
  await database.connection.run(`SET VARIABLE ${INNER} = $1`, [paddedKey(key, 0x36)]);
  await database.connection.run(`SET VARIABLE ${OUTER} = $1`, [paddedKey(key, 0x5c)]);
  try {
    return await work();
  } finally {
    await database.run(`RESET VARIABLE ${INNER}`);
    await database.run(`RESET VARIABLE ${OUTER}`);
  }
}

/** HMAC = H(outer ‖ H(inner ‖ text)); DuckDB's sha256() answers in hexadecimal. */
const hmacSql = (text: string): string =>
  `sha256(getvariable('${OUTER}')::BLOB || unhex(sha256(getvariable('${INNER}')::BLOB || encode(${text}))))`;

/**
 * {@link pseudonymOf} of each value as an SQL expression; a missing value stays missing. To be used inside of
 * {@link withPseudonymKey}.
 *
 * @param text an SQL expression of type VARCHAR
 * @param phoneFunction the name that {@link registerPhoneForm} gave; for kind phone
 */
export const pseudonymSql = (
  text: string,
  kind: PersonalKind | undefined,
  version: string,
  phoneFunction: string,
): string => `'p${version}_' || left(${hmacSql(normalFormSql(text, kind, phoneFunction))}, ${DIGITS})`;

const registered = new WeakMap<Database, Set<string>>();

/**
 * Makes {@link phoneForm} a function of this database; SQL has no parser of phone numbers.
 *
 * @returns the name of the function
 */
export function registerPhoneForm(database: Database, region: string | undefined): string {
  const name = `perennial_phone_form${region === undefined ? '' : `_${region}`}`;
  const names = registered.get(database) ?? new Set();
  if (names.has(name)) return name;
  database.connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name,
      parameterTypes: [VARCHAR],
      returnType: VARCHAR,
      mainFunction: (_info, input, output) => {
        const texts = input.getColumnVector(0);
        for (let row = 0; row < input.rowCount; row++) {
          const text = texts.getItem(row);
          output.setItem(row, typeof text === 'string' ? phoneForm(text, region) : null);
        }
        output.flush();
      },
    }),
  );
  registered.set(database, names.add(name));
  return name;
}
