import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import {
  pinnedSnapshot,
  recordSnapshot,
  snapshotFiles,
  snapshotRelation,
} from '../../lib/incremental/snapshots.ts';
import {
  type Increment,
  type IncrementBy,
  type IncrementContext,
  type SourceFile,
  takeIncrement,
} from '../../lib/incremental/take-increment.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

let counter = 0;

/** An incremental source of a pipeline of its own. */
class Incremental {
  readonly pipeline = `pipeline-${counter++}`;
  #run = 0;

  constructor(readonly source = 'trips') {}

  async take(
    by: IncrementBy,
    run = `run-${this.#run++}`,
    store: IncrementContext['store'] = data.store,
  ): Promise<Increment> {
    const scratchDir = await data.scratch();
    return takeIncrement(
      { database: data.database, store, scratchDir },
      { pipeline: this.pipeline, source: this.source, run },
      by,
    );
  }

  /** Takes rows that are given as SQL values. */
  rows(values: string, watermark = 'at', latenessMs?: number, run?: string): Promise<Increment> {
    const relation = `(SELECT * FROM (VALUES ${values}) AS v(id, "at"))`;
    return this.take({ watermark, latenessMs, read: async () => ({ relation }) }, run);
  }
}

/** The rows of a snapshot in the order of `id`. */
async function rowsOf({ snapshot }: Increment): Promise<Record<string, unknown>[]> {
  return data.database.rows(
    `SELECT * FROM ${snapshotRelation(await snapshotFiles(data.store, snapshot))} ORDER BY ALL`,
  );
}
const idsOf = async (increment: Increment) => (await rowsOf(increment)).map(({ id }) => id);

const day = (id: number | null, date: string) => `(${id ?? 'NULL'}, DATE '2026-01-${date}')`;

