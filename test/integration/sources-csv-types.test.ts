import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileSource } from '../../contracts/spec/sources.ts';
import { readQuery } from '../../lib/sources/read-query.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

let files = 0;
/** Rows behind the sample, so that only the last ones are late. */
const ROWS = 20_600;

/** A CSV whose columns have the usual values over and over, and each its own others in its last rows. */
async function writeLate(usual: readonly string[], ...late: (readonly string[])[]): Promise<string> {
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const often = usual[i % usual.length];
    return `${i},${late.map((values) => values[i - ROWS + values.length] ?? often).join(',')}`;
  });
  const name = `late-${files++}.csv`;
  await data.write(name, `id,${namesOf(late.length).join(',')}\n${lines.join('\n')}\n`);
  return name;
}

/** One column is `v`, several are `v`, `v1`, `v2`, … */
const namesOf = (columns: number): string[] => Array.from({ length: columns }, (_, i) => `v${i || ''}`);

type Read = { types: Record<string, string>; values: unknown[] } | { failed: true };

/** The types of a relation, and the texts of its last rows: of one column as they are, of several row by row. */
const read = async (relation: string): Promise<Read> => {
  const columns = await data.database.columns(relation);
  const values = columns.map(({ name }) => name).filter((name) => /^v\d*$/.test(name));
  const rows = await data.database.rows(
    `SELECT ${values.map((name) => `CAST(${name} AS VARCHAR) AS ${name}`).join(', ')} FROM ${relation} ORDER BY id DESC LIMIT 6`,
  );
  return {
    types: Object.fromEntries(columns.map(({ name, type }) => [name, type] as const)),
    values: values.length === 1 ? rows.map(({ v }) => v) : rows,
  };
};

/** What the engine's own detection over all rows makes of a file. */
async function byEngine(name: string): Promise<Read> {
  const source = fileSource.parse({ path: name });
  const { files, partitioned } = await data.acquire(name, await data.options());
  const readable = { files, format: 'csv' as const, partitioned, finished: false };
  return read(`(${readQuery(source, readable)})`).catch(() => ({ failed: true }));
}

async function bySnapshot(name: string, options: object = {}): Promise<Read> {
  const table = await data.snapshot(name, options);
  return read(`read_parquet('${await data.store.path(table.artifact)}')`);
}

const MOMENT = '2024-01-31 09:30:15';

/** Usual values of a column, and late ones that the engine converts without loss, or not at all. */
const ALIKE: [string, string[], string[]][] = [
  ['whole numbers', ['12', '-7', '0'], ['1', ' 5', '5 ', '-0', '9223372036854775807', '-007', ' 007']],
  [
    'numbers',
    ['1.5', '-2', '0.25'],
    ['3', '.5', '5.', '1e-3', ' 2.5', 'nan', '-inf', '-00.5', '1234567.12345678901'],
  ],
  ['dates', ['2024-01-31', '2020-02-29'], ['2024-1-2', ' 2024-01-02', '2024-01-02 ', '12024-01-01']],
  [
    'moments',
    [MOMENT],
    [
      '2024-01-31T09:30:15',
      `${MOMENT}.5`,
      `${MOMENT}.500`,
      '2024-01-31',
      '2024-01-31 9:3:1',
      '2024-01-31 09:30',
      `${MOMENT} UTC`,
      '2024-01-31 24:00:00',
      ` ${MOMENT} `,
    ],
  ],
  [
    'moments with an offset',
    [`${MOMENT}Z`, `${MOMENT}+02:00`],
    [`${MOMENT}.25Z`, '2024-01-31T09:30:15-0330', '2024-01-31T09:30:15+02', `${MOMENT} Europe/Berlin`],
  ],
  ['times', ['10:30:00', '23:59:59.5'], ['9:30', '1:2:3', '10:30:00.500', '24:00:00']],
  ['truths', ['true', 'false'], ['t', 'F', 'TRUE', 'yes', 'n']],
  [
    'texts',
    ['x', 'a b'],
    [
      '1',
      '"quoted"',
      '"with, comma"',
      "'single'",
      "'single, comma'",
      '"two ""marks"""',
      'a"b',
      '#x',
      'y;z',
      ' x',
      '"x" ',
    ],
  ],
  ['texts with marks', ['"x"', "it's"], ["'single'", '"two ""marks"""', '"one \\"mark"', 'a"b']],
  ['nothing', ['', 'NA'], ['', '12', '1.5', '2024-01-31', MOMENT, 'x', 'true', '10:30:00', '01/02/2024']],
  ['German dates', ['01.02.2024'], ['02.03.2024', '31.01.2024']],
  ['dates with strokes', ['01/02/2024'], ['02/03/2024', '31/01/2024', '01/31/2024']],
  ['dates with strokes, year first', ['2024/01/31'], ['2024/02/01']],
  ['days first', ['01-02-2024'], ['31-01-2024', '01-31-2024', '2024-01-31']],
  ['moments with strokes', ['01/02/2024 09:30:15'], ['31/01/2024 09:30:15', MOMENT]],
  ['moments with T', ['2024-01-31T09:30:15'], [MOMENT, '2024-01-31T09:30:15.125']],
  ['moments with micro-seconds', [`${MOMENT}.123456`], [`${MOMENT}.000001`, MOMENT]],
];
/** Late values that another type takes, or text. */
const MISFITS: string[] = [
  '2024-01-3x',
  '12.5',
  '007',
  '007.5',
  '+5',
  '1_000',
  '1e3',
  '12.0',
  '2024-01-31',
  '2024-01-31x',
  MOMENT,
  '10:30:00+02',
  '10:30:00 AM',
  'yes',
  '1',
  '0',
  'x',
  '"x"',
  '"1"',
  '01/02/2024',
  '20240131',
  '123e4567-e89b-12d3-a456-426614174000',
];

