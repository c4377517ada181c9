import { isTextInput } from '../contracts/serving.ts';
import type {
  ColumnBatch,
  InputColumn,
  OutputColumn,
  OutputColumns,
  TabularSession,
} from '../lib/onnx/tabular-session.ts';

import type { ModelRunner } from './model-runner.ts';

/** A batch that waits for its turn. */
interface Waiting {
  readonly batch: ColumnBatch;
  resolve(outputs: OutputColumns): void;
  reject(error: unknown): void;
}

/** Larger batches gain nothing from company, and would keep small ones waiting. */
const MAX_OWN_ROWS = 32;
/** Rows of one shared run. */
const MAX_SHARED_ROWS = 256;

/**
 * Lets requests that arrive in the same turn of the event loop share one run of the model. A call into the engine
 * costs far more than a row of a tabular model, so that sixteen rows take little longer than one. A lone request
 * is not held back for company. Where a shared run fails, each request runs alone: none fails by another's rows.
 */
export class Coalescer implements ModelRunner {
  #waiting: Waiting[] = [];

  constructor(private readonly session: TabularSession) {}

  /** Predicts; see {@link TabularSession.run}. */
  async run(batch: ColumnBatch): Promise<OutputColumns> {
    if (batch.rows > MAX_OWN_ROWS) return this.session.run(batch);
    // A column of a wrong length would shift the rows of its neighbours.
    this.session.check(batch);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    });
  }

  /** Starts what waits, then closes the session behind it. */
  close(): Promise<void> {
    this.#flush();
    return this.session.close();
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let group: Waiting[] = [];
    let rows = 0;
    for (const item of waiting) {
      if (rows + item.batch.rows > MAX_SHARED_ROWS) {
        this.#start(group, rows);
        [group, rows] = [[], 0];
      }
      group.push(item);
      rows += item.batch.rows;
    }
    if (group.length > 0) this.#start(group, rows);
  }

  #start(group: readonly Waiting[], rows: number): void {
    if (group.length === 1) {
      for (const item of group) this.#alone(item);
      return;
    }
    this.session
      .run({ rows, columns: this.#merged(group, rows) })
      .then((outputs) => {
        let start = 0;
        for (const { batch, resolve } of group) {
          const from = start;
          start += batch.rows;
          resolve({ rows: batch.rows, columns: outputs.columns.map((column) => slice(column, from, start)) });
        }
      })
      .catch(() => {
        for (const item of group) this.#alone(item);
      });
  }

  #alone({ batch, resolve, reject }: Waiting): void {
    this.session.run(batch).then(resolve, reject);
  }

  #merged(group: readonly Waiting[], rows: number): Map<string, InputColumn> {
    const merged = new Map<string, InputColumn>();
    for (const { name, kind } of this.session.signature.inputs) {
      if (isTextInput(kind)) {
        merged.set(
          name,
          group.flatMap(({ batch }) => {
            const part = batch.columns.get(name);
            return Array.isArray(part) ? part : [];
          }),
        );
        continue;
      }
      const target = kind === 'datetime' ? new Float64Array(rows) : new Float32Array(rows);
      let start = 0;
      for (const { batch } of group) {
        const part = batch.columns.get(name);
        if (part instanceof Float32Array || part instanceof Float64Array) target.set(part, start);
        start += batch.rows;
      }
      merged.set(name, target);
    }
    return merged;
  }
}

function slice(column: OutputColumn, start: number, end: number): OutputColumn {
  const { name } = column;
  if (column.kind === 'string') return { name, kind: 'string', data: column.data.slice(start, end) };
  return { name, kind: 'float', data: column.data.subarray(start, end) };
}