describe('a watermark', () => {
  it('takes all rows first, then those after it; late rows are counted, not lost', async () => {
    const source = new Incremental();
    const first = await source.rows([day(1, '01'), day(2, '02')].join());
    expect(first.report).toMatchObject({ new: 2, late: 0, segments: 1, rows: 2 });
    const second = await source.rows([day(1, '01'), day(2, '02'), day(3, '03'), day(4, '01')].join());
    expect(second.report).toEqual({
      mode: 'watermark',
      new: 1,
      late: 1,
      tooOld: 0,
      withoutWatermark: 0,
      seenBefore: 2,
      newFiles: 0,
      watermark: { kind: 'time', value: String(Date.parse('2026-01-03') * 1_000) },
      segments: 2,
      rows: 4,
    });
    expect(await idsOf(second)).toEqual([1, 2, 3, 4]);
    expect(second.snapshot).toMatchObject({ rows: 4, columns: [{ name: 'id' }, { name: 'at' }] });
  });

  it('counts rows below the lateness window and does not take them', async () => {
    const source = new Incremental();
    const lateness = 2 * 86_400_000;
    await source.rows([day(1, '01'), day(2, '10')].join(), 'at', lateness);
    const values = [day(1, '01'), day(2, '10'), day(3, '07'), day(4, '08'), day(5, '10'), day(6, '11')];
    const second = await source.rows(values.join(), 'at', lateness);
    expect(second.report).toMatchObject({ new: 1, late: 2, tooOld: 1, seenBefore: 2, rows: 5 });
    expect(await idsOf(second)).toEqual([1, 2, 4, 5, 6]);
    // They stay uncounted for nobody: the next read says so again.
    expect((await source.rows(values.join(), 'at', lateness)).report).toMatchObject({ new: 0, tooOld: 1 });
  });

  it('counts equal rows as often as they are there', async () => {
    const source = new Incremental();
    await source.rows([day(1, '01'), day(1, '01'), day(2, '02')].join());
    const second = await source.rows([day(1, '01'), day(1, '01'), day(1, '01'), day(2, '02')].join());
    expect(second.report).toMatchObject({ new: 0, late: 1, seenBefore: 3 });
    expect(await idsOf(second)).toEqual([1, 1, 1, 2]);
  });

  it('finds a row that took the place of another one with the same time', async () => {
    const source = new Incremental();
    await source.rows([day(1, '01'), day(null, '02')].join());
    const second = await source.rows([day(7, '01'), day(null, '02')].join());
    expect(second.report).toMatchObject({ new: 0, late: 1, seenBefore: 1 });
    expect(await idsOf(second)).toEqual([1, 7, null]);
  });

  it('counts rows without a time, and infinite times, and does not take them', async () => {
    const source = new Incremental();
    const values = "(1, TIMESTAMP '2026-01-01'), (2, NULL), (3, TIMESTAMP 'infinity')";
    const first = await source.rows(values);
    expect(first.report).toMatchObject({ new: 1, withoutWatermark: 2, rows: 1 });
    expect((await source.rows(values)).report).toMatchObject({ new: 0, late: 0, withoutWatermark: 2 });
  });

  it.each([
    ['a serial number', '(1, 10), (2, 20)', '(1, 10), (2, 20), (3, 15), (4, 21)', '21'],
    ['a decimal', '(1, 1.5), (2, 2.25)', '(1, 1.5), (2, 2.25), (3, 2.0), (4, 2.26)', '2.26'],
    ['a double', '(1, 1.5e0), (2, 2.25e0)', '(1, 1.5e0), (2, 2.25e0), (3, 2e0), (4, 0.1e300)', '1e+299'],
  ])('may be %s', async (_, before, after, watermark) => {
    const source = new Incremental();
    await source.rows(before);
    const { report } = await source.rows(after);
    expect(report).toMatchObject({ new: 1, late: 1, seenBefore: 2, watermark: { kind: 'number' } });
    expect(Number(report.watermark?.value)).toBe(Number(watermark));
  });

  it.each(["'1e-7'::FLOAT", "'3e20'::FLOAT", "'0.1'::FLOAT", "'0.9944828126697953'::DOUBLE"])(
    'that is %s is not above itself',
    async (value) => {
      const source = new Incremental();
      await source.rows(`(1, ${value})`);
      expect((await source.rows(`(1, ${value})`)).report).toMatchObject({ new: 0, late: 0, seenBefore: 1 });
    },
  );

  it('with a zone, and microseconds', async () => {
    const source = new Incremental();
    const at = (id: number, text: string) => `(${id}, TIMESTAMPTZ '2026-01-01 ${text}')`;
    await source.rows([at(1, '12:00:00.000001+00'), at(2, '14:00:00+02')].join());
    const { report } = await source.rows(
      [at(1, '12:00:00.000001+00'), at(2, '14:00:00+02'), at(3, '12:00:00.000002+00')].join(),
    );
    expect(report).toMatchObject({ new: 1, late: 0, seenBefore: 2 });
  });

  it.each([
    [
      'a column that is not there',
      'att',
      undefined,
      'ColumnMissing',
      /there is no column att; did you mean at\?/,
    ],
    ['a text', 'at', undefined, 'ColumnInvalid', /at is VARCHAR; it must be a date, a time or a number/],
  ])('refuses %s', async (_, column, lateness, code, words) => {
    const refusal = new Incremental().rows("(1, 'monday')", column, lateness);
    await expect(refusal).rejects.toMatchObject({ code });
    await expect(refusal).rejects.toThrow(words);
  });

  it('refuses lateness of a number', async () => {
    await expect(new Incremental().rows('(1, 2)', 'at', 1_000)).rejects.toThrow(
      /only a date or time can be late by a duration/,
    );
  });

  it('refuses to go on by another column, or with a column of another kind', async () => {
    const source = new Incremental();
    await source.rows(day(1, '01'));
    await expect(source.rows(day(1, '01'), 'id')).rejects.toThrow(/found what is new by watermark at, now/);
    await expect(source.rows("('x', DATE '2026-01-02')")).rejects.toThrow(
      /the column id was INTEGER and is VARCHAR now/,
    );
  });

  it('takes a new column and a wider number along', async () => {
    const source = new Incremental();
    await source.rows(day(1, '01'));
    const relation = `(SELECT * FROM (VALUES (1.0::DOUBLE, DATE '2026-01-01', 'x'), (2.5, DATE '2026-01-02', 'y')) AS v(id, "at", more))`;
    const second = await source.take({ watermark: 'at', read: async () => ({ relation }) });
    expect(second.report).toMatchObject({ new: 1, late: 0, seenBefore: 1 });
    expect((await rowsOf(second)).map(({ id, more }) => [id, more])).toEqual([
      [1, null],
      [2.5, 'y'],
    ]);
    expect(second.snapshot.columns.map(({ type }) => type)).toEqual(['DOUBLE', 'DATE', 'VARCHAR']);
  });

  it('has nothing to begin with where there is no row', async () => {
    await expect(new Incremental().rows('(1, NULL::DATE)')).rejects.toMatchObject({
      code: 'SourceUnreadable',
      message: 'source trips: there are no rows to begin with',
    });
  });

  it('agrees with a reference on any reads', { timeout: 120_000 }, async () => {
    const row = fc.record({
      id: fc.integer({ min: 0, max: 3 }),
      at: fc.option(fc.integer({ min: 0, max: 8 })),
    });
    const reads = fc.array(fc.array(row, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 });
    const lateness = fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(reads, lateness, async (sequence, late) => {
        const source = new Incremental();
        const reference = new Reference(late);
        for (const rows of sequence) {
          const expected = reference.read(rows);
          const values = rows.map(
            ({ id, at }) => `(${id}, ${at === null ? 'NULL::TIMESTAMP' : `make_timestamp(${at}000)`})`,
          );
          const read = source.rows(values.join(), 'at', late);
          if (expected === undefined) {
            await expect(read).rejects.toMatchObject({ code: 'SourceUnreadable' });
            return;
          }
          const increment = await read;
          expect(increment.report).toMatchObject(expected);
          expect((await idsOf(increment)).map(Number)).toEqual(reference.ids());
        }
      }),
      { numRuns: 40 },
    );
  });
});

