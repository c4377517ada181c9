import type { ModelSignature } from '../../contracts/serving.ts';
import { type ColumnBatch, TabularSession } from '../onnx/tabular-session.ts';
import { pick } from './columns.ts';

/** Enough that the cost of a call does not count, few enough that memory stays small. */
const BATCH_ROWS = 16_384;

/** What a model says about rows: its numeric outputs. */
export class Predictor {
  private constructor(
    private readonly session: TabularSession,
    /** Names of the numeric outputs: probabilities, or the prediction. */
    readonly outputs: readonly string[],
  ) {}

  /** @throws PerennialError `ModelInvalid` where the model does not fit the signature */
  static async create(model: Uint8Array, signature: ModelSignature, threads = 1): Promise<Predictor> {
    const session = await TabularSession.create(model, signature, { threads });
    return new Predictor(
      session,
      signature.outputs.filter(({ kind }) => kind === 'float').map(({ name }) => name),
    );
  }

  /** Answers, `[rows, outputs]`. Holds the thread while a batch is computed. */
  async answers(batch: ColumnBatch): Promise<Float64Array> {
    const width = this.outputs.length;
    const result = new Float64Array(batch.rows * width);
    for (let from = 0; from < batch.rows; from += BATCH_ROWS) {
      const rows = Math.min(BATCH_ROWS, batch.rows - from);
      const part =
        rows === batch.rows
          ? batch
          : pick(
              batch,
              Uint32Array.from({ length: rows }, (_, i) => from + i),
            );
      const { columns } = await this.session.run(part);
      this.outputs.forEach((name, k) => {
        const column = columns.find((output) => output.name === name);
        for (let row = 0; row < rows; row++)
          result[(from + row) * width + k] = Number(column?.data[row] ?? Number.NaN);
      });
    }
    return result;
  }

  close(): Promise<void> {
    return this.session.close();
  }
}
