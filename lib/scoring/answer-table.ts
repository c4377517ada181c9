import { DOUBLE, DuckDBDataChunk, type DuckDBType, FLOAT, INTEGER } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import type { ModelOutput } from '../../contracts/serving.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { OutputColumn } from '../onnx/tabular-session.ts';

/** Rows of a vector of the engine. */
const VECTOR_ROWS = 2_048;

export const ANSWERS = 'answers';
/** Place of a row in the chunk, from 0, and the number of what is wrong with it, 0 where nothing is. */
export const PLACE = '__perennial_place';
export const PROBLEM = '__perennial_number';

type Values = Int32Array | Float32Array | Float64Array;

/**
 * The answers for the rows of one chunk, as a table of the engine: vectors are copied as memory, texts as numbers of
 * the few different ones.
 */
export class AnswerTable {
  #appender: Awaited<ReturnType<Database['connection']['createAppender']>> | undefined;
  #types: DuckDBType[] = [];
  /** Of each output: the different texts and their numbers; `null` for numbers. */
  #texts: (Map<string, number> | null)[] = [];
  #rows = 0;

  constructor(private readonly database: Database) {}

  /** Rows so far. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Appends the answers for the next rows.
   *
   * @param problems the number of each row's problem
   */
  async append(problems: Int32Array, outputs: readonly OutputColumn[]): Promise<void> {
    this.#appender ??= await this.#open(outputs);
    const places = Int32Array.from(problems, (_, index) => this.#rows + index);
    const columns: Values[] = [places, problems, ...outputs.map((output, at) => this.#valuesOf(output, at))];
    for (let from = 0; from < problems.length; from += VECTOR_ROWS) {
      const count = Math.min(VECTOR_ROWS, problems.length - from);
      const chunk = DuckDBDataChunk.create(this.#types, count);
      for (const [index, values] of columns.entries()) {
        const width = values.BYTES_PER_ELEMENT;
        const { buffer } = values;
        if (!(buffer instanceof ArrayBuffer))
          throw new TypeError('the values of an output lie in shared memory');
        duckdb.copy_data_to_vector(
          duckdb.data_chunk_get_vector(chunk.chunk, index),
          0,
          buffer,
          values.byteOffset + from * width,
          count * width,
        );
      }
      this.#appender.appendDataChunk(chunk);
    }
    this.#rows += problems.length;
  }

  /** To be called when all rows are there. @param outputs of the model: without rows there is a table all the same */
  async close(outputs: readonly ModelOutput[]): Promise<void> {
    this.#appender ??= await this.#open(
      outputs.map(({ name, kind }) =>
        kind === 'string' ? { name, kind, data: [] } : { name, kind, data: new Float32Array(0) },
      ),
    );
    this.#appender.closeSync();
  }

  /** SQL of an output's value. */
  valueSql(at: number): string {
    const texts = this.#texts[at];
    if (!texts) return nameOf(at);
    return `([${[...texts.keys()].map(quoteLiteral).join(', ')}]::VARCHAR[])[${nameOf(at)} + 1]`;
  }

  async #open(outputs: readonly OutputColumn[]) {
    const kinds = outputs.map((output) =>
      output.kind === 'string' ? INTEGER : output.data instanceof Float64Array ? DOUBLE : FLOAT,
    );
    this.#types = [INTEGER, INTEGER, ...kinds];
    this.#texts = outputs.map(({ kind }) => (kind === 'string' ? new Map<string, number>() : null));
    const columns = [
      `${PLACE} INTEGER`,
      `${PROBLEM} INTEGER`,
      ...kinds.map((kind, at) => `${nameOf(at)} ${kind}`),
    ];
    await this.database.run(`CREATE TABLE ${ANSWERS} (${columns.join(', ')})`);
    return this.database.connection.createAppender(ANSWERS);
  }

  #valuesOf(output: OutputColumn, at: number): Values {
    if (output.kind === 'float') return output.data;
    const numbers = this.#texts[at] ?? new Map<string, number>();
    const { data } = output;
    const values = new Int32Array(data.length);
    for (let row = 0; row < values.length; row++) {
      const text = data[row] ?? '';
      let number = numbers.get(text);
      if (number === undefined) {
        number = numbers.size;
        numbers.set(text, number);
      }
      values[row] = number;
    }
    return values;
  }
}

const nameOf = (at: number): string => quoteIdent(`__perennial_output_${at}`);
