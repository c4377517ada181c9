import type { ColumnBatch } from '../lib/onnx/tabular-session.ts';
import type { RequestFeatures, RowFeatures } from './features/request-features.ts';
import type { RequestRows } from './input/key-columns.ts';
import { RequestBatch } from './input/request-batch.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { PredictionCall } from './prediction.ts';

/** Rows with all that a version reads: its features, too. */
export interface WholeRows {
  readonly batch: ColumnBatch;
  /** Where the looked-up inputs came from; `undefined` for a version without feature views. */
  readonly features: RowFeatures | undefined;
}

/** The rows of one request, read once for all versions that read them alike. */
export class CallRows {
  #key: string | undefined;
  #batch: RequestRows | undefined;
  #whole: WholeRows | undefined;

  /** @param features of the request; without it views are not looked up */
  constructor(
    private readonly call: Pick<PredictionCall, 'read'>,
    private readonly features?: RequestFeatures,
  ) {}

  /**
   * The rows as the request has them; with features, once {@link whole} has looked them up.
   *
   * @throws RequestError 400, 413 where the request does not fit the version's schema
   */
  read(model: LoadedModel): RequestRows {
    if (this.#batch && this.#key === model.signatureKey) return this.#batch;
    const batch = this.call.read(model);
    this.#key = model.signatureKey;
    this.#batch = batch;
    this.#whole = undefined;
    return batch;
  }

  /**
   * The rows with their features: at once, unless the online store is behind a network. They are the request's own
   * memory, so that whoever has them must not change them.
   *
   * @param deadline milliseconds of `performance.now()`
   * @throws RequestError as {@link read}; 503 where the store cannot be asked and a view says `refuse`
   */
  whole(model: LoadedModel, deadline: number): WholeRows | Promise<WholeRows> {
    const batch = this.read(model);
    if (this.#whole) return this.#whole;
    if (model.views.length === 0 || !this.features || !(batch instanceof RequestBatch))
      return { batch, features: undefined };
    const filled = this.features.fill(model.views, batch, deadline);
    const done = (features: RowFeatures): WholeRows => {
      const whole = { batch, features };
      if (this.#batch === batch) this.#whole = whole;
      return whole;
    };
    return filled instanceof Promise ? filled.then(done) : done(filled);
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
   * The value of a column where all rows agree on it, as text: the key where features are looked up by it, else a
   * number is the 32-bit float that the model sees.
   *
   * @returns `undefined` where the rows differ, or the value is missing
   */
  shared(model: LoadedModel, column: string): string | undefined {
    const { columns, keys } = this.read(model);
    const values = keys?.get(column) ?? columns.get(column);
    const first = values?.[0];
    if (values === undefined || first === undefined || first === '' || Number.isNaN(first)) return undefined;
    return values.every((value: string | number | undefined) => value === first) ? String(first) : undefined;
  }
}
