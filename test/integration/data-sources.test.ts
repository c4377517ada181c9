import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { fileSource } from '../../contracts/spec/sources.ts';
import { PersonalColumns } from '../../lib/privacy/personal-columns.ts';
import { sourceOptions } from '../../lib/sources/options.ts';
import { snapshotSource } from '../../lib/sources/snapshot.ts';
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

  it('with values that begin like comments', async () => {
    const lines = Array.from({ length: 1_000 }, (_, i) => `${i % 3 === 0 ? '#' : ''}${i},x${i}`);
    await data.write('marks.csv', `id,b\n${lines.join('\n')}\n`);
    expect((await data.snapshot('marks.csv')).rows).toBe(1_000);
    await data.write('channels.csv', '#,topic\n#1,x\n#2,y\n3,z\n');
    expect(await data.rows(await data.snapshot('channels.csv'))).toEqual([
      { '#': '#1', topic: 'x' },
      { '#': '#2', topic: 'y' },
      { '#': '3', topic: 'z' },
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

  const UMLAUT = 'a,b\n1,Müller €\n';
  it.each<[string, Uint8Array, object]>([
    ['UTF-16, little endian', Buffer.from(`\uFEFF${UMLAUT}`, 'utf16le'), {}],
    ['UTF-16, big endian', Buffer.from(`\uFEFF${UMLAUT}`, 'utf16le').swap16(), {}],
    ['UTF-16 that is named, without a mark', Buffer.from(UMLAUT, 'utf16le'), { encoding: 'utf-16' }],
    ['UTF-16, packed', gzipSync(Buffer.from(`\uFEFF${UMLAUT}`, 'utf16le')), {}],
    ['windows-1252', Buffer.from('a,b\n1,M\xfcller \x80\n', 'latin1'), { encoding: 'latin-1' }],
    [
      'windows-1252, packed',
      gzipSync(Buffer.from('a,b\n1,M\xfcller \x80\n', 'latin1')),
      { encoding: 'latin-1' },
    ],
  ])('in %s', async (name, content, options) => {
    const path = `${name}.csv${name.endsWith('packed') ? '.gz' : ''}`;
    await data.write(path, content);
    expect(await data.rows(await data.snapshot(path, options))).toEqual([{ a: 1, b: 'Müller €' }]);
  });

  it('in UTF-16, with characters that lie across the chunks that are read', async () => {
    const lines = Array.from({ length: 200_000 }, (_, i) => `${i},𝄞ü${i}`).join('\n');
    await data.write('wide.csv', Buffer.from(`\uFEFFid,text\n${lines}\n`, 'utf16le'));
    const table = await data.snapshot('wide.csv');
    const path = await data.store.path(table.artifact);
    const wrong = `SELECT count(*) FILTER (WHERE text <> '𝄞ü' || id) AS wrong, count(*) AS rows FROM read_parquet('${path}')`;
    expect(await data.database.row(wrong)).toEqual({ wrong: 0, rows: 200_000 });
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

  it.each([
    ['a fraction among whole numbers', '12', '12.5', 'DOUBLE', 12.5],
    ['a number with leading zeros', '123', '007', 'VARCHAR', '007'],
    ['a date with a time', '2024-01-02', '2024-01-02 03:04:05', 'TIMESTAMP', '2024-01-02 03:04:05'],
    ['1 among true and false', 'true', '1', 'VARCHAR', '1'],
  ])('whose last value is %s', async (name, usual, last, type, value) => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `${i},${i === 29_999 ? last : usual}`);
    await data.write(`${name}.csv`, `id,v\n${lines.join('\n')}\n`);
    const table = await data.snapshot(`${name}.csv`);
    expect(types(table)).toEqual({ id: 'BIGINT', v: type });
    const path = await data.store.path(table.artifact);
    const text = `SELECT CAST(v AS VARCHAR) AS v FROM read_parquet('${path}') WHERE id = 29999`;
    expect(await data.database.row(text)).toEqual({ v: String(value) });
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
    ['broken.jsonl', '{"a":"Ann Example"}\n{"a": Ann\n', /line 2 is no whole JSON value; mend it/],
    ['broken.parquet', 'no parquet at all', /it is not Parquet/],
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

  it('of Parquet have the columns and the precision of all', async () => {
    await data.writeParquet('union/a.parquet', 'SELECT 1 AS v');
    await data.writeParquet('union/b.parquet', "SELECT 2.5::DOUBLE AS v, 'x' AS w");
    expect(await data.rows(await data.snapshot('union/*.parquet'))).toEqual([
      { v: 1, w: null },
      { v: 2.5, w: 'x' },
    ]);
  });

  it('of JSON Lines have the keys and types of all', async () => {
    for (let file = 10; file < 50; file++)
      await data.write(`lines/${file}.jsonl`, file < 49 ? '{"a":1}\n' : '{"a":1.5,"b":"x"}\n');
    const table = await data.snapshot('lines/*.jsonl');
    expect(types(table)).toEqual({ a: 'DOUBLE', b: 'VARCHAR' });
    expect((await data.rows(table)).at(-1)).toEqual({ a: 1.5, b: 'x' });
  });

  it.each([
    ['one more', 'a,b,c\n1,2,3\n', '3 columns, .*1.csv has 2; with c;'],
    ['one more, without a name', 'a,b,\n1,2,3\n', '3 columns, .*1.csv has 2;'],
    ['one less', 'b\n1\n', '1 columns, .*1.csv has 2; without a;'],
    ['one that is called otherwise', 'a,x\n1,2\n', '2 columns, .*1.csv has 2; without b; with x;'],
  ])('of CSV whose columns differ are refused: %s', async (name, content, words) => {
    await data.write(`${name}/1.csv`, 'a,b\n1,2\n');
    await data.write(`${name}/2.csv`, content);
    const refusal = data.snapshot(`${name}/*.csv`);
    await expect(refusal).rejects.toMatchObject({ code: 'SourceUnreadable' });
    await expect(refusal).rejects.toThrow(new RegExp(`2.csv has ${words}`));
  });

  it('of CSV without names that differ in width are refused', async () => {
    await data.write('bare/1.csv', '1,2\n3,4\n');
    await data.write('bare/2.csv', '1,2,3\n4,5,6\n');
    await expect(data.snapshot('bare/*.csv', { header: false })).rejects.toThrow(
      /2.csv has 3 columns, .*1.csv has 2; with column2/,
    );
  });

  it('of CSV may have their columns in another order, and quoted', async () => {
    await data.write('order/1.csv', 'a,b\n1,2\n');
    await data.write('order/2.csv', '"b","a"\n"4",3\n');
    expect(await data.rows(await data.snapshot('order/*.csv'))).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ]);
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

  it('what the worker keeps for itself below an allowed folder, but for a root within that', async () => {
    const dataDir = join(data.root, '.own');
    await data.write('.own/keyring.json', '{"current":"a"}\n');
    await data.write('.own/inbox/a.csv', 'a\n1\n');
    await data.write('keys.json', '{"current":"a"}\n');
    await data.write('blobs/a.csv', 'a\n1\n');
    await symlink(join(dataDir, 'keyring.json'), join(data.root, 'harmless.json'));
    const options = async (sourceRoots: string[]) =>
      sourceOptions(
        {
          dataDir,
          sourceRoots,
          keyring: join(data.root, 'keys.json'),
          artifactStore: { kind: 'file', root: join(data.root, 'blobs') },
        },
        await data.scratch(),
      );
    const own = ['.own/keyring.json', '.own/inbox/a.csv', 'harmless.json', 'keys.json', 'blobs/*.csv'];
    for (const path of own)
      await expect(data.acquire(path, await options([data.root]))).rejects.toMatchObject({
        code: 'SourceDenied',
        message: expect.stringContaining('keeps for itself'),
      });
    const inbox = await options([data.root, join(dataDir, 'inbox')]);
    expect((await data.acquire('.own/inbox/a.csv', inbox)).files).toHaveLength(1);
    await expect(data.acquire('.own/keyring.json', inbox)).rejects.toMatchObject({ code: 'SourceDenied' });
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

it('a snapshot whose only personal column is the subject under another name is encrypted', async () => {
  await data.write('renamed.csv', 'cust,amount\n100001,5\n100002,6\n');
  const source = fileSource.parse({ path: 'renamed.csv' });
  const personal = new PersonalColumns(
    privacySpec.parse({
      subject: 'customer',
      subjectIn: { orders: { customer: 'cust' } },
      detection: { verified: 'off', likely: 'off' },
    }),
  );
  const encrypted = async (name: string) => {
    const acquired = await data.acquire('renamed.csv', await data.options());
    const scratch = join(await data.scratch(), 'snapshot.parquet');
    const { artifact } = await snapshotSource(
      data.database,
      name,
      source,
      acquired,
      data.store,
      scratch,
      personal,
    );
    return data.store.isEncrypted(artifact);
  };
  expect(await encrypted('shops')).toBe(false);
  expect(await encrypted('orders')).toBe(true);
});
