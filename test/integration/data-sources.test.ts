import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const types = (table: { columns: { name: string; type: string }[] }) =>
  Object.fromEntries(table.columns.map(({ name, type }) => [name, type]));

describe('CSV', () => {
  it.each([
    ['comma', 'a,b\n1,x\n2,y\n'],
    ['semicolon', 'a;b\n1;x\n2;y\n'],
    ['tab', 'a\tb\n1\tx\n2\ty\n'],
    ['pipe', 'a|b\n1|x\n2|y\n'],
    ['Windows line ends', 'a,b\r\n1,x\r\n2,y\r\n'],
    ['a byte order mark', '\uFEFFa,b\n1,x\n2,y\n'],
  ])('with %s', async (name, content) => {
    await data.write(`${name}.csv`, content);
    const table = await data.snapshot(`${name}.csv`);
    expect(types(table)).toEqual({ a: 'BIGINT', b: 'VARCHAR' });
    expect(await data.rows(table)).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ]);
  });

  it('with a delimiter that is named, inside of values too', async () => {
    await data.write('named.csv', 'a;b\n1,5;x\n2,5;y\n');
    expect(await data.rows(await data.snapshot('named.csv', { delimiter: ';' }))).toEqual([
      { a: '1,5', b: 'x' },
      { a: '2,5', b: 'y' },
    ]);
  });

  it('compressed', async () => {
    await data.write('packed.csv.gz', gzipSync('a,b\n1,x\n'));
    expect(await data.rows(await data.snapshot('packed.csv.gz'))).toEqual([{ a: 1, b: 'x' }]);
  });

  it('with quotes, line breaks and umlauts in values', async () => {
    await data.write('quotes.csv', 'a,b\n1,"x, ""y""\nz"\n2,Grüße\n');
    expect(await data.rows(await data.snapshot('quotes.csv'))).toEqual([
      { a: 1, b: 'x, "y"\nz' },
      { a: 2, b: 'Grüße' },
    ]);
  });

  it.each([
    ['UTF-16, little endian', Buffer.from('\uFEFFa,b\n1,x\n', 'utf16le')],
    ['UTF-16, big endian', Buffer.from('\uFEFFa,b\n1,x\n', 'utf16le').swap16()],
    ['Latin-1', Buffer.from('a,b\n1,Müller\n', 'latin1')],
  ])('in %s: refused with the remedy', async (name, content) => {
    await data.write(`${name}.csv`, content);
    const refusal = data.snapshot(`${name}.csv`);
    await expect(refusal).rejects.toMatchObject({ code: 'SourceUnreadable', retryable: false });
    await expect(refusal).rejects.toThrow(/source people: the text is not UTF-8; convert it, .*iconv/);
  });

  it('with words for missing values', async () => {
    await data.write('missing.csv', 'a,b,c\n1,NA,x\nNULL,2,""\n3,,NA\n');
    const table = await data.snapshot('missing.csv');
    expect(types(table)).toEqual({ a: 'BIGINT', b: 'BIGINT', c: 'VARCHAR' });
    expect(await data.rows(table)).toEqual([
      { a: 1, b: null, c: 'x' },
      { a: null, b: 2, c: null },
      { a: 3, b: null, c: null },
    ]);
  });

  it('with missing words of its own, or none', async () => {
    await data.write('own.csv', 'a,b\n1,?\n-999,NA\n');
    expect(await data.rows(await data.snapshot('own.csv', { nullValues: ['?', '-999'] }))).toEqual([
      { a: 1, b: null },
      { a: null, b: 'NA' },
    ]);
    expect(await data.rows(await data.snapshot('own.csv', { nullValues: [] }))).toEqual([
      { a: 1, b: '?' },
      { a: -999, b: 'NA' },
    ]);
  });

  it('whose type changes after 100,000 rows', async () => {
    const lines = Array.from({ length: 130_000 }, (_, i) => `${i},${i === 120_000 ? 'n/a' : i / 2}`);
    await data.write('late.csv', `id,v\n${lines.join('\n')}\n`);
    const table = await data.snapshot('late.csv');
    expect(types(table)).toEqual({ id: 'BIGINT', v: 'VARCHAR' });
    expect(table.rows).toBe(130_000);
  });

  it('with types that are given', async () => {
    await data.write('zip.csv', 'id,zip\n1,01234\n2,00001\n');
    expect(await data.rows(await data.snapshot('zip.csv', { types: { zip: 'VARCHAR' } }))).toEqual([
      { id: 1, zip: '01234' },
      { id: 2, zip: '00001' },
    ]);
    const wrong = data.snapshot('zip.csv', { types: { zop: 'VARCHAR' } });
    await expect(wrong).rejects.toMatchObject({ code: 'ColumnMissing' });
    await expect(wrong).rejects.toThrow('there is no column zop; did you mean zip? The columns are id, zip');
    const far = data.snapshot('zip.csv', { types: { something_else: 'VARCHAR' } });
    await expect(far).rejects.toThrow('there is no column something_else. The columns are id, zip');
    await expect(data.snapshot('zip.csv', { types: { zip: 'VARCHR' } })).rejects.toThrow(
      'VARCHR does not exist',
    );
  });

  it('that does not fit its types: says where, and quotes no value', async () => {
    await data.write('person.csv', 'id,who\n1,Ann Example\n');
    const refusal = await data
      .snapshot('person.csv', { types: { who: 'BIGINT' } })
      .catch((error: Error) => error);
    expect(refusal).toMatchObject({
      code: 'SourceUnreadable',
      message:
        'source people: CSV line 2: a value of column who is no BIGINT; set another type for it under types',
    });
  });

  it('whose lines have different numbers of fields: refused, not read as one column', async () => {
    await data.write('ragged.csv', 'a,b\n1,2\n3\n4,5,6\n');
    const refusal = data.snapshot('ragged.csv');
    await expect(refusal).rejects.toMatchObject({ code: 'SourceUnreadable' });
    await expect(refusal).rejects.toThrow(/no delimiter splits all lines alike/);
    await expect(data.snapshot('ragged.csv', { delimiter: ',' })).rejects.toThrow(
      /different numbers of fields/,
    );
  });

  it('with one column', async () => {
    await data.write('single.csv', 'name\nbob\nann\n');
    expect(await data.rows(await data.snapshot('single.csv'))).toEqual([{ name: 'bob' }, { name: 'ann' }]);
  });
});

