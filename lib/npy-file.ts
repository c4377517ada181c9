import { type FileHandle, open } from 'node:fs/promises';
import { PerennialError } from '../contracts/errors.ts';
import { NPY_WIDTHS, type NpyData, type NpyDtype, npyHeader, readNpyHeader } from './npy.ts';

/**
 * Makes a `.npy` file (version 1.0, C order, mode 0600) of its full size, whose elements are still zeros.
 *
 * @param shape its first number is that of the rows
 * @example await createNpy('features.npy', 'float32', [1000, 3]);
 */
export async function createNpy(path: string, dtype: NpyDtype, shape: readonly number[]): Promise<void> {
  const header = npyHeader(dtype, shape);
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(header);
    await file.truncate(header.length + shape.reduce((size, count) => size * count, NPY_WIDTHS[dtype]));
  } finally {
    await file.close();
  }
}

/**
 * Writes rows into a file of {@link createNpy}, one after the other from a given row on. Several processes may write
 * different rows of one file. On little-endian machines alone, as all that ONNX Runtime and DuckDB run on.
 *
 * @example
 * const file = await NpyRows.open('features.npy', 500);
 * try { await file.append(new Float32Array([1, 2, 3])); } finally { await file.close(); }
 */
export class NpyRows {
  #position: number;

  private constructor(
    private readonly file: FileHandle,
    position: number,
  ) {
    this.#position = position;
  }

  /** @param firstRow counted from 0 */
  static async open(path: string, firstRow = 0): Promise<NpyRows> {
    const file = await open(path, 'r+');
    try {
      const { dtype, shape, offset } = await readNpyHeader(path, file);
      const rowBytes = shape.slice(1).reduce((size, count) => size * count, NPY_WIDTHS[dtype]);
      return new NpyRows(file, offset + firstRow * rowBytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Appends whole rows, of the file's own type. */
  async append(rows: NpyData): Promise<void> {
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, at, bytes.length - at, this.#position);
      at += bytesWritten;
      this.#position += bytesWritten;
    }
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/**
 * Reads a float32 matrix `[n, f]` in parts, with a few megabytes of memory whatever its size.
 *
 * @param batchRows rows of a part at the most
 * @throws PerennialError `TrainerContract` where the file is something else or cut short
 * @example
 * for await (const { data, rows } of matrixBatches('features.npy', 16_384)) await session.run(…);
 */
export async function* matrixBatches(
  path: string,
  batchRows: number,
): AsyncGenerator<{ data: Float32Array; rows: number; columns: number }> {
  const file = await open(path, 'r');
  try {
    const { dtype, shape, offset } = await readNpyHeader(path, file);
    const [rows = 0, columns = 0] = shape;
    const refused = (why: string) =>
      new PerennialError('TrainerContract', `${path} is not a usable feature matrix: ${why}.`);
    if (dtype !== 'float32' || shape.length !== 2)
      throw refused('it is no float32 matrix of rows and columns');
    for (let from = 0; from < rows; from += batchRows) {
      const count = Math.min(batchRows, rows - from);
      const data = new Float32Array(count * columns);
      const bytes = new Uint8Array(data.buffer);
      for (let done = 0; done < bytes.length; ) {
        const at = offset + from * columns * NPY_WIDTHS.float32 + done;
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, at);
        if (bytesRead === 0) throw refused('its data are cut short');
        done += bytesRead;
      }
      yield { data, rows: count, columns };
    }
  } finally {
    await file.close();
  }
}
