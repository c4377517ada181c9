import { quoteLiteral } from '../duckdb/sql.ts';

/*
 * The engine converts silently: 12.5 read as BIGINT is 13, a moment read as DATE loses its time, an offset read as
 * TIMESTAMP is dropped, nanoseconds are cut. Here stands of which texts nothing is lost.
 */

/**
 * Why a text is not taken for a value of its column's type.
 *
 * - `form`: it is not written as usual, so that only all rows tell what it is
 * - `loss`: it can be converted, but not all of it
 */
export type Misfit = 'form' | 'loss';

/** Conditions in SQL on a text that can be cast. */
interface Fit {
  /** Cheap, and true of nearly all that fits. */
  quick: string;
  /** The rest that fits. */
  slow: string;
  /** Of what does not fit: whether a cast loses something. */
  loss: string;
}

/** @param text SQL of the text; @param value SQL of what a cast makes of it */
type FitOf = (text: string, value: string) => Fit;

const matches = (text: string, pattern: string): string =>
  `regexp_full_match(${text}, ${quoteLiteral(`\\s*${pattern}\\s*`)})`;
/** The value, written out, is the text. */
const same = (text: string, value: string): string => `CAST(${value} AS VARCHAR) = ${text}`;

const DAY = '\\d{4,6}-\\d{1,2}-\\d{1,2}';
/** `9:30`, `09:30:15`, `09:30:15.25`, with so many digits of a second that are not zeros. */
const clock = (digits: number): string => `\\d{1,2}:\\d{1,2}(:\\d{1,2}([.]\\d{0,${digits}}0*)?)?`;
const moment = (digits: number): string => `${DAY}([ T]${clock(digits)})?`;
const OFFSET = '(Z|[+-]\\d{2}(:?\\d{2}(:\\d{2})?)?)';
const finer = (text: string, digits: number): string =>
  `regexp_matches(${text}, ${quoteLiteral(`:\\d+[.]\\d{${digits}}\\d*[1-9]`)})`;
const zoned = (text: string): string => matches(text, `${DAY}[ T]${clock(9)}${OFFSET}`);
/** `2024-01-31 09:30:15`, or with a T: nothing else has these marks at these places and 19 bytes. */
const plainMoment = (text: string): string =>
  `strlen(${text}) = 19 AND ${text} LIKE '____-__-_____:__:__' AND NOT suffix(${text}, 'Z')`;

const WHOLE = '-?\\d+';

/** Digits of a second that types of moments keep. */
const SECOND_DIGITS: ReadonlyMap<string, number> = new Map([
  ['TIMESTAMP', 6],
  ['TIMESTAMP_S', 0],
  ['TIMESTAMP_MS', 3],
  ['TIMESTAMP_NS', 9],
]);

/** Of which texts detection takes a column for a type. */
const DETECTED: Readonly<Record<string, FitOf>> = {
  BIGINT: (text, value) => ({
    quick: same(text, value),
    slow: matches(text, '(-\\d+|0|[1-9]\\d*)'),
    loss: 'true',
  }),
  DOUBLE: (text, value) => ({
    quick: `strlen(${text}) < 16 AND isfinite(${value}) AND NOT (${text} >= '00' AND ${text} < '0:') AND NOT starts_with(${text}, '+') AND NOT contains(${text}, '_')`,
    // So long a whole number may lose digits, and 1e400 is no infinity.
    slow: `CASE WHEN NOT isfinite(${value}) THEN NOT regexp_matches(${text}, '\\d') WHEN ${matches(text, WHOLE)} THEN NOT starts_with(${text}, '0') AND coalesce(CAST(TRY_CAST(${value} AS HUGEINT) AS VARCHAR) = trim(${text}), false) ELSE ${matches(text, '(0|[1-9]\\d*|-\\d*)?([.]\\d*)?([eE][+-]?\\d+)?')} END`,
    loss: `${matches(text, WHOLE)} OR NOT isfinite(${value})`,
  }),
  DATE: (text, value) => ({ quick: same(text, value), slow: matches(text, DAY), loss: 'false' }),
  TIME: (text, value) => ({
    quick: same(text, value),
    slow: matches(text, clock(6)),
    loss: finer(text, 6),
  }),
  TIMESTAMP: (text) => ({
    quick: plainMoment(text),
    slow: matches(text, moment(6)),
    // An offset that comes late is dropped by detection over all rows too.
    loss: `${finer(text, 6)} OR ${zoned(text)}`,
  }),
  'TIMESTAMP WITH TIME ZONE': (text) => ({
    quick: `strlen(${text}) = 20 AND ${text} LIKE '____-__-_____:__:__Z'`,
    slow: matches(text, `${DAY}[ T]${clock(6)}${OFFSET}`),
    // Among moments with an offset nobody knows which one is meant by those without.
    loss: `${finer(text, 6)} OR ${matches(text, moment(9))}`,
  }),
  BOOLEAN: (text) => ({
    quick: `strlen(${text}) > 1`,
    slow: `${text} IN ('t', 'T', 'f', 'F')`,
    loss: 'false',
  }),
};

