import type { DatePart } from '../../contracts/spec/features.ts';
import type { OnnxGraphBuilder } from '../onnx/graph.ts';
import { addDateParts } from './date-graph.ts';
import type { CyclicPart, DatetimePlan, FittedNumber, NumericPlan } from './feature-plan.ts';
import { binCount } from './matrix.ts';
import { join, type MatrixBlocks, pick, stack } from './matrix-blocks.ts';

const FLOAT = 1n;
const BOOL = 9n;
const DOUBLE = 11n;
const AS_IT_IS: FittedNumber = { fill: 0, log: false, offset: 0, scale: 1 };
const CYCLES = {
  month: { first: 1, period: 12 },
  weekday: { first: 0, period: 7 },
  hour: { first: 0, period: 24 },
} as const satisfies Record<CyclicPart, object>;

/** One row of the numbers: a column's value or one of its date parts. */
interface NumberRow {
  column: string;
  value: FittedNumber | undefined;
  indicator: boolean;
}

/**
 * Adds the nodes of numbers, booleans and dates. Numbers, ratios, products and date parts are one `[numbers, batch]`
 * tensor, in which missing values are found and replaced, then clipped, then scaled, each by one node for all.
 *
 * @param inputs the raw numbers that are read, for the matrix or for derived ones
 */
export function addNumbers(
  graph: OnnxGraphBuilder,
  inputs: readonly NumericPlan[],
  derived: readonly NumericPlan[],
  dates: readonly DatetimePlan[],
  blocks: MatrixBlocks,
): void {
  const numeric = [...inputs, ...derived];
  const rows: NumberRow[] = numeric.map(({ name, value, indicator }) => ({ column: name, value, indicator }));
  const stacked = inputs.length > 0 ? [stack(graph, inputs)] : [];
  const tensors = [...stacked, ...stacked.flatMap((values) => addDerived(graph, values, inputs, derived))];
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
  let value = graph.op('Where', [missing, column('fill', ({ fill }) => fill ?? Number.NaN), raw]);
  if (some(({ low }) => low !== undefined)) {
    value = graph.op('Max', [value, column('low', ({ low }) => low ?? -Infinity)]);
    value = graph.op('Min', [value, column('high', ({ high }) => high ?? Infinity)]);
  }
  const unscaled = value;
  if (some(({ log, offset }) => !log && offset !== 0))
    value = graph.op('Sub', [value, column('offset', ({ offset }) => offset)]);
  if (some(({ log, scale }) => !log && scale !== 1))
    value = graph.op('Div', [value, column('scale', ({ scale }) => scale)]);
  if (some(({ log }) => log)) value = addLogarithms(graph, unscaled, value, rows);
  blocks.add('number', value, rows.length);
  addBins(graph, value, rows, blocks);
  if (numeric.some(({ indicator }) => indicator)) {
    blocks.add('missing', graph.op('Cast', [missing], { attributes: { to: FLOAT } }), rows.length);
  }
  rows.slice(0, numeric.length).forEach((row, index) => {
    if (row.value && !row.value.bins) blocks.place(row.column, 'number', index);
    if (row.indicator) blocks.place(row.column, 'missing', index);
  });
}

/** Ratios and products of raw numbers; what is no finite number becomes missing with the others. */
function addDerived(
  graph: OnnxGraphBuilder,
  values: string,
  inputs: readonly NumericPlan[],
  derived: readonly NumericPlan[],
): string[] {
  const made = derived.flatMap(({ derived: how }) => (how ? [how] : []));
  const rowOf = (name: string) => inputs.findIndex((input) => input.name === name);
  // Neighbours of the same operation are computed together: derived columns keep their order.
  const groups: (typeof made)[] = [];
  for (const how of made) {
    const last = groups.at(-1);
    if (last?.[0]?.op === how.op) last.push(how);
    else groups.push([how]);
  }
  return groups.flatMap((group) => {
    const operand = (place: 0 | 1) =>
      graph.op(
        'Gather',
        [
          values,
          rowIndices(
            graph,
            group.map(({ of }) => rowOf(of[place])),
          ),
        ],
        {
          attributes: { axis: 0n },
        },
      );
    const [first] = group;
    if (!first) return [];
    return [graph.op(first.op === 'ratio' ? 'Div' : 'Mul', [operand(0), operand(1)])];
  });
}

const rowIndices = (graph: OnnxGraphBuilder, rows: readonly number[]): string =>
  graph.initializer('operands', { type: 'int64', dims: [rows.length], data: rows });