/** The rules of a watermark, written down once more in the plainest way; times are milliseconds. */
class Reference {
  #taken: { id: number; at: number }[] = [];
  #watermark: number | undefined;

  constructor(private readonly lateness: number | undefined) {}

  ids(): number[] {
    return this.#taken.map(({ id }) => id).sort((a, b) => a - b);
  }

  /** @returns `undefined` where there is nothing to begin with */
  read(rows: readonly { id: number; at: number | null }[]) {
    const counts = { new: 0, late: 0, tooOld: 0, withoutWatermark: 0, seenBefore: 0 };
    const watermark = this.#watermark;
    const seen = [...this.#taken];
    for (const { id, at } of rows) {
      if (at === null) {
        counts.withoutWatermark += 1;
        continue;
      }
      if (watermark === undefined || at > watermark) {
        counts.new += 1;
        this.#taken.push({ id, at });
        this.#watermark = Math.max(this.#watermark ?? at, at);
        continue;
      }
      const known = seen.findIndex((other) => other.id === id && other.at === at);
      if (known >= 0) {
        seen.splice(known, 1);
        counts.seenBefore += 1;
      } else if (this.lateness !== undefined && at < watermark - this.lateness) counts.tooOld += 1;
      else {
        counts.late += 1;
        this.#taken.push({ id, at });
      }
    }
    return this.#taken.length === 0 ? undefined : counts;
  }
}

describe('new files', () => {
  const files = (...paths: string[]): Promise<SourceFile[]> =>
    Promise.all(
      paths.map(async (path) => ({
        path,
        local: path,
        identity: createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      })),
    );
  const read = async (fresh: readonly SourceFile[]) => ({
    relation: `read_csv([${fresh.map(({ local }) => quoteLiteral(local)).join(', ')}])`,
  });

  it('are read once; a copy or another name adds nothing', async () => {
    const source = new Incremental();
    const a = await data.write('new/a.csv', 'id,x\n1,a\n2,b\n');
    const first = await source.take({ newFiles: await files(a), read });
    expect(first.report).toMatchObject({ mode: 'newFiles', new: 2, newFiles: 1, rows: 2 });
    const b = await data.write('new/b.csv', 'id,x\n3,c\n');
    const copy = await data.write('new/copy.csv', 'id,x\n1,a\n2,b\n');
    const second = await source.take({ newFiles: await files(a, b, copy), read });
    expect(second.report).toMatchObject({ new: 1, newFiles: 1, segments: 2, rows: 3 });
    expect(await idsOf(second)).toEqual([1, 2, 3]);
    const third = await source.take({ newFiles: await files(b), read });
    expect(third.report).toMatchObject({ new: 0, newFiles: 0, rows: 3 });
    expect(third.snapshot).toEqual(second.snapshot);
  });

  it('that have changed since are an error that names them', async () => {
    const source = new Incremental();
    const a = await data.write('changed/a.csv', 'id\n1\n');
    await source.take({ newFiles: await files(a), read });
    await data.write('changed/a.csv', 'id\n1\n2\n');
    await expect(source.take({ newFiles: await files(a), read })).rejects.toThrow(
      /1 file\(s\) that were read before have other content now: .*a\.csv; put their new rows into new files/,
    );
  });
});

describe('a crash and other runs', () => {
  it('an attempt whose run has taken its rows gets the same answer, also when more came', async () => {
    const source = new Incremental();
    await source.rows(day(1, '01'));
    const first = await source.rows(
      [day(1, '01'), day(2, '02'), day(3, '01')].join(),
      'at',
      undefined,
      'one run',
    );
    const again = await source.rows([day(1, '01'), day(9, '09')].join(), 'at', undefined, 'one run');
    expect(again).toEqual(first);
    expect(again.report).toMatchObject({ new: 1, late: 1 });
  });

  it('killed between segment and head, the next attempt gives what the first would have given', async () => {
    const source = new Incremental();
    await source.rows(day(1, '01'));
    const values = [day(1, '01'), day(2, '02')].join();
    const { store } = data;
    const dying: IncrementContext['store'] = {
      path: (ref) => store.path(ref),
      json: (ref) => store.json(ref),
      putFile: (path, type) => store.putFile(path, type),
      putBytes: (bytes, type) => store.putBytes(bytes, type),
      documents: {
        read: (key) => store.documents.read(key),
        keys: (prefix) => store.documents.keys(prefix),
        remove: (key) => store.documents.remove(key),
        write: () => Promise.reject(new Error('killed')),
      },
    };
    const relation = `(SELECT * FROM (VALUES ${values}) AS v(id, "at"))`;
    const by: IncrementBy = { watermark: 'at', read: async () => ({ relation }) };
    await expect(source.take(by, 'run', dying)).rejects.toThrow('killed');
    const stored = (await data.store.blobs()).length;
    const increment = await source.take(by, 'run');
    expect((await data.store.blobs()).length).toBe(stored);
    expect(await idsOf(increment)).toEqual([1, 2]);
  });

  it('two runs at once take each row once', async () => {
    const source = new Incremental();
    await source.rows(day(1, '01'));
    const values = [day(1, '01'), day(2, '02'), day(3, '03')].join();
    const other = await DataFixture.create();
    try {
      let met: () => void = () => undefined;
      const both = new Promise<void>((resolve) => {
        met = resolve;
      });
      let waiting = 0;
      const relation = `(SELECT * FROM (VALUES ${values}) AS v(id, "at"))`;
      let reads = 0;
      const by: IncrementBy = {
        watermark: 'at',
        read: async () => {
          reads += 1;
          waiting += 1;
          if (waiting === 2) met();
          await both;
          return { relation };
        },
      };
      const of = { pipeline: source.pipeline, source: source.source };
      const [one, two] = await Promise.all([
        takeIncrement(
          { database: data.database, store: data.store, scratchDir: await data.scratch() },
          { ...of, run: 'left' },
          by,
        ),
        takeIncrement(
          { database: other.database, store: data.store, scratchDir: await other.scratch() },
          { ...of, run: 'right' },
          by,
        ),
      ]);
      expect(reads).toBe(3);
      expect([one.report.new, two.report.new].sort()).toEqual([0, 2]);
      expect(await idsOf(one)).toEqual([1, 2, 3]);
      expect(two.snapshot).toEqual(one.snapshot);
    } finally {
      await other.close();
    }
  });
});

describe('a pin', () => {
  it('gives an old snapshot again, as it was', async () => {
    const source = new Incremental();
    const first = await source.rows(day(1, '01'));
    await recordSnapshot(data.store.documents, first.snapshot);
    await source.rows([day(1, '01'), day(2, '02')].join());
    const pinned = await pinnedSnapshot(data.store, 'trips', first.snapshot.artifact.sha256);
    expect(pinned).toEqual(first.snapshot);
    expect(await idsOf({ ...first, snapshot: pinned })).toEqual([1]);
  });

  it('to what no run took, or what is gone, is an error', async () => {
    await expect(pinnedSnapshot(data.store, 'trips', '0'.repeat(64))).rejects.toMatchObject({
      code: 'SourceNotFound',
      message: expect.stringMatching(/no run took a snapshot with the digest 0000/),
    });
    const { table } = await data.table('SELECT 42 AS only_here');
    await recordSnapshot(data.store.documents, table);
    await data.store.remove(table.artifact.sha256, { untouchedSince: Number.POSITIVE_INFINITY });
    await expect(pinnedSnapshot(data.store, 'trips', table.artifact.sha256)).rejects.toMatchObject({
      code: 'SourceNotFound',
      message: expect.stringMatching(/there is no more the data of the snapshot/),
    });
  });
});
