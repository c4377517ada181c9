import type { ModelInput } from '../../contracts/serving.ts';
import { isEpochSeconds, parseIsoSeconds } from './datetime.ts';
import type { RequestBatch } from './request-batch.ts';

/**
 * One column while a request is read. `write` puts one JSON value (never `null`) into a row and says in words what
 * is wrong where it does not take it.
 */
export interface ColumnBuffer {
  write(row: number, value: unknown): string | undefined;
}

/** The largest magnitude that a float32 holds; beyond it a number would silently become infinite. */
export const FLOAT32_MAX = 3.4028234663852886e38;

/** Writes into the column of `batch` that stands at this place among those of its group. */
export function columnBuffer(kind: ModelInput['kind'], batch: RequestBatch, place: number): ColumnBuffer {
  const numbers = (): Float32Array => batch.numbers.subarray(place * batch.rows, (place + 1) * batch.rows);
  switch (kind) {
    case 'numeric':
      return new NumericBuffer(numbers());
    case 'boolean':
      return new BooleanBuffer(numbers());
    case 'datetime':
      return new DatetimeBuffer(batch.dates[place] ?? new Float64Array());
    case 'categorical':
    case 'text':
      return new CategoricalBuffer(batch.texts[place] ?? []);
  }
}

class NumericBuffer implements ColumnBuffer {
  constructor(private readonly data: Float32Array) {}
  write(row: number, value: unknown): string | undefined {
    if (typeof value !== 'number')
      return `expected a number, got ${describe(value)}; send a JSON number, or null where the value is missing`;
    // Also refuses 1e999, which JSON allows and JavaScript reads as Infinity.
    if (value > FLOAT32_MAX || value < -FLOAT32_MAX)
      return 'the number is too large for a 32-bit float; send one below 3.4e38, or null where the value is missing';
    this.data[row] = value;
    return undefined;
  }
}

class BooleanBuffer implements ColumnBuffer {
  constructor(private readonly data: Float32Array) {}
  write(row: number, value: unknown): string | undefined {
    if (value === true || value === 1) this.data[row] = 1;
    else if (value === false || value === 0) this.data[row] = 0;
    else
      return `expected true or false, got ${typeof value === 'number' ? 'another number' : describe(value)}; send true, false, 1 or 0, or null where the value is missing`;
    return undefined;
  }
}

class DatetimeBuffer implements ColumnBuffer {
  constructor(private readonly data: Float64Array) {}
  write(row: number, value: unknown): string | undefined {
    if (typeof value === 'number') {
      if (!isEpochSeconds(value))
        return 'the number is outside the years 1 to 9999 in epoch seconds; divide milliseconds by 1000, or send ISO 8601 text';
      this.data[row] = value;
      return undefined;
    }
    if (typeof value !== 'string')
      return `expected a date, got ${describe(value)}; send ISO 8601 text such as "2025-03-01T12:00:00Z", or epoch seconds`;
    const seconds = parseIsoSeconds(value);
    if (seconds === undefined)
      return 'the text is not an existing ISO 8601 date; send "2025-03-01" or "2025-03-01T12:00:00Z", or epoch seconds';
    this.data[row] = seconds;
    return undefined;
  }
}

class CategoricalBuffer implements ColumnBuffer {
  constructor(private readonly data: string[]) {}
  write(row: number, value: unknown): string | undefined {
    if (typeof value !== 'string')
      return `expected a string, got ${describe(value)}; send text, written just as in the training data (for example "1" instead of 1), or null where the value is missing`;
    this.data[row] = value;
    return undefined;
  }
}

/** What kind of JSON value this is, without the value. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'object':
      return 'an object';
    default:
      return 'nothing';
  }
}
