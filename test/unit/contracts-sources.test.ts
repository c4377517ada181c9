import { describe, expect, it } from 'vitest';
import { issueLines } from '../../contracts/issues.ts';
import { pipelineKeys } from '../../contracts/spec/json-schema.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { kindOf } from '../../contracts/spec/sources.ts';
import * as samples from '../support/samples.ts';

const parse = (source: unknown) => {
  const input = { ...samples.smallSpec(), data: { sources: { s: source } } };
  const parsed = pipelineSpec.safeParse(input);
  return parsed.success
    ? { source: parsed.data.data.sources.s, lines: [] }
    : { source: undefined, lines: issueLines(parsed.error, input, pipelineKeys) };
};
const SECRET = '${env:PERENNIAL_SECRET_X}';

it.each<[unknown, string]>([
  ['a.csv', 'file'],
  ['https://example.org/a.csv', 'http'],
  ['s3://bucket/a/*.csv', 's3'],
  [{ path: 'a.csv', encoding: 'latin-1', maxBytes: '5GB', incremental: { newFiles: true } }, 'file'],
  [{ url: `https://example.org/${SECRET}`, headers: { 'x-api.key': SECRET } }, 'http'],
  [{ s3: 's3://bucket/a.csv', credentials: { accessKeyId: SECRET, secretAccessKey: SECRET } }, 's3'],
  [
    { postgres: { url: SECRET, table: 'public.t' }, incremental: { watermark: 'at', lateness: '1h' } },
    'postgres',
  ],
  [
    { postgres: { url: 'postgres://u@h/d', password: SECRET, query: 'SELECT 1' }, pin: 'a'.repeat(64) },
    'postgres',
  ],
  [{ events: 'orders', rowNumber: 'n' }, 'events'],
])('%j is of kind %s', (input, kind) => {
  const { source, lines } = parse(input);
  expect(lines).toEqual([]);
  expect(source && kindOf(source)).toBe(kind);
  // What was filled in is read the same again.
  expect(parse(source).source).toEqual(source);
});

it('a size is a number of bytes', () => {
  expect(parse({ path: 'a.csv', maxBytes: '1.5GB' }).source).toMatchObject({ maxBytes: 1_500_000_000 });
});

describe('refused', () => {
  it.each<[string, unknown, RegExp]>([
    [
      'a slip of the pen',
      { url: 'https://e.org/a.csv', heders: {} },
      /data\.sources\.s\.heders: is not a known key; did you mean "headers"/,
    ],
    [
      'another scheme',
      { url: 'ftp://e.org/a.csv' },
      /data\.sources\.s\.url: an address that begins with https/,
    ],
    [
      'a password in a web address',
      { url: 'https://u:p@e.org/a.csv' },
      /url: a name or password in an address/,
    ],
    [
      'a password in a web address, as a short form',
      'https://u:p@e.org/a.csv',
      /data\.sources\.s: a name or password/,
    ],
    ['a short form of PostgreSQL', 'postgres://u:p@h/d', /write \{ postgres: \{ url, table \} \}/],
    [
      'a password of PostgreSQL',
      { postgres: { url: 'postgres://u:p@h/d', table: 't' } },
      /postgres\.url: the password would be stored/,
    ],
    [
      'a password as a parameter',
      { postgres: { url: 'postgres://u@h/d?password=p', table: 't' } },
      /postgres\.url: the password would be stored/,
    ],
    [
      'table and query',
      { postgres: { url: SECRET, table: 't', query: 'SELECT 1' } },
      /exactly one of table and query/,
    ],
    [
      'a secret key in the open',
      { s3: 's3://bucket/a.csv', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } },
      /secretAccessKey: a secret must be a reference/,
    ],
    ['no bucket', { s3: 's3:///a.csv' }, /s3: s3:\/\/bucket\/key/],
    [
      'a header that breaks the line',
      { url: 'https://e.org/a.csv', headers: { a: 'b\r\nc: d' } },
      /headers\.a: no line breaks/,
    ],
    [
      'only new files of a web address',
      { url: 'https://e.org/a.csv', incremental: { newFiles: true } },
      /incremental/,
    ],
    [
      'row numbers of a source that grows',
      { path: 'a.csv', rowNumber: 'line', incremental: { watermark: 'at' } },
      /data\.sources\.s\.rowNumber: cannot be used with incremental/,
    ],
    ['a pin that is no digest', { path: 'a.csv', pin: 'latest' }, /pin: the SHA-256 of an earlier snapshot/],
    [
      'a secret elsewhere',
      { path: 'a.csv', types: { a: 'VARCHAR' }, nullValues: [SECRET] },
      /a secret may stand in/,
    ],
    [
      'a secret in a query',
      { postgres: { url: SECRET, query: `SELECT '${SECRET}'` } },
      /a secret may stand in/,
    ],
    ['a variable of the worker', { url: 'https://e.org/${env:HOME}' }, /other variables are not read/],
    ['a size of nothing', { path: 'a.csv', maxBytes: '0GB' }, /maxBytes/],
  ])('%s', (_what, input, words) => {
    expect(parse(input).lines.join('\n')).toMatch(words);
  });
});
