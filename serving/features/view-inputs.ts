import { PerennialError } from '../../contracts/errors.ts';
import {
  entityColumns,
  isNumberInput,
  type ModelInput,
  requestSignature,
  type ServedModel,
  type ServedView,
} from '../../contracts/serving.ts';
import { keyOf } from '../../lib/feature-store/entity-key.ts';
import type { RequestKeys } from '../input/key-columns.ts';
import type { RequestBatch } from '../input/request-batch.ts';
import { FROM, type Sources } from './row-sources.ts';

/** The keys of a request's rows for one view, and which rows need none. */
export interface AskedRows {
  /** Row by row; `undefined` where nothing is to be looked up. */
  readonly keys: readonly (string | undefined)[];
  /** `looked_up` where there is a key. */
  readonly sources: Sources;
  /** How many rows have a key and are to be looked up. */
  readonly wanted: number;
}

/** The inputs of a model that one feature view gives. */
export class ViewInputs {
  /** The same for views whose values are the same under the same keys. */
  readonly identity: string;
  /** What stands in where the store cannot be asked, column by column. */
  readonly defaults: Float32Array;
  /** Places of the inputs among the model's numbers, and among all of its inputs. */
  readonly #places: readonly number[];
  readonly #indices: readonly number[];
  readonly #width: number;

  /** @throws PerennialError `ModelInvalid` where the view does not fit the model's inputs */
  constructor(
    readonly view: ServedView,
    { version, signature: { inputs } }: ServedModel,
  ) {
    const { name, store, columns, unavailable, ttlMs } = view;
    const refused = (problem: string): PerennialError =>
      new PerennialError('ModelInvalid', `version ${version}, view ${name}: ${problem}; register it again`);
    const numbers = inputs.filter(({ kind }) => isNumberInput(kind)).map((input) => input.name);
    this.#places = columns.map(({ input }) => {
      const place = numbers.indexOf(input);
      if (place < 0) throw refused(`the model has no input ${input} that is a number`);
      if (view.entity.includes(input)) throw refused(`${input} cannot be both looked up and a key`);
      return place;
    });
    this.#indices = columns.map(({ input }) => inputs.findIndex(({ name: own }) => own === input));
    this.#width = inputs.length;
    this.identity = JSON.stringify([name, store, view.entity, view.values, columns, unavailable, ttlMs]);
    this.defaults = Float32Array.from(columns, ({ default: value }) => value ?? Number.NaN);
  }

  /** A row that has any input of the view, also as missing, is taken as it was sent. */
  asked(batch: RequestBatch): AskedRows {
    const { rows } = batch;
    const columns = this.view.entity.map((name) => keysIn(batch.keys, name));
    const keys = new Array<string | undefined>(rows).fill(undefined);
    const sources: Sources = new Uint8Array(rows);
    let wanted = 0;
    for (let row = 0; row < rows; row++) {
      if (this.#has(batch, row)) {
        sources[row] = FROM.given;
        continue;
      }
      const key = keyIn(columns, row);
      keys[row] = key;
      sources[row] = key === undefined ? FROM.without_key : FROM.looked_up;
      if (key !== undefined) wanted += 1;
    }
    return { keys, sources, wanted };
  }

  #has({ rows, numbers, nulls }: RequestBatch, row: number): boolean {
    if (this.#places.some((place) => !Number.isNaN(numbers[place * rows + row]))) return true;
    if (!nulls || nulls.size === 0) return false;
    return this.#indices.some((index) => nulls.has(row * this.#width + index));
  }

  /** Puts values into the rows that have a key. @param values row by row of these rows; what no 32-bit float holds is missing */
  fill({ rows, numbers }: RequestBatch, { sources }: AskedRows, values: Float64Array): void {
    const width = this.#places.length;
    let at = 0;
    for (let row = 0; row < rows; row++) {
      if (sources[row] !== FROM.looked_up) continue;
      for (let column = 0; column < width; column++, at++) {
        const value = Math.fround(values[at] ?? Number.NaN);
        numbers[(this.#places[column] ?? 0) * rows + row] = Number.isFinite(value) ? value : Number.NaN;
      }
    }
  }

  /** Puts the defaults into the rows that have a key. */
  fillDefaults({ rows, numbers }: RequestBatch, { sources }: AskedRows): void {
    for (let row = 0; row < rows; row++)
      if (sources[row] === FROM.looked_up)
        for (const [column, place] of this.#places.entries())
          numbers[place * rows + row] = this.defaults[column] ?? Number.NaN;
  }
}

function keysIn(keys: RequestKeys | undefined, name: string): readonly (string | undefined)[] {
  return keys?.get(name) ?? [];
}

/** `undefined` where a part is missing, as SQL's concatenation has it. */
function keyIn(columns: readonly (readonly (string | undefined)[])[], row: number): string | undefined {
  const [first] = columns;
  if (columns.length === 1) return first?.[row];
  const parts: string[] = [];
  for (const column of columns) {
    const part = column[row];
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return keyOf(parts);
}

/** The views of a version; none for most. @throws PerennialError `ModelInvalid` */
export const viewInputs = (served: ServedModel): ViewInputs[] =>
  (served.views ?? []).map((view) => new ViewInputs(view, served));

/** The inputs as requests have them: those that the server looks up may be left out. */
export const requestInputs = (served: ServedModel): ModelInput[] => requestSignature(served).inputs;

/** The columns of a request that are no inputs of a model: keys of its own views, and then those of other versions. */
export function keysBeside(
  served: ServedModel,
  others: readonly string[],
): { own: string[]; others: string[] } {
  const inputs = new Set(served.signature.inputs.map(({ name }) => name));
  const keys = new Set(entityColumns(served));
  return {
    own: [...keys].filter((name) => !inputs.has(name)),
    others: others.filter((name) => !inputs.has(name) && !keys.has(name)),
  };
}
