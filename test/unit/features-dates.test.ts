import { DuckDBInstance } from '@duckdb/node-api';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { datePart } from '../../contracts/spec/features.ts';
import { addDateParts } from '../../lib/features/date-graph.ts';
import { DATE_RANGE } from '../../lib/features/feature-plan.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';

type Parts = Record<string, number[]>;
const PARTS = datePart.options;
const DAY = 86_400;

let session: InferenceSession;

beforeAll(async () => {
  const graph = new OnnxGraphBuilder('dates');
  const seconds = graph.input('seconds', 'double', ['dates', 'batch']);
  const { valid, parts } = addDateParts(graph, seconds, new Set(PARTS));
  for (const [part, value] of parts) {
    graph.op('Identity', [value], { output: part });
    graph.output(part, 'int64', ['dates', 'batch']);
  }
  graph.op('Cast', [valid], { attributes: { to: 7n }, output: 'valid' });
  graph.output('valid', 'int64', ['dates', 'batch']);
  session = await InferenceSession.create(graph.build());
});

async function partsOf(seconds: number[]): Promise<Parts> {
  const results = await session.run({ seconds: new Tensor('float64', seconds, [1, seconds.length]) });
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]),
  );
}

function byJavaScript(seconds: number): number[] {
  const date = new Date(Math.floor(seconds) * 1000);
  const newYear = new Date(0);
  newYear.setUTCFullYear(date.getUTCFullYear(), 0, 1);
  const dayOfYear = Math.floor((date.getTime() - newYear.getTime()) / (DAY * 1000)) + 1;
  const weekday = (date.getUTCDay() + 6) % 7;
  return [
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    dayOfYear,
    weekday,
    date.getUTCHours(),
    date.getUTCMinutes(),
  ];
}

const rowsOf = (parts: Parts, count: number) =>
  Array.from({ length: count }, (_, row) => PARTS.map((part) => parts[part]?.[row]));

describe('date parts in the graph', () => {
  it('agree with JavaScript on every day from 1600 to 2400, at every time of day', async () => {
    const first = Date.UTC(1600, 0, 1) / 1000;
    const days = (Date.UTC(2400, 11, 31) / 1000 - first) / DAY + 1;
    // 50,021 is prime to the seconds of a day, so that all times of day occur.
    const seconds = Array.from(
      { length: days },
      (_, day) => first + day * DAY + ((day * 50_021) % DAY) + 0.75,
    );
    expect(rowsOf(await partsOf(seconds), days)).toEqual(seconds.map(byJavaScript));
  });

  it('agree with DuckDB around leap days, centuries and the epoch', async () => {
    const seconds = [
      1, 4, 100, 400, 1582, 1600, 1700, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 2400, 9999,
    ].flatMap((year) =>
      [0, 1, 2, 11].flatMap((month) =>
        [-1, 0, 59, DAY - 1].map((offset) => {
          const date = new Date(0);
          date.setUTCFullYear(year, month, 28);
          return date.getTime() / 1000 + DAY + offset;
        }),
      ),
    );
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const columns = ['year', 'month', 'day', 'dayofyear', 'isodow', 'hour', 'minute'].map(
      (part) => `CAST(${part}(t) AS INTEGER)`,
    );
    const reader = await connection.runAndReadAll(
      `SELECT ${columns.join(', ')} FROM (SELECT make_timestamp(CAST(s AS BIGINT) * 1000000) AS t FROM (SELECT unnest([${seconds.join(', ')}]) AS s))`,
    );
    const expected = reader
      .getRowsJS()
      .map((row) => row.map((value, index) => Number(value) - Number(index === 4)));
    expect(rowsOf(await partsOf(seconds), seconds.length)).toEqual(expected);
  });

  it('takes the second before the epoch as 1969', async () => {
    expect(rowsOf(await partsOf([-0.25]), 1)).toEqual([[1969, 12, 31, 365, 2, 23, 59]]);
  });

  it('calls NaN, infinity and years outside of 1 to 9999 missing', async () => {
    const { valid } = await partsOf([
      Number.NaN,
      Infinity,
      -Infinity,
      1e300,
      DATE_RANGE.from,
      DATE_RANGE.from - 1,
      DATE_RANGE.before,
      DATE_RANGE.before - 1,
    ]);
    expect(valid).toEqual([0, 0, 0, 0, 1, 0, 0, 1]);
  });
});
