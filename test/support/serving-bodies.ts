import fc from 'fast-check';
import type { ModelInput, ModelSignature } from '../../contracts/serving.ts';

/** Numbers as texts: what people send, and what is hard to read. */
export const numberText = fc.oneof(
  { weight: 4, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String) },
  { weight: 4, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }).map(String) },
  { weight: 4, arbitrary: fc.integer().map(String) },
  { weight: 4, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value.toFixed(6)) },
  fc.bigInt({ min: 0n, max: 10n ** 30n }).map(String),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.bigInt({ min: 0n, max: 10n ** 22n }),
      fc.option(fc.stringMatching(/^[0-9]{1,30}$/)),
      fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-', 'E-'), fc.integer({ min: 0, max: 400 }))),
    )
    .map(
      ([sign, whole, fraction, power]) =>
        `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${power?.join('') ?? ''}`,
    ),
  fc.constantFrom(
    '0',
    '-0',
    '1',
    '0.0',
    '-0.0',
    '1e0',
    '0e5',
    '3.4028234663852886e38',
    '3.4028235e38',
    '3.40282356e38',
    '340282346638528880000000000000000000000',
    '16777217',
    '9007199254740993',
    '1e22',
    '1e23',
    '4.9e-324',
    '01',
    '1.',
    '.5',
    '+1',
    '-',
    '1e',
    '0x1',
    'NaN',
    'Infinity',
    '1_0',
  ),
);

const isoText = fc.oneof(
  fc
    .date({ noInvalidDate: true, min: new Date('0001-01-02'), max: new Date('9999-12-30') })
    .map((date) => JSON.stringify(date.toISOString())),
  fc.constantFrom('"2024-02-30"', '"2024-02-29"', '"2024-02-29T12:00+01:00"', '""'),
);
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"Ulm"',
    '"Bonn"',
    '""',
    '"M\\u00fcnchen"',
    '"München"',
    '"a\\"b"',
    '"\\ud800"',
    '"\\x"',
    '"\t"',
    `"${'long '.repeat(20)}"`,
  ),
);

function valueText(kind: ModelSignature['inputs'][number]['kind']): fc.Arbitrary<string> {
  const own = {
    numeric: numberText,
    boolean: fc.constantFrom('true', 'false', '1', '0', '-0', '1.0', '2', 'tru'),
    datetime: fc.oneof(isoText, numberText, fc.integer({ min: 0, max: 2_000_000_000 }).map(String)),
    categorical: anyText,
    text: anyText,
  }[kind];
  const odd = fc.oneof(
    own.map((text) => `[${text}]`),
    numberText,
    anyText,
    fc.constantFrom('{}', '[]', 'true', '[[1]]'),
  );
  return fc.oneof(
    { weight: 60, arbitrary: own },
    { weight: 4, arbitrary: fc.constant('null') },
    { weight: 1, arbitrary: odd },
  );
}

const space = fc.constantFrom('', '', '', ' ', '\n\t', ' \r\n');
const list = (items: readonly string[], gap: string): string => `[${gap}${items.join(`,${gap}`)}${gap}]`;
const object = (entries: readonly (readonly [string, string])[], gap: string): string =>
  `{${gap}${entries.map(([key, value]) => `${JSON.stringify(key)}${gap}:${gap}${value}`).join(`,${gap}`)}${gap}}`;

/** Rows of a model, each value as JSON text, with most of the columns in some order. */
export const table = (inputs: ModelSignature['inputs']): fc.Arbitrary<Table> =>
  fc
    .tuple(
      fc.oneof(
        { weight: 3, arbitrary: fc.constant([...inputs]) },
        { weight: 1, arbitrary: fc.shuffledSubarray([...inputs]) },
      ),
      fc.integer({ min: 0, max: 6 }),
    )
    .chain(([columns, rows]) =>
      fc.record({
        columns: fc.constant<readonly ModelInput[]>(columns),
        rows: fc.array(fc.tuple(...columns.map(({ kind }) => valueText(kind))), {
          minLength: rows,
          maxLength: rows,
        }),
        gap: space,
        odd: fc.integer({ min: 0, max: 30 }),
      }),
    );
/** A table as {@link table} gives it. */
export type Table = { columns: readonly ModelInput[]; rows: string[][]; gap: string; odd: number };

