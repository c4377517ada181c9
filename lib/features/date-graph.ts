import type { DatePart } from '../../contracts/spec/features.ts';
import type { OnnxGraphBuilder } from '../onnx/graph.ts';
import { DATE_RANGE } from './feature-plan.ts';

const DAY_SECONDS = 86_400;
/** Days from 0000-03-01 to 1970-01-01. Years that begin in March end with the leap day. */
const EPOCH_DAY = 719_468;
/** The longest year that begins in March. */
const YEAR_DAYS = 366;
const ERA_DAYS = 146_097;

/**
 * Adds the nodes that take dates apart, in UTC, by the proleptic Gregorian calendar (as DuckDB and JavaScript do).
 *
 * The arithmetic is in int64, counted from 0000-03-01: non-negative for all dates of {@link DATE_RANGE}, so that
 * ONNX's division, which rounds towards zero, is a floor. Only the parts that are asked for are computed.
 * Method: H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
 *
 * @param seconds a double value `[dates, batch]`: epoch seconds, NaN missing
 * @returns `valid`, a bool value `[dates, batch]`, and for each part an int64 value `[dates, batch]`, which means
 *   nothing where `valid` is false
 */
export function addDateParts(
  graph: OnnxGraphBuilder,
  seconds: string,
  parts: ReadonlySet<DatePart>,
): { valid: string; parts: ReadonlyMap<DatePart, string> } {
  const whole = integers(graph);
  const from = graph.initializer('first_date', { type: 'double', dims: [], data: [DATE_RANGE.from] });
  const before = graph.initializer('end_of_dates', { type: 'double', dims: [], data: [DATE_RANGE.before] });
  const valid = graph.op('And', [
    graph.op('GreaterOrEqual', [seconds, from]),
    graph.op('Less', [seconds, before]),
  ]);
  // NaN has no int64: any valid date stands in for it.
  const known = graph.op('Where', [valid, graph.op('Floor', [seconds]), from]);
  const count = whole.add(graph.op('Cast', [known], { attributes: { to: 7n } }), EPOCH_DAY * DAY_SECONDS);

  const made = new Map<DatePart, string>();
  const wanted = (...names: DatePart[]) => names.some((name) => parts.has(name));
  const day = wanted('year', 'month', 'day', 'dayofyear', 'weekday') ? whole.divide(count, DAY_SECONDS) : '';
  if (parts.has('hour')) made.set('hour', whole.divide(whole.modulo(count, DAY_SECONDS), 3600));
  if (parts.has('minute')) made.set('minute', whole.divide(whole.modulo(count, 3600), 60));
  // 0000-03-01 was a Wednesday.
  if (parts.has('weekday')) made.set('weekday', whole.modulo(whole.add(day, 2), 7));
  if (wanted('year', 'month', 'day', 'dayofyear')) addCalendar(graph, day, parts, made);
  return { valid, parts: made };
}

/** Year, month, day and day of the year from days since 0000-03-01. */
function addCalendar(
  graph: OnnxGraphBuilder,
  day: string,
  parts: ReadonlySet<DatePart>,
  made: Map<DatePart, string>,
): void {
  const whole = integers(graph);
  const subtract = (a: string, b: string) => graph.op('Sub', [a, b]);
  const plus = (a: string, b: string) => graph.op('Add', [a, b]);
  const era = whole.divide(day, ERA_DAYS);
  const dayOfEra = whole.modulo(day, ERA_DAYS);
  const leapDays = subtract(
    plus(subtract(dayOfEra, whole.divide(dayOfEra, 1460)), whole.divide(dayOfEra, 36_524)),
    whole.divide(dayOfEra, 146_096),
  );
  const yearOfEra = whole.divide(leapDays, 365);
  const centuries = whole.divide(yearOfEra, 100);
  const firstDay = subtract(plus(whole.multiply(yearOfEra, 365), whole.divide(yearOfEra, 4)), centuries);
  const dayOfMarchYear = subtract(dayOfEra, firstDay);

  // 1 March 1999 begins a year that ends with a leap day.
  const look = (name: string, of: (date: Date) => number) => {
    const table = Int32Array.from({ length: YEAR_DAYS }, (_, index) =>
      of(new Date(Date.UTC(1999, 2, 1 + index))),
    );
    return graph.op('Gather', [whole.list(name, table), dayOfMarchYear], { attributes: { axis: 0n } });
  };
  if (parts.has('month'))
    made.set(
      'month',
      look('months', (date) => date.getUTCMonth() + 1),
    );
  if (parts.has('day'))
    made.set(
      'day',
      look('days', (date) => date.getUTCDate()),
    );
  if (parts.has('year')) {
    const marchYear = plus(whole.multiply(era, 400), yearOfEra);
    made.set(
      'year',
      plus(
        marchYear,
        look('year_steps', (date) => date.getUTCFullYear() - 1999),
      ),
    );
  }
  if (parts.has('dayofyear')) {
    // January and February belong to the next civil year, whose leap day is still to come; from March on the leap
    // day of the same year counts. The table holds common years: 1 January stands at place 306.
    const inCommonYear = graph.op('Gather', [
      whole.list(
        'days_of_year',
        Int32Array.from({ length: YEAR_DAYS }, (_, index) => (index < 306 ? index + 60 : index - 305)),
      ),
      dayOfMarchYear,
    ]);
    const fromMarch = graph.op('Less', [dayOfMarchYear, whole.one(306)]);
    const isZero = (value: string, divisor: number) =>
      graph.op('Equal', [whole.modulo(value, divisor), whole.one(0)]);
    // Years of an era run from 0 to 399, and an era starts with a multiple of 400.
    const leap = graph.op('And', [
      isZero(yearOfEra, 4),
      graph.op('Or', [graph.op('Not', [isZero(yearOfEra, 100)]), isZero(yearOfEra, 400)]),
    ]);
    const extra = graph.op('Cast', [graph.op('And', [fromMarch, leap])], { attributes: { to: 7n } });
    made.set('dayofyear', plus(inCommonYear, extra));
  }
}

/** int64 arithmetic with constants. */
function integers(graph: OnnxGraphBuilder) {
  const one = (value: number) => graph.initializer(`${value}`, { type: 'int64', dims: [], data: [value] });
  const withConstant = (opType: string) => (value: string, constant: number) =>
    graph.op(opType, [value, one(constant)]);
  return {
    one,
    list: (name: string, data: Int32Array) =>
      graph.initializer(name, { type: 'int64', dims: [data.length], data }),
    add: withConstant('Add'),
    multiply: withConstant('Mul'),
    divide: withConstant('Div'),
    modulo: withConstant('Mod'),
  };
}
