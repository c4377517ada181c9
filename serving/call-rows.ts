import type { ColumnBatch } from '../lib/onnx/tabular-session.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { PredictionCall } from './prediction.ts';

/** The rows of one request, read once for all versions that read them alike. */
export class CallRows {
  #key: string | undefined;
  #batch: ColumnBatch | undefined;

  constructor(private readonly call: Pick<PredictionCall, 'read'>) {}

  /** @throws RequestError 400, 413 where the request does not fit the version's schema */
  read(model: LoadedModel): ColumnBatch {
    if (this.#batch && this.#key === model.signatureKey) return this.#batch;
    const batch = this.call.read(model);
    this.#key = model.signatureKey;
    this.#batch = batch;
    return batch;
  }

  /**
   * Whom or what the rows are about: as the request says itself, or by the table's column, whatever the route is.
   *
   * @param known of the request, or of its routing
   */
  entity(known: string | undefined, model: LoadedModel, column: string | undefined): string | undefined {
    return known ?? (column === undefined ? undefined : this.shared(model, column));
  }

  /**
   * The value of a column where all rows agree on it, as text. A number is the 32-bit float that the model sees.
   *
   * @returns `undefined` where the rows differ, or the value is missing
   */
  shared(model: LoadedModel, column: string): string | undefined {
    const values = this.read(model).columns.get(column);
    const first = values?.[0];
    if (values === undefined || first === undefined || first === '' || Number.isNaN(first)) return undefined;
    return values.every((value: string | number) => value === first) ? String(first) : undefined;
  }
}