/** The bodies of MLflow's four shapes for a table. */
export function invocation({ columns, rows, gap, odd }: Table, shape: number): string {
  const names = list(
    columns.map(({ name }) => JSON.stringify(name)),
    gap,
  );
  const lists = list(
    rows.map((row) => list(row, gap)),
    gap,
  );
  const records = list(
    rows.map((row) =>
      object(
        // Now and then a column is left out, or there twice.
        columns.flatMap(({ name }, index) => {
          const entry = [name, row[index] ?? '0'] as const;
          return odd === index ? [] : odd === index + 10 ? [entry, entry] : [entry];
        }),
        gap,
      ),
    ),
    gap,
  );
  const byColumn = object(
    columns.map(({ name }, index) => [
      name,
      list(
        rows.map((row) => row[index] ?? '0'),
        gap,
      ),
    ]),
    gap,
  );
  const extra: [string, string][] =
    odd % 3 === 0 ? [['params', '{"a":[1,{"b":2}]}']] : odd === 7 ? [['inputs', '[]']] : [];
  const bodies: [string, string][][] = [
    [
      [
        'dataframe_split',
        object(
          [
            ['columns', names],
            ['data', lists],
          ],
          gap,
        ),
      ],
    ],
    [
      [
        'dataframe_split',
        object(
          [
            ['index', '[0,1]'],
            ['data', lists],
            ['columns', names],
          ],
          gap,
        ),
      ],
    ],
    [['dataframe_records', records]],
    [['instances', records]],
    [['instances', lists]],
    [
      [
        'instances',
        list(
          rows.map((row) => row[0] ?? '1'),
          gap,
        ),
      ],
    ],
    [['inputs', byColumn]],
    [['inputs', records]],
    [
      [
        'inputs',
        object(
          columns.map(({ name }, index) => [name, rows[0]?.[index] ?? '1']),
          gap,
        ),
      ],
    ],
  ];
  return gap + object([...extra, ...(bodies[shape % bodies.length] ?? [])], gap) + gap;
}

const DATATYPE = {
  numeric: 'FP32',
  boolean: 'BOOL',
  datetime: 'FP64',
  categorical: 'BYTES',
  text: 'BYTES',
} as const;

/** An inference request for a table. */
export function inference({ columns, rows, gap, odd }: Table, shape: number): string {
  const tensors = columns.map(({ name, kind }, index): [string, string][] => {
    const values = rows.map((row) => row[index] ?? '0');
    const fields: [string, string][] = [
      ['name', JSON.stringify(name)],
      ['shape', shape % 2 ? `[${rows.length}]` : `[${rows.length},1]`],
      [
        'datatype',
        JSON.stringify(kind === 'datetime' && values[0]?.startsWith('"') ? 'BYTES' : DATATYPE[kind]),
      ],
      ['data', list(shape % 2 ? values : values.map((value) => `[${value}]`), gap)],
    ];
    if (odd === index) fields.reverse();
    if (odd === index + 6) fields.splice(1, 0, ['parameters', '{"x":1}']);
    if (odd === index + 12) fields.push(fields[0] ?? ['', '1']);
    return fields;
  });
  const matrix: [string, string][] = [
    ['name', '"input-0"'],
    ['shape', `[${rows.length},${columns.length}]`],
    ['datatype', '"FP32"'],
    ['data', list(shape % 3 ? rows.flat() : rows.map((row) => list(row, gap)), gap)],
  ];
  const inputs = shape > 3 ? [matrix] : tensors;
  return object(
    [
      ['id', '"7"'],
      [
        'inputs',
        list(
          inputs.map((fields) => object(fields, gap)),
          gap,
        ),
      ],
      ...(odd % 4 === 0 ? [['outputs', '[{"name":"label"}]'] as const] : []),
    ],
    gap,
  );
}

/** The text with some of its bytes changed, dropped or doubled. */
export const mutation = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
    byte: fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(...Buffer.from('[]{},:"\\0123456789.eE+- nulltrue')),
    ),
    how: fc.constantFrom('set', 'insert', 'drop', 'cut'),
  }),
  { maxLength: 3 },
);
export function mutate(text: string, changes: readonly { at: number; byte: number; how: string }[]): Buffer {
  let bytes = Buffer.from(text);
  for (const { at, byte, how } of changes) {
    const place = Math.floor(at * bytes.length);
    const head = bytes.subarray(0, place);
    if (how === 'cut') bytes = Buffer.from(head);
    else
      bytes = Buffer.concat([
        head,
        Buffer.from(how === 'drop' ? [] : [byte]),
        bytes.subarray(how === 'insert' ? place : place + 1),
      ]);
  }
  return bytes;
}
