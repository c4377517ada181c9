import type { DatePart } from '../../contracts/spec/features.ts';
import type { OnnxGraphBuilder } from '../onnx/graph.ts';
import { addDateParts } from './date-graph.ts';
import type { CyclicPart, DatetimePlan, FittedNumber, NumericPlan } from './feature-plan.ts';
import { join, type MatrixBlocks, pick, stack } from './matrix-blocks.ts';

const FLOAT = 1n;
const AS_IT_IS: FittedNumber = { fill: 0, offset: 0, scale: 1 };
const CYCLES = {
  month: { first: 1, period: 12 },
  weekday: { first: 0, period: 7 },
  hour: { first: 0, period: 24 },
} as const satisfies Record<CyclicPart, object>;

/**
 * Adds the nodes of numbers, booleans and dates. Numbers and date parts are one `[numbers, batch]` tensor, in which
 * missing values are found and replaced, then clipped, then scaled, each by one node for all.
 */
export function addNumbers(
  graph: OnnxGraphBuilder,
  numeric: readonly NumericPlan[],
  dates: readonly DatetimePlan[],
  blocks: MatrixBlocks,
): void {
  const rows: { column: string; value: FittedNumber | undefined; indicator: boolean }[] = numeric.map(
    (column) => ({
      column: column.name,
      value: column.value,
      indicator: column.indicator,
    }),
  );
  const tensors = numeric.length > 0 ? [stack(graph, numeric)] : [];
  if (dates.length > 0) {
    const made = addDates(graph, dates, blocks, rows.length);
    if (made) tensors.push(made.tensor);
    rows.push(...(made?.rows ?? []));
  }
  if (rows.length === 0) return;

  const raw = join(graph, tensors);
  // x - x is 0, but NaN where x is NaN or infinite.
  const missing = graph.op('IsNaN', [graph.op('Sub', [raw, raw])]);
  const column = (name: string, of: (value: FittedNumber) => number) =>
    graph.initializer(name, {
      type: 'float',
      dims: [rows.length, 1],
      data: rows.map(({ value }) => of(value ?? AS_IT_IS)),
    });
  const some = (test: (value: FittedNumber) => boolean) => rows.some(({ value }) => value && test(value));
  let value = graph.op('Where', [missing, column('fill', ({ fill }) => fill), raw]);
  if (some(({ low }) => low !== undefined)) {
    value = graph.op('Max', [value, column('low', ({ low }) => low ?? -Infinity)]);
    value = graph.op('Min', [value, column('high', ({ high }) => high ?? Infinity)]);
  }
  if (some(({ offset }) => offset !== 0))
    value = graph.op('Sub', [value, column('offset', ({ offset }) => offset)]);
  if (some(({ scale }) => scale !== 1))
    value = graph.op('Div', [value, column('scale', ({ scale }) => scale)]);
  blocks.add('number', value, rows.length);
  if (numeric.some(({ indicator }) => indicator)) {
    blocks.add('missing', graph.op('Cast', [missing], { attributes: { to: FLOAT } }), rows.length);
  }
  rows.slice(0, numeric.length).forEach((row, index) => {
    if (row.value) blocks.place(row.column, 'number', index);
    if (row.indicator) blocks.place(row.column, 'missing', index);
  });
}

/** Date parts as float rows with NaN for missing, to be treated like numeric columns; cycles and indicators apart. */
function addDates(
  graph: OnnxGraphBuilder,
  dates: readonly DatetimePlan[],
  blocks: MatrixBlocks,
  firstRow: number,
) {
  const wanted = new Set<DatePart>(
    dates.flatMap(({ parts, cycles }) => [...parts.map(({ part }) => part), ...cycles]),
  );
  const { valid, parts } = addDateParts(graph, stack(graph, dates), wanted);
  const order = [...parts.keys()];
  // [parts × dates, batch]: part p of date d stands in row p × dates + d.
  const rowOf = (part: DatePart, date: number) => order.indexOf(part) * dates.length + date;
  const all =
    order.length > 0
      ? graph.op('Cast', [join(graph, [...parts.values()])], { attributes: { to: FLOAT } })
      : undefined;

  const numbers = dates.flatMap((date, index) =>
    date.parts.map(({ part, value }) => ({ column: date.name, index, part, value })),
  );
  const cycles = dates.flatMap((date, index) =>
    date.cycles.map((part) => ({ column: date.name, index, part })),
  );
  const validRows = (list: readonly { index: number }[]) =>
    pick(
      graph,
      valid,
      list.map(({ index }) => index),
      dates.length,
    );
  numbers.forEach(({ column }, index) => {
    blocks.place(column, 'number', firstRow + index);
  });
  if (all && cycles.length > 0) {
    const factors = (name: string, of: (cycle: { first: number; period: number }) => number) =>
      graph.initializer(name, {
        type: 'float',
        dims: [cycles.length, 1],
        data: cycles.map(({ part }) => of(CYCLES[part])),
      });
    const rows = cycles.map(({ part, index }) => rowOf(part, index));
    const turn = graph.op('Sub', [
      pick(graph, all, rows, order.length * dates.length),
      factors('first', ({ first }) => first),
    ]);
    const angle = graph.op('Mul', [turn, factors('angle', ({ period }) => (2 * Math.PI) / period)]);
    const centre = graph.initializer('centre', { type: 'float', dims: [], data: [0] });
    const known = validRows(cycles);
    blocks.add('sine', graph.op('Where', [known, graph.op('Sin', [angle]), centre]), cycles.length);
    blocks.add('cosine', graph.op('Where', [known, graph.op('Cos', [angle]), centre]), cycles.length);
    cycles.forEach(({ column }, index) => {
      blocks.place(column, 'sine', index);
      blocks.place(column, 'cosine', index);
    });
  }
  if (dates.some(({ indicator }) => indicator)) {
    const invalid = graph.op('Not', [valid]);
    blocks.add('dateMissing', graph.op('Cast', [invalid], { attributes: { to: FLOAT } }), dates.length);
    dates.forEach(({ name, indicator }, index) => {
      if (indicator) blocks.place(name, 'dateMissing', index);
    });
  }
  if (!all || numbers.length === 0) return undefined;
  const nothing = graph.initializer('nothing', { type: 'float', dims: [], data: [Number.NaN] });
  const rows = numbers.map(({ part, index }) => rowOf(part, index));
  return {
    tensor: graph.op('Where', [
      validRows(numbers),
      pick(graph, all, rows, order.length * dates.length),
      nothing,
    ]),
    rows: numbers.map(({ column, value }) => ({ column, value, indicator: false })),
  };
}
