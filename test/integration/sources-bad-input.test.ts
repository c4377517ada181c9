import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileSource } from '../../contracts/spec/sources.ts';
import { snapshotSource } from '../../lib/sources/snapshot.ts';
import { DataFixture } from '../support/integration-data.ts';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** Takes a snapshot that must fail, and looks that nothing of it stays behind in the store. */
async function refused(path: string, options: object = {}): Promise<unknown> {
  const before = await data.store.blobs();
  const error = await data.snapshot(path, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(await data.store.blobs()).toEqual(before);
  expect(await readdir(join(data.store.root, 'tmp'))).toEqual([]);
  return error;
}

const unreadable = (words: RegExp, code = 'SourceUnreadable') =>
  expect.objectContaining({ code, retryable: false, message: expect.stringMatching(words) });

const HTML = '<!DOCTYPE html>\n<html><body><table><tr><td>1,2</td></tr></table></body></html>\n';

describe('refused, with what is wrong', () => {
  const wide = Array.from({ length: 10_000 }, (_, i) => `c${i}`).join(',');
  const many = Array.from({ length: 10_000 }, (_, i) => i).join(',');
  it.each<[string, string, string | Uint8Array, RegExp, string?]>([
    ['10,000 columns', 'wide.csv', `${wide}\n${many}\n`, /has 10000 columns, at most 2000/, 'ColumnInvalid'],
    ['an empty file', 'empty.csv', '', /empty\.csv is empty/],
    ['an empty file, packed', 'empty.csv.gz', gzipSync(''), /it is empty/],
    ['a byte order mark alone', 'mark.csv', '\uFEFF', /no rows|empty|cannot/],
    ['empty JSON Lines', 'empty.jsonl', '', /empty\.jsonl is empty/],
    ['a header only', 'header.csv', 'a,b\n', /there are no rows in header\.csv, only a header/],
    [
      'a truncated gzip',
      'cut.csv.gz',
      gzipSync(`a,b\n${'1,2\n'.repeat(9_999)}`).subarray(0, 60),
      /gzip data end too early/,
    ],
    ['a damaged gzip', 'damaged.csv.gz', damaged(), /gzip data are damaged/],
    ['NUL bytes', 'nul.csv', 'a,b\n1,\0\n', /NUL byte at byte 7/],
    ['two columns of one name', 'twice.csv', 'a,b,a\n1,2,3\n', /two columns are called a/],
    [
      'two columns whose names differ in capitals',
      'capitals.csv',
      'Id,b,ID\n1,2,3\n',
      /two columns are called ID/,
    ],
    [
      'two columns of one quoted name',
      'quoted.csv',
      '"a;x";"b";"a;x"\n1;2;3\n',
      /two columns are called a;x/,
    ],
    ['a web page', 'page.csv', HTML, /it is an HTML page/],
    ['a web page, packed', 'page.csv.gz', gzipSync(HTML), /it is an HTML page/],
    ['a web page as JSON Lines', 'page.jsonl', HTML, /it is an HTML page/],
    ['XML', 'data.csv', '<?xml version="1.0"?><a/>', /it is XML/],
    ['Parquet with another name', 'really.csv', 'PAR1xxxxPAR1', /it is Parquet; set format/],
    ['a ZIP archive', 'book.csv', 'PK\x03\x04xxxx', /ZIP archive or an Excel file/],
    ['a cut Parquet', 'cut.parquet', 'PAR1', /cut\.parquet: the Parquet file ends too early; it was cut off/],
    [
      'CSV that is called Parquet',
      'csv.parquet',
      'a,b\n1,2\n',
      /csv\.parquet: it is not Parquet; .*set format/,
    ],
    ['a web page that is called Parquet', 'page.parquet', HTML, /page\.parquet: it is not Parquet/],
    ['nothing but line ends', 'blank.csv', '\n\r\n \n', /it is empty/],
    ['a web page that begins with a comment', 'comment.csv', `<!-- a, b --> ${HTML}`, /it is an HTML page/],
    ['a part of a web page', 'table.csv', '<table><tr><td>1,2</td></tr></table>', /it is an HTML page/],
    ['another archive', 'a.csv', 'BZh91AY&SY', /packed otherwise; pack it with gzip or zstd/],
    ['a database', 'rows.csv', 'SQLite format 3\0', /another kind; export its rows/],
    ['JSON over several lines', 'one.jsonl', '{\n  "a": 1\n}\n', /it is JSON, not JSON Lines: .* jq -c/],
    [
      'UTF-16 that ends within a character',
      'half.csv',
      Buffer.from([0xff, 0xfe, 0x61, 0x00, 0x2c]),
      /not UTF-16LE/,
    ],
    ['JSON Lines that is a list', 'list.jsonl', '[\n{"a":1},\n{"a":2}\n]\n', /it is JSON, not JSON Lines/],
  ])('%s', async (_what, name, content, words, code) => {
    await data.write(name, content);
    expect(await refused(name)).toEqual(unreadable(words, code));
  });

  it('Parquet with two columns of one name, but not with equal names inside of columns', async () => {
    const path = join(data.root, 'twice.parquet');
    const script =
      "import sys, pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=['a', 'A']), sys.argv[1])";
    await promisify(execFile)(PYTHON, ['-c', script, path]);
    expect(await refused('twice.parquet')).toEqual(unreadable(/two columns are called A/));
    await data.writeParquet('nested.parquet', "SELECT {'a': 1, 'b': {'a': 2}} AS s, [{'a': 1}] AS l, 3 AS a");
    expect((await data.snapshot('nested.parquet')).rows).toBe(1);
  });

  it('a rowNumber that is a column already', async () => {
    await data.write('number.csv', 'id,x\n7,1\n');
    expect(await refused('number.csv', { rowNumber: 'ID' })).toEqual(
      unreadable(/rowNumber ID is the name of a column already/),
    );
  });

  it('text in a wrong encoding says how to name the right one', async () => {
    await data.write('latin.csv', Buffer.from('a,b\n1,Müller\n', 'latin1'));
    expect(await refused('latin.csv')).toEqual(unreadable(/not UTF-8; set encoding/));
  });

  it('more than maxBytes, packed or not', async () => {
    await data.write('large.csv', `a\n${'1\n'.repeat(1_000)}`);
    expect(await refused('large.csv', { maxBytes: 500 })).toEqual(
      unreadable(/more than 500 bytes; raise maxBytes/),
    );
    await data.write('bomb.csv.gz', gzipSync(`a\n${'1\n'.repeat(5_000_000)}`));
    expect(await refused('bomb.csv.gz', { maxBytes: '1MB' })).toEqual(
      unreadable(/unpacked: more than 1000000 bytes/),
    );
  });
});

/** Bytes in the middle turned round: the checksum or the codes cannot hold. */
function damaged(): Uint8Array {
  const packed = gzipSync(Array.from({ length: 2_000 }, (_, i) => `${i * 7919},${i}`).join('\n'));
  packed.fill(0xff, 200, 260);
  return packed;
}

describe('what is no file', () => {
  it('a folder', async () => {
    await mkdir(join(data.root, 'folder.csv'));
    expect(await refused('folder.csv')).toEqual(unreadable(/is a folder; name its files/));
  });

  it('a pipe, which is not waited for', async () => {
    await promisify(execFile)('mkfifo', [join(data.root, 'pipe.csv')]);
    expect(await refused('pipe.csv')).toEqual(unreadable(/is a pipe, socket or device/));
  });

  it('a device, through a link', async () => {
    await symlink('/dev/zero', join(data.root, 'zero.csv'));
    expect(await refused('zero.csv')).toMatchObject({ code: 'SourceDenied' });
  });

  it('a link to nowhere', async () => {
    await symlink(join(data.root, 'gone.csv'), join(data.root, 'dangling.csv'));
    expect(await refused('dangling.csv')).toMatchObject({ code: 'SourceNotFound' });
  });

  it('a link out of the allowed folders', async () => {
    await writeFile(join(data.folder, 'outside.csv'), 'a\n1\n');
    await symlink(join(data.folder, 'outside.csv'), join(data.root, 'inside.csv'));
    expect(await refused('inside.csv')).toMatchObject({ code: 'SourceDenied' });
  });

  it('a file that the worker may not read', async () => {
    const path = await data.write('locked.csv', 'a\n1\n');
    await chmod(path, 0);
    await Promise.all([chmod(data.folder, 0o777), chmod(data.root, 0o777)]);
    // Root reads everything: the test becomes nobody for a moment.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    const error = await data
      .options({ scratchDir: join(data.folder, 'nobody') })
      .then((options) => data.acquire('locked.csv', options))
      .catch((thrown: unknown) => thrown);
    if (isRoot) process.seteuid?.(0);
    expect(error).toEqual(unreadable(/the worker's user may not read it/));
  });
});

it('a line of 1 GB is refused early and in little memory', async () => {
  const path = join(data.root, 'line.csv');
  const part = Buffer.alloc(1 << 20, 'x');
  async function* line() {
    yield 'a,b\n1,';
    for (let i = 0; i < 1_000; i++) yield part;
  }
  await pipeline(Readable.from(line()), createWriteStream(path));
  const before = process.memoryUsage.rss();
  expect(await refused('line.csv')).toEqual(
    unreadable(/a line that begins at byte 5 is longer than 2097152 bytes/),
  );
  expect(process.memoryUsage.rss() - before).toBeLessThan(300e6);
});

it('a file that changes while it is read is read again', async () => {
  const path = await data.write('moving.csv', 'a\n1\n2\n');
  const options = await data.options();
  const acquired = await data.acquire('moving.csv', options);
  await writeFile(path, 'a\n1\n2\n3\n');
  const scratch = join(options.scratchDir, 'snapshot.parquet');
  const source = fileSource.parse({ path: 'moving.csv' });
  await expect(
    snapshotSource(data.database, 'people', source, acquired, data.store, scratch),
  ).rejects.toMatchObject({ code: 'SourceUnreadable', retryable: true });
});