describe('other formats', () => {
  it('Parquet keeps its types', async () => {
    await data.writeParquet('t.parquet', "SELECT 1::SMALLINT AS a, DATE '2013-01-01' AS d, true AS f");
    expect(types(await data.snapshot('t.parquet'))).toEqual({ a: 'SMALLINT', d: 'DATE', f: 'BOOLEAN' });
  });

  it('JSON Lines, with keys and types that come late', async () => {
    const lines = Array.from({ length: 60_000 }, (_, i) =>
      JSON.stringify(i === 50_000 ? { a: 1.5, late: 'x' } : { a: i }),
    );
    await data.write('late.jsonl', lines.join('\n'));
    const table = await data.snapshot('late.jsonl');
    expect(types(table)).toEqual({ a: 'DOUBLE', late: 'VARCHAR' });
    expect(table.rows).toBe(60_000);
  });

  it.each([
    ['broken.jsonl', '{"a":"Ann Example"}\n{"a": Ann\n', /Malformed JSON, line \d+$/],
    ['broken.parquet', 'no parquet at all', /magic bytes|too small/],
    ['broken.csv.gz', 'not packed', /GZIP/],
  ])('%s is refused', async (name, content, words) => {
    await data.write(name, content);
    const refusal = await data.snapshot(name).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'SourceUnreadable', message: expect.stringMatching(words) });
    expect(refusal).not.toMatchObject({ message: expect.stringContaining('Ann') });
  });

  it('a format that the name does not tell', async () => {
    await data.write('rows.data', '1\t2\n3\t4\n');
    await expect(data.snapshot('rows.data')).rejects.toMatchObject({ code: 'SourceUnreadable' });
    await expect(data.snapshot('rows.data')).rejects.toThrow(/set format to csv, parquet or jsonl/);
    expect((await data.snapshot('rows.data', { format: 'csv' })).rows).toBe(1);
  });
});

