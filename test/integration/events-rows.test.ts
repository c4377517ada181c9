import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENT_LIMITS, type EventBatch, type EventFormat } from '../../contracts/events.ts';
import { eventsSource } from '../../contracts/spec/sources.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { acquireEvents } from '../../lib/events/acquire.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

async function* sent(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

const store = (format: EventFormat, ...chunks: (string | Uint8Array)[]): Promise<EventBatch> =>
  storeRows(sent(...chunks), format, { store: data.store, dataDir: data.folder });

/** The rows of batches, read as a source is read. */
async function read(batches: readonly EventBatch[]): Promise<Record<string, unknown>[]> {
  const scratchDir = await data.scratch();
  const within = data.store.within(scratchDir);
  const source = eventsSource.parse({ events: 'calls' });
  const found = await acquireEvents(data.database, 'calls', source, batches, within, scratchDir);
  expect(found).toMatchObject({ kind: 'events', format: 'parquet', finished: true });
  return data.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(found.files[0] ?? '')})`);
}

describe('rows that are pushed', () => {
  it('are stored once, encrypted, and the same rows give the same batch however they are cut', async () => {
    const text = '{"a":1,"b":"x"}\n{"a":2,"b":"Grüße"}\n';
    const whole = await store('jsonl', text);
    expect(whole).toMatchObject({ rows: 2, format: 'jsonl', batchId: whole.artifact.sha256 });
    expect(await data.store.isEncrypted(whole.artifact)).toBe(true);
    const bytes = [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));
    expect(await store('jsonl', ...bytes)).toEqual(whole);
    expect(await store('jsonl', '\uFEFF{"a":1,"b":"x"}\n\n{"a":2,"b":"Grüße"}')).toEqual(whole);
    expect(await read([whole])).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'Grüße' },
    ]);
  });

  it.each([
    ['nothing', 'jsonl', '', /there are no rows in the batch/],
    ['only blanks', 'jsonl', ' \n\n', /there are no rows/],
    ['a list', 'jsonl', '[{"a":1}]\n', /line 1 is not one JSON object/],
    ['a number', 'jsonl', '{"a":1}\n7\n', /line 2 is not one JSON object/],
    ['broken JSON', 'jsonl', '{"a":1}\n{"a":"secret\n', /line 2 is not one JSON object/],
    ['an object without fields', 'jsonl', '{}\n', /line 1 is not one JSON object with at least one field/],
    ['half a surrogate pair', 'jsonl', '{"a":"\\ud800"}\n', /the rows: line 1 is no whole JSON value/],
    [
      'a field twice',
      'jsonl',
      '{"a":1,"a":2}\n',
      /the rows: JSON line 1 does not fit the others: a field stands twice/,
    ],
    ['a page', 'jsonl', '<!DOCTYPE html><html>', /a page of HTML/],
    ['a page as CSV', 'csv', '<html>\n<body>\n', /a page of HTML/],
    ['a NUL byte', 'csv', 'a,b\n1,\0\n', /line 1 or later holds a NUL byte/],
    ['only a header', 'csv', 'a,b\n', /there are no rows/],
    ['two columns of one name', 'csv', 'a,b,A\n1,2,3\n', /two columns of one name, at positions 1 and 3/],
    ['a column without a name', 'csv', 'a,\n1,2\n', /a column without a name/],
    ['lines of different lengths', 'csv', 'a,b\n1\n1,2,3\n', /no delimiter splits all lines/],
  ] as const)('that hold %s are refused, and nothing is stored', async (_, format, text, words) => {
    const before = await data.store.blobs();
    const refusal = store(format, text);
    await expect(refusal).rejects.toMatchObject({ code: 'InputInvalid', retryable: false });
    await expect(refusal).rejects.toThrow(words);
    await expect(refusal).rejects.not.toThrow(/secret/);
    expect(await data.store.blobs()).toEqual(before);
  });

  it('that are not UTF-8 are refused with the remedy', async () => {
    await expect(store('csv', Buffer.from('a\nMüller\n', 'latin1'))).rejects.toThrow(
      /line 2 is not UTF-8; .*iconv/,
    );
    await expect(store('jsonl', Buffer.from('\uFEFF{"a":1}\n', 'utf16le'))).rejects.toThrow(/NUL byte|UTF-8/);
  });

  it('that are too much are refused before they are read to their end', async () => {
    let asked = 0;
    async function* endless(chunk: string): AsyncGenerator<Uint8Array> {
      for (;;) {
        asked += 1;
        yield Buffer.from(chunk);
      }
    }
    const options = { store: data.store, dataDir: data.folder };
    const line = `${JSON.stringify({ a: 'x'.repeat(9_990) })}\n`.repeat(100);
    await expect(storeRows(endless(line), 'jsonl', options)).rejects.toThrow(/more than 67108864 bytes/);
    expect(asked * line.length).toBeLessThan(EVENT_LIMITS.bytes * 1.1);
    asked = 0;
    await expect(storeRows(endless('x'.repeat(65_536)), 'csv', options)).rejects.toThrow(
      /line 1 has more than 1048576 bytes/,
    );
    expect(asked).toBeLessThan(20);
  });

  it('leave nothing behind where their sender breaks off', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"a":1}\n');
      throw new Error('the connection is gone');
    }
    const before = await data.store.blobs();
    const options = { store: data.store, dataDir: data.folder };
    await expect(storeRows(broken(), 'jsonl', options)).rejects.toThrow('the connection is gone');
    expect(await data.store.blobs()).toEqual(before);
  });

  it('come back as they were, whatever they are', { timeout: 60_000 }, async () => {
    const row = fc.record({
      n: fc.integer(),
      t: fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
      f: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 10 }), async (rows) => {
        const batch = await store('jsonl', rows.map((item) => `${JSON.stringify(item)}\n`).join(''));
        expect(batch.rows).toBe(rows.length);
        expect((await read([batch])).map(({ n }) => n)).toEqual(rows.map(({ n }) => n));
      }),
      { numRuns: 30 },
    );
  });
});

describe('batches of a log', () => {
  it('are one table: types over all of them, columns by name', async () => {
    const batches = [
      await store('jsonl', '{"a":1,"b":"x"}\n'),
      await store('jsonl', '{"b":"y","a":2.5}\n'),
      await store('jsonl', '{"a":3,"c":true}\n'),
    ];
    expect(await read(batches)).toEqual([
      { a: 1, b: 'x', c: null },
      { a: 2.5, b: 'y', c: null },
      { a: 3, b: null, c: true },
    ]);
  });

  it('of CSV keep every text until all is read', async () => {
    const batches = [await store('csv', 'id,x\n007,a\n'), await store('csv', 'x;id\n"b;c";A8\n')];
    expect(await read(batches)).toEqual([
      { id: '007', x: 'a' },
      { id: 'A8', x: 'b;c' },
    ]);
  });

  it('have an identity that depends on their content and order', async () => {
    const [a, b] = [await store('jsonl', '{"a":1}\n'), await store('jsonl', '{"a":2}\n')];
    const identity = async (...batches: EventBatch[]): Promise<string> => {
      const scratchDir = await data.scratch();
      const within = data.store.within(scratchDir);
      return (
        await acquireEvents(
          data.database,
          'n',
          eventsSource.parse({ events: 'l' }),
          batches,
          within,
          scratchDir,
        )
      ).sha256;
    };
    expect(await identity(a, b)).toBe(await identity(a, b));
    expect(new Set([await identity(a, b), await identity(b, a), await identity(a)]).size).toBe(3);
  });

  it('that are none are a clear error', async () => {
    await expect(read([])).rejects.toMatchObject({ code: 'SourceNotFound' });
  });
});

describe('the manifest of a log', () => {
  const EMPTY = { manifest: null, format: null, batches: 0, rows: 0 };
  const batch = (i: number): EventBatch => ({
    batchId: `b${i}`,
    artifact: {
      uri: `cas:${i.toString(16).padStart(64, '0')}`,
      sha256: i.toString(16).padStart(64, '0'),
      bytes: 10,
      mediaType: 'application/x-ndjson',
    },
    rows: 1,
    format: 'jsonl',
  });
  const some = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => batch(from + i));

  it('holds any number of batches in order, each once, in chunks', { timeout: 60_000 }, async () => {
    const manifests = new EventManifests(data.store, data.store.documents);
    let head = EMPTY as Awaited<ReturnType<EventManifests['append']>>['head'];
    for (let from = 0; from < 2_300; from += 115) {
      const { head: next, verdicts } = await manifests.append(
        'long',
        head,
        some(Math.max(0, from - 7), from + 115),
        new Map(),
      );
      expect(verdicts.filter(({ state }) => state === 'duplicate')).toHaveLength(Math.min(7, from));
      head = next;
    }
    expect(head).toMatchObject({ batches: 2_300, rows: 2_300, format: 'jsonl' });
    const fresh = new EventManifests(data.store, data.store.documents);
    expect((await fresh.batches(head)).map(({ batchId }) => batchId)).toEqual(
      some(0, 2_300).map(({ batchId }) => batchId),
    );
    expect(await fresh.latest('long')).toEqual(head);
    const again = await fresh.append('long', head, [batch(3)], new Map());
    expect(again).toEqual({
      head,
      verdicts: [{ state: 'duplicate', batchId: 'b3', offset: 3, rows: 1 }],
    });
    expect(head.manifest && (await fresh.artifacts(head.manifest)).length).toBe(2_300 + 4);
  });

  it('gives the same answer to the same append, and its document never goes back', async () => {
    const manifests = new EventManifests(data.store, data.store.documents);
    const first = await manifests.append('twice', EMPTY, some(0, 2), new Map());
    expect(await manifests.append('twice', EMPTY, some(0, 2), new Map())).toEqual(first);
    const second = await manifests.append('twice', first.head, some(2, 3), new Map());
    await manifests.append('twice', EMPTY, some(0, 2), new Map());
    expect(await manifests.latest('twice')).toEqual(second.head);
  });

  it('that is not one is a clear error', async () => {
    await data.store.documents.write('events/log-broken', { manifest: 7 });
    const manifests = new EventManifests(data.store, data.store.documents);
    await expect(manifests.latest('broken')).rejects.toMatchObject({ code: 'ArtifactCorrupt' });
    await data.store.documents.remove('events/log-broken');
  });

  it('of a log that never was is empty', async () => {
    expect(await new EventManifests(data.store, data.store.documents).latest('never')).toEqual(EMPTY);
  });
});

it('rows lie in the store as ciphertext only', async () => {
  const { artifact } = await store('jsonl', '{"name":"Ada Lovelace"}\n');
  const place = join(data.store.root, 'sha256', artifact.sha256.slice(0, 2));
  const files = (await readdir(place)).filter((name) => name.startsWith(artifact.sha256.slice(2)));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect((await readFile(join(place, file))).includes('Lovelace')).toBe(false);
});