const MARKS = /["'#;,]|^$/;
/** Columns of one file. */
const TOGETHER = 6;
const NAIVE = new Set(['2024-01-31', MOMENT]);

describe('one pass reads what detection over all rows reads', () => {
  it.each(ALIKE.map(([what, usual, late], index) => ({ what, usual, late, index })))(
    '$what',
    async ({ usual, late, index }) => {
      // A third of the misfits for each: every one costs two snapshots, or a column of two.
      const others = MISFITS.filter((_, i) => i % 3 === index % 3);
      const all = [...late, ...others].filter(
        // Among moments with an offset, one without is text here: see below.
        (value) => !(usual[0]?.endsWith('Z') && NAIVE.has(value)),
      );
      const compare = async (values: readonly string[]): Promise<void> => {
        const name = await writeLate(usual, ...values.map((value) => [value]));
        const expected = await byEngine(name);
        // Where the engine gives a whole file up, each value has to be asked for by itself.
        if ('failed' in expected && values.length > 1) return each(values);
        const found = await bySnapshot(name).catch(() => ({ failed: true }));
        expect.soft(found, `${usual.join('|')} then ${values.join(' or ')}`).toEqual(expected);
      };
      const each = async (values: readonly string[]): Promise<void> => {
        for (const value of values) await compare([value]);
      };
      // Values that say something of how the file is written concern all of its columns.
      const marked = all.filter((value) => MARKS.test(value));
      await each(marked);
      const plain = all.filter((value) => !MARKS.test(value));
      for (let i = 0; i < plain.length; i += TOGETHER) await compare(plain.slice(i, i + TOGETHER));
    },
    600_000,
  );
});

describe('what the engine would convert silently', () => {
  const BIG = '12345678901234567890';
  it.each<[string, string[], string[], string, string[]?]>([
    ['whole numbers beyond BIGINT', ['12'], [BIG], 'VARCHAR'],
    ['a whole number of many digits among fractions', ['0.5'], ['9007199254740993'], 'VARCHAR'],
    [
      'large whole numbers that lose no digit',
      ['12'],
      ['1e3', '9223372036854775808'],
      'DOUBLE',
      ['1000.0', '9.223372036854776e+18'],
    ],
    ['numbers beyond all', ['0.5'], ['1e400'], 'VARCHAR'],
    ['hexadecimal numbers', ['12'], ['0x10'], 'VARCHAR'],
    ['nanoseconds', [MOMENT], [`${MOMENT}.123456789`], 'VARCHAR'],
    ['nanoseconds of a time', ['09:30:15'], ['09:30:15.123456789'], 'VARCHAR'],
    ['nanoseconds with an offset', [`${MOMENT}Z`], [`${MOMENT}.123456789+02`], 'VARCHAR'],
    [
      'offsets',
      [`${MOMENT}+02:00`],
      [`${MOMENT}-03:30`],
      'TIMESTAMP WITH TIME ZONE',
      ['2024-01-31 13:00:15+00'],
    ],
    ['moments without an offset among others', [`${MOMENT}+02:00`], [MOMENT], 'VARCHAR'],
    ['an offset that comes late', [MOMENT], [`${MOMENT}+02`], 'VARCHAR'],
    ['a time with an offset', ['10:00:00'], ['10:00:00+02'], 'VARCHAR'],
  ])('%s', async (_what, usual, late, type, values = late) => {
    const early = [...late, ...usual, ...usual];
    for (const name of [await writeLate(usual, late), await writeLate(early, late)])
      expect(await bySnapshot(name)).toMatchObject({
        types: { id: 'BIGINT', v: type },
        values: expect.arrayContaining(values),
      });
  });

  it.each<[string, string, string[]]>([
    ['BIGINT', '12', ['12.5', '0x10', '1e-1']],
    ['INTEGER', '12', ['.5']],
    ['DECIMAL(10, 2)', '1.25', ['1.255', '1e-3']],
    ['DATE', '2024-01-31', [MOMENT, '2024-01-31T01:00']],
    ['TIMESTAMP', MOMENT, [`${MOMENT}+02`, `${MOMENT}.1234567`]],
    ['TIMESTAMP_S', MOMENT, [`${MOMENT}.5`]],
    ['TIMESTAMPTZ', `${MOMENT}Z`, [`${MOMENT}.1234567Z`]],
    ['TIME', '10:00:00', ['10:00:00+02', MOMENT]],
  ])('is an error where the spec asks for %s', async (type, usual, late) => {
    for (const value of late) {
      const name = await writeLate([usual], [value]);
      const refusal = await data.snapshot(name, { types: { v: type } }).catch((error: Error) => error);
      expect(refusal, value).toMatchObject({
        code: 'SourceUnreadable',
        retryable: false,
        message: expect.stringMatching(/^source people: column v holds a value that .* would not keep whole/),
      });
      expect(refusal).not.toMatchObject({ message: expect.stringContaining(value) });
    }
  });

  it.each<[string, string[], unknown[]]>([
    ['BIGINT', ['12', '007', '+5', '1e3', '12.0', ' 5'], ['12', '7', '5', '1000', '12', '5']],
    ['DECIMAL(10, 2)', ['1.25', '1.2500', '1e2', '3'], ['1.25', '1.25', '100.00', '3.00']],
    ['DATE', ['2024-01-31', `2024-02-01 00:00:00`], ['2024-01-31', '2024-02-01']],
    ['DATE', ['01/02/2024', '31/01/2024'], ['2024-02-01', '2024-01-31']],
    [
      'TIMESTAMP',
      [`${MOMENT}Z`, `${MOMENT}.5`, '2024-01-31'],
      [MOMENT, `${MOMENT}.5`, '2024-01-31 00:00:00'],
    ],
    ['TIMESTAMP_NS', [`${MOMENT}.123456789`], [`${MOMENT}.123456789`]],
    ['TIMESTAMPTZ', [MOMENT, `${MOMENT}+02`], ['2024-01-31 09:30:15+00', '2024-01-31 07:30:15+00']],
    ['FLOAT', ['0.1', '2'], ['0.1', '2.0']],
    ['BOOLEAN', ['1', '0', 'true'], ['true', 'false', 'true']],
    ['VARCHAR', ['007', '1.50'], ['007', '1.50']],
    ['UUID', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567-e89b-12d3-a456-426614174000']],
  ])('is not what is converted whole: %s', async (type, written, values) => {
    const lines = written.map((value, i) => `${-i},${value}`);
    await data.write('declared.csv', `id,v\n${lines.join('\n')}\n`);
    expect(await bySnapshot('declared.csv', { types: { v: type } })).toMatchObject({ values });
  });
});

describe('several files', () => {
  const part = (from: number, value: string) =>
    `id,v\n${Array.from({ length: ROWS }, (_, i) => `${from + i},${value}`).join('\n')}\n`;
  it.each<[string, string, string]>([
    ['1', '2.5', 'DOUBLE'],
    ['1', '', 'BIGINT'],
    ['01/02/2024', '31/01/2024', 'DATE'],
    [MOMENT, `${MOMENT}.123456789`, 'VARCHAR'],
    ['x', '"y, z"', 'VARCHAR'],
  ])('%s and %s', async (first, last, type) => {
    const folder = `parts-${files++}/year=2024`;
    await data.write(`${folder}/1.csv`, part(0, first));
    await data.write(`${folder}/2.csv`, part(ROWS, last));
    const table = await data.snapshot(`${folder.replace('2024', '*')}/*.csv`, { rowNumber: 'line' });
    expect(table.columns.map((column) => [column.name, column.type])).toEqual([
      ['id', 'BIGINT'],
      ['v', type],
      ['year', 'BIGINT'],
      ['line', 'BIGINT'],
    ]);
    const path = await data.store.path(table.artifact);
    expect(
      await data.database.row(
        `SELECT count(*) AS rows, count_if(line <> id + 1) AS wrong FROM read_parquet('${path}')`,
      ),
    ).toEqual({ rows: 2 * ROWS, wrong: 0 });
  });

  it('have quotes taken off in all of them, also where only a later one has any', async () => {
    const folder = `quoted-${files++}`;
    const rows = (count: number, value: (i: number) => string) =>
      `s,n\n${Array.from({ length: count }, (_, i) => value(i)).join('\n')}\n`;
    await data.write(
      `${folder}/1.csv`,
      rows(ROWS, (i) => `plain,${i}`),
    );
    await data.write(
      `${folder}/2.csv`,
      rows(50, (i) => `"said ""hi""",${i}.5`),
    );
    const table = await data.snapshot(`${folder}/*.csv`);
    const path = await data.store.path(table.artifact);
    expect(
      await data.database.rows(`SELECT s, count(*) AS n FROM read_parquet('${path}') GROUP BY s ORDER BY s`),
    ).toEqual([
      { s: 'plain', n: ROWS },
      { s: 'said "hi"', n: 50 },
    ]);
  });

  it('that are written differently are refused', async () => {
    const folder = `different-${files++}`;
    const rows = (mark: string) =>
      Array.from({ length: 2_000 }, (_, i) => `${mark}x${i}${mark},${i}\n`).join('');
    await data.write(`${folder}/1.csv`, `s,n\n${rows('"')}`);
    await data.write(`${folder}/2.csv`, `s,n\n${rows("'")}`);
    await expect(data.snapshot(`${folder}/*.csv`)).rejects.toThrow(/its files do not have the same quote/);
  });

  it('may have a column of the name of their folders, in other letters', async () => {
    const folder = `named-${files++}`;
    await data.write(`${folder}/Year=2024/a.csv`, 'id,year\n1,7\n');
    const table = await data.snapshot(`${folder}/*/*.csv`);
    expect(table.columns.map(({ name, type }) => [name.toLowerCase(), type])).toEqual([
      ['id', 'BIGINT'],
      ['year', 'BIGINT'],
    ]);
  });
});

describe('dates that are none of the calendar', () => {
  it.each([
    ['infinity', ['2024-01-31', 'infinity', '2024-02-01']],
    ['-infinity', ['2024-01-31', '2024-02-01', '-infinity']],
  ])('%s stays', async (name, days) => {
    await data.write('days.csv', `id,v\n${days.map((day, i) => `${-i},${day}`).join('\n')}\n`);
    expect(await bySnapshot('days.csv')).toMatchObject({ values: days });
    expect(await bySnapshot(await writeLate(['2024-01-31'], [name]))).toMatchObject({
      types: { v: 'DATE' },
      values: expect.arrayContaining([name]),
    });
  });

  it('moments that a spec wants with an offset are refused where they are written in another way', async () => {
    await data.write('moments.csv', `id,v\n${'1,31/12/2024 10:00:10\n'.repeat(30)}`);
    await expect(data.snapshot('moments.csv', { types: { v: 'TIMESTAMPTZ' } })).rejects.toThrow(
      /column v holds a value that TIMESTAMP WITH TIME ZONE would not keep/,
    );
  });
});