/** Texts that are converted to a type that a spec asks for: also such as 007 or 1e3 for a number. */
function declaredFit(type: string): FitOf | undefined {
  if (/^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/.test(type))
    return (text, value) => ({
      quick: same(text, value),
      slow: `${matches(text, '[+-]?[\\d_]+([.]0*)?')} OR coalesce(TRY_CAST(${text} AS DOUBLE) = CAST(${value} AS DOUBLE) AND abs(CAST(${value} AS DOUBLE)) < 9e15, false)`,
      loss: 'true',
    });
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
  if (scale !== undefined)
    return (text, value) => ({
      quick: same(text, value),
      slow: `${matches(text, `[+-]?[\\d_]*([.]\\d{0,${scale}}0*)?`)} OR (regexp_matches(${text}, '[eE]') AND TRY_CAST(${text} AS DOUBLE) = CAST(${value} AS DOUBLE))`,
      loss: 'true',
    });
  if (type === 'DATE')
    return (text, value) => ({
      quick: same(text, value),
      slow: matches(text, `${DAY}([ T]0?0:00(:00([.]0*)?)?)?`),
      loss: matches(text, `${DAY}[ T].*`),
    });
  if (type === 'TIME')
    return (text, value) => ({ quick: same(text, value), slow: matches(text, clock(6)), loss: 'true' });
  if (type === 'TIMESTAMP WITH TIME ZONE')
    return (text) => ({
      quick: plainMoment(text),
      slow: matches(text, `${DAY}([ T]${clock(6)}${OFFSET}?)?`),
      loss: finer(text, 6),
    });
  const digits = SECOND_DIGITS.get(type);
  if (digits === undefined) return undefined;
  return (text) => ({
    quick: plainMoment(text),
    // Moments without an offset are in UTC everywhere.
    slow: matches(text, `${DAY}([ T]${clock(digits)}(Z|[+-]00(:?00)?)?)?`),
    loss: `${finer(text, digits)} OR ${zoned(text)}`,
  });
}

/** SQL for the texts of a column; see {@link typedSql}. */
export interface TypedSql {
  /** What a cast makes of a text; NULL where it makes nothing. */
  cast(text: string): string;
  /**
   * `fits` for a text of which nothing is lost, NULL for NULL, and `refusal` for another.
   *
   * @param value SQL of the cast's result, a column of its own: it is asked for several times
   */
  checked(text: string, value: string, fits: string, refusal: (misfit: Misfit) => string): string;
}

/**
 * SQL that turns texts into values of a type, each only where nothing of it is lost.
 *
 * @param type as DESCRIBE gives it
 * @param declared whether the spec asks for the type: then what detection would not take for it, such as 007 for a
 * number, is taken
 * @returns `undefined` for types of which the engine's own reader loses nothing
 * @example
 * const sql = typedSql('BIGINT', false);
 * const query = `SELECT ${sql?.checked('t', 'v', 'v', (misfit) => `error('${misfit}')`)} FROM (SELECT t, ${sql?.cast('t')} AS v FROM texts)`;
 */
export function typedSql(type: string, declared: boolean): TypedSql | undefined {
  const fitOf = declared ? declaredFit(type) : DETECTED[type];
  if (!fitOf) return undefined;
  return {
    cast: (text) => `TRY_CAST(${text} AS ${type})`,
    checked: (text, value, fits, refusal) => {
      const { quick, slow, loss } = fitOf(text, value);
      // A CASE asks in this order; an OR may be turned round.
      return `CASE WHEN ${value} IS NULL THEN CASE WHEN ${text} IS NOT NULL THEN ${refusal('form')} END WHEN ${quick} THEN ${fits} WHEN ${slow} THEN ${fits} WHEN ${loss} THEN ${refusal('loss')} ELSE ${refusal('form')} END`;
    },
  };
}