/**
 * `(sign(x) · ln(1 + |x|) - offset) / scale` in the rows that want it, `others` in the rest. In double: a float32
 * logarithm of large numbers that lie close together would keep few digits of their difference.
 */
function addLogarithms(
  graph: OnnxGraphBuilder,
  value: string,
  others: string,
  rows: readonly NumberRow[],
): string {
  const numbers = (name: string, dims: number[], data: number[]) =>
    graph.initializer(name, { type: 'double', dims, data });
  const column = (name: string, of: (fitted: FittedNumber) => number) =>
    numbers(
      name,
      [rows.length, 1],
      rows.map((row) => of(row.value ?? AS_IT_IS)),
    );
  const exact = graph.op('Cast', [value], { attributes: { to: DOUBLE } });
  const size = graph.op('Log', [graph.op('Add', [graph.op('Abs', [exact]), numbers('one', [], [1])])]);
  const logarithm = graph.op('Mul', [graph.op('Sign', [exact]), size]);
  const centred = graph.op('Sub', [logarithm, column('offset', ({ offset }) => offset)]);
  const scaled = graph.op('Div', [centred, column('scale', ({ scale }) => scale)]);
  const signed = graph.op('Cast', [scaled], { attributes: { to: FLOAT } });
  if (rows.every((row) => row.value?.log)) return signed;
  const wanted = graph.op(
    'Cast',
    [
      graph.initializer('log', {
        type: 'float',
        dims: [rows.length, 1],
        data: rows.map((row) => Number(row.value?.log ?? false)),
      }),
    ],
    { attributes: { to: BOOL } },
  );
  return graph.op('Where', [wanted, signed, others]);
}

/**
 * Bins of numbers: the edges that a value has reached, as 0 and 1, times a matrix that counts them (ordinal) or takes
 * neighbours from each other (one-hot).
 */
function addBins(
  graph: OnnxGraphBuilder,
  value: string,
  rows: readonly NumberRow[],
  blocks: MatrixBlocks,
): void {
  const edges: { row: number; edge: number }[] = [];
  /** One matrix column: `start` plus the weighted edges; `missing` where the value is. */
  const made: { column: string; row: number; start: number; missing: number; weights: [number, number][] }[] =
    [];
  rows.forEach(({ column, value: fitted }, row) => {
    if (!fitted?.bins) return;
    const first = edges.length;
    const own = fitted.bins.edges.map((edge, index) => {
      edges.push({ row, edge });
      return first + index;
    });
    if (fitted.bins.encoding === 'ordinal') {
      made.push({
        column,
        row,
        start: 0,
        missing: Number.NaN,
        weights: own.map((index) => [index, 1]),
      });
      return;
    }
    for (let bin = 0; bin < binCount(fitted.bins); bin++) {
      const reached = own[bin - 1];
      const next = own[bin];
      made.push({
        column,
        row,
        start: bin === 0 ? 1 : 0,
        missing: 0,
        weights: [
          ...(reached === undefined ? [] : [[reached, 1] satisfies [number, number]]),
          ...(next === undefined ? [] : [[next, -1] satisfies [number, number]]),
        ],
      });
    }
  });
  if (made.length === 0) return;
  const columns = (name: string, data: readonly number[]) =>
    graph.initializer(name, { type: 'float', dims: [data.length, 1], data });
  const spread = pick(
    graph,
    value,
    edges.map(({ row }) => row),
    rows.length,
  );
  const reached = graph.op('GreaterOrEqual', [
    spread,
    columns(
      'edges',
      edges.map(({ edge }) => edge),
    ),
  ]);
  const weights = new Float32Array(made.length * edges.length);
  made.forEach((column, index) => {
    for (const [edge, weight] of column.weights) weights[index * edges.length + edge] = weight;
  });
  const matrix = graph.initializer('bins', {
    type: 'float',
    dims: [made.length, edges.length],
    data: weights,
  });
  const counted = graph.op('MatMul', [matrix, graph.op('Cast', [reached], { attributes: { to: FLOAT } })]);
  const bins = graph.op('Add', [
    counted,
    columns(
      'start',
      made.map(({ start }) => start),
    ),
  ]);
  const source = pick(
    graph,
    value,
    made.map(({ row }) => row),
    rows.length,
  );
  const absent = columns(
    'absent',
    made.map(({ missing }) => missing),
  );
  blocks.add('bin', graph.op('Where', [graph.op('IsNaN', [source]), absent, bins]), made.length);
  made.forEach(({ column }, index) => {
    blocks.place(column, 'bin', index);
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
