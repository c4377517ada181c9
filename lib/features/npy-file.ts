import { type FileHandle, open } from 'node:fs/promises';

/** Room for any shape; a multiple of 64, so that the data can be mapped into memory aligned. */
const HEADER_BYTES = 128;

const widthOf = (rowShape: readonly number[]): number =>
  rowShape.reduce((product, size) => product * size, 1);

/**
 * Makes a float32 `.npy` file (version 1.0, C order) of its full size, whose rows are still zeros.
 *
 * @param rowShape the shape of one row: `[f]` for a matrix, `[]` for one number per row
 * @example await createNpy('features.npy', 1000, [3]); // shape [1000, 3]
 */
export async function createNpy(path: string, rows: number, rowShape: readonly number[]): Promise<void> {
  const shape = [rows, ...rowShape];
  const tuple = shape.length === 1 ? `(${rows},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const header = Buffer.alloc(HEADER_BYTES, ' ');
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(HEADER_BYTES - 10, 8);
  header.write(text, 10, 'latin1');
  header.write('\n', HEADER_BYTES - 1, 'latin1');
  const file = await open(path, 'w', 0o600);
  try {
    await file.write(header, 0, HEADER_BYTES, 0);
    await file.truncate(HEADER_BYTES + rows * widthOf(rowShape) * Float32Array.BYTES_PER_ELEMENT);
  } finally {
    await file.close();
  }
}

/**
 * Writes rows into a file of {@link createNpy}, one after the other from a given row on. Several processes may write
 * different rows of one file.
 */
export class NpyRows {
  #position: number;

  private constructor(
    private readonly file: FileHandle,
    position: number,
  ) {
    this.#position = position;
  }

  static async open(path: string, rowShape: readonly number[], firstRow: number): Promise<NpyRows> {
    const rowBytes = widthOf(rowShape) * Float32Array.BYTES_PER_ELEMENT;
    return new NpyRows(await open(path, 'r+'), HEADER_BYTES + firstRow * rowBytes);
  }

  /** Appends whole rows. */
  async append(rows: Float32Array): Promise<void> {
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
