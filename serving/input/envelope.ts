import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';
import { DOUBT, unlessInDoubt } from './doubt.ts';
import { asObject, isObject, type JsonBody } from './json.ts';
import { BYTE } from './json-bytes.ts';
import { JsonScanner } from './json-scanner.ts';

/** What a request says about itself before any model reads its rows. */
export interface Envelope {
  /** The client's name of the request; only the Open Inference Protocol has one. */
  readonly id: string | undefined;
  /** Whom or what the rows are about. */
  readonly entity: string | undefined;
}

const NOTHING: Envelope = { id: undefined, entity: undefined };
/** The same bound as of the header `perennial-entity`. */
const MAX_ENTITY_LENGTH = 500;

/** Field of the parameters by protocol. */
const FIELDS = { v2: 'parameters', mlflow: 'params' } as const;
const ENTITY = Buffer.from('"entity"');
const ID = Buffer.from('"id"');
/** A letter may be written as an escape (`\u0065`), so that a search for the key does not find it. */
const LETTERS = [Buffer.from('\\u006'), Buffer.from('\\u007')];

const scanner = new JsonScanner();

/**
 * The id and the entity of a request, for routing it. Most bodies have neither, which a search for the keys tells
 * without reading them; of the others only the top level is read.
 *
 * @throws RequestError 400
 */
export function readEnvelope(body: JsonBody, protocol: keyof typeof FIELDS): Envelope {
  const wanted = protocol === 'v2' ? [ENTITY, ID] : [ENTITY];
  const last = lastPlace(body.bytes, wanted);
  if (last < 0) return NOTHING;
  const field = FIELDS[protocol];
  const fields = unlessInDoubt(() => topLevel(body.bytes, ['id', field], last)) ?? asObject(body.value);
  const { id } = fields;
  const parameters = fields[field];
  return {
    id: protocol === 'v2' && typeof id === 'string' ? id : undefined,
    entity: isObject(parameters) ? entityOf(parameters.entity, field) : undefined,
  };
}

function entityOf(entity: unknown, field: string): string | undefined {
  if (entity === undefined) return undefined;
  if (typeof entity !== 'string')
    throw badRequest(`${field}.entity must be a string, got ${describe(entity)}; send the key as text`);
  if (entity === '' || entity.length > MAX_ENTITY_LENGTH)
    throw badRequest(`${field}.entity must have 1 to ${MAX_ENTITY_LENGTH} characters`);
  return entity;
}

/** The last place where one of these keys may stand in the text; -1 where there is none. */
function lastPlace(bytes: Buffer, keys: readonly Buffer[]): number {
  const sought = bytes.includes(BYTE.escape) ? [...keys, ...LETTERS] : keys;
  return Math.max(...sought.map((key) => bytes.lastIndexOf(key)));
}

/**
 * These fields of an object. What stands behind the last place where one of the keys may be is not looked at: the
 * reader of the rows refuses what is wrong there.
 *
 * @param last that place
 */
function topLevel(bytes: Buffer, wanted: readonly string[], last: number): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  scanner.start(bytes);
  scanner.take(BYTE.objectStart);
  if (scanner.empty(BYTE.objectEnd)) return found;
  do {
    const key = scanner.key();
    if (wanted.includes(key)) {
      if (Object.hasOwn(found, key)) throw DOUBT;
      found[key] = scanner.value();
    } else {
      if (scanner.at > last) return found;
      scanner.pass();
    }
  } while (scanner.more(BYTE.objectEnd));
  scanner.end();
  return found;
}