describe('several files and row numbers', () => {
  const lines = (from: number, count: number) =>
    `id,text\n${Array.from({ length: count }, (_, i) => `${from + i},${'x'.repeat(20)}${i}`).join('\n')}\n`;

  it('are read in the order of names and lines, twice with the same bytes', async () => {
    for (const part of [0, 1, 2])
      await data.write(`many/part-${part}.csv`, lines(part * 150_000 + 1, 150_000));
    const first = await data.snapshot('many/*.csv', { rowNumber: 'line' });
    const second = await data.snapshot('many/*.csv', { rowNumber: 'line' });
    expect(first.rows).toBe(450_000);
    expect(second).toEqual(first);
    const path = await data.store.path(first.artifact);
    expect(
      await data.database.row(
        `SELECT count(*) FILTER (WHERE id <> line OR line <> file_row_number + 1) AS wrong FROM read_parquet('${path}', file_row_number = true)`,
      ),
    ).toEqual({ wrong: 0 });
  });

  it('have another digest when one byte or the order changes', async () => {
    await data.write('two/a.csv', 'a\n1\n');
    await data.write('two/b.csv', 'a\n2\n');
    const before = await data.snapshot('two/*.csv');
    await data.write('two/b.csv', 'a\n3\n');
    const changed = await data.snapshot('two/*.csv');
    expect(changed.sourceSha256).not.toBe(before.sourceSha256);
    expect(changed.artifact.sha256).not.toBe(before.artifact.sha256);
  });

  it.each(['odd/[a].csv', 'odd/*.csv', 'odd/?.csv', 'odd/{a}.csv', 'odd[1]/b.csv'])(
    'with a name that would be read as a pattern are refused: %s',
    async (name) => {
      await data.write('odd/a.csv', 'a\n1\n');
      const path = await data.write(name, 'a\n7\n');
      // The pattern finds the file itself, beside others or alone.
      const refusal = data.snapshot(
        name.replace(/[[*?{].*/, '*').concat(name.startsWith('odd[') ? '/b.csv' : ''),
      );
      await expect(refusal).rejects.toMatchObject({ code: 'SourceUnreadable' });
      await expect(refusal).rejects.toThrow(/has one of \[ \* \? \{ in its name/);
      await rm(path);
      expect((await data.snapshot('odd/*')).rows).toBe(1);
    },
  );

  it('with more columns than a history can carry are refused', async () => {
    const wide = (count: number) => Array.from({ length: count }, (_, i) => `${i} AS column_${i}`).join(', ');
    await data.writeParquet('wide.parquet', `SELECT ${wide(2_000)}`);
    expect((await data.snapshot('wide.parquet')).columns).toHaveLength(2_000);
    await data.writeParquet('wider.parquet', `SELECT ${wide(2_001)}`);
    const refusal = data.snapshot('wider.parquet');
    await expect(refusal).rejects.toMatchObject({ code: 'ColumnInvalid' });
    await expect(refusal).rejects.toThrow(/source people has 2001 columns, at most 2000/);
  });
});

describe('what a source may not be', () => {
  beforeAll(async () => {
    await mkdir(join(data.folder, 'private'));
    await writeFile(join(data.folder, 'private', 'secret.csv'), 'a\n1\n');
    await symlink(join(data.folder, 'private'), join(data.root, 'link'));
    await symlink(join(data.folder, 'private', 'secret.csv'), join(data.root, 'innocent.csv'));
    await mkdir(`${data.root}-twin`);
    await writeFile(join(`${data.root}-twin`, 'twin.csv'), 'a\n1\n');
  });

  it.each([
    ['through ..', '../private/secret.csv'],
    ['through .. and a glob', '../priv*/*.csv'],
    ['through a linked folder', 'link/secret.csv'],
    ['through a linked file', 'innocent.csv'],
    ['through a glob over a linked folder', 'link/*.csv'],
  ])('a file outside of the allowed folders, %s', async (_how, path) => {
    const refusal = data.snapshot(path);
    await expect(refusal).rejects.toMatchObject({ code: 'SourceDenied', retryable: false });
    await expect(refusal).rejects.toThrow(/PERENNIAL_SOURCE_ROOTS/);
  });

  it('an absolute path outside, also one that begins like an allowed folder', async () => {
    for (const path of [join(data.folder, 'private', 'secret.csv'), join(`${data.root}-twin`, 'twin.csv')])
      await expect(data.snapshot(path)).rejects.toMatchObject({ code: 'SourceDenied' });
    expect((await data.snapshot(await data.write('inside.csv', 'a\n1\n'))).rows).toBe(1);
  });

  it('nothing at all', async () => {
    const refusal = data.snapshot('nowhere/*.csv');
    await expect(refusal).rejects.toMatchObject({ code: 'SourceNotFound' });
    await expect(refusal).rejects.toThrow(/source people: no file matches nowhere\/\*\.csv/);
    await expect(data.snapshot('https://example.org/a.csv')).rejects.toMatchObject({
      code: 'SourceNotFound',
    });
  });
});
