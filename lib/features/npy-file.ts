import { type FileHandle, open } from 'node:fs/promises';

/** Room for any shape; a multiple of 64, so that the data can be mapped into memory aligned. */
const HEADER_BYTES = 128;

/**
 * Writes a float32 `.npy` file (version 1.0, C order) of a length that is known only at the end: rows are appended
 * as they come, and the header is filled in last. A file that was not finished has no valid header.
 *
 * @example
 * const file = await NpyFile.create('features.npy', [3]);
 * await file.append(new Float32Array([1, 2, 3]));
 * await file.finish(); // shape [1, 3]
 */
export class NpyFile {
  #elements = 0;

  private constructor(
    private readonly file: FileHandle,
    private readonly rowShape: readonly number[],
  ) {}

  /** @param rowShape the shape of one row: `[f]` for a matrix, `[]` for one number per row */
  static async create(path: string, rowShape: readonly number[]): Promise<NpyFile> {
    const file = await open(path, 'w', 0o600);
    await file.write(new Uint8Array(HEADER_BYTES));
    return new NpyFile(file, rowShape);
  }

  /** Appends whole rows. */
  async append(rows: Float32Array): Promise<void> {
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let at = 0; at < bytes.length; ) at += (await this.file.write(bytes, at)).bytesWritten;
    this.#elements += rows.length;
  }

  /** Writes the header and closes the file. Returns the number of rows. */
  async finish(): Promise<number> {
    const rows = this.#elements / this.rowShape.reduce((product, size) => product * size, 1);
    const shape = [rows, ...this.rowShape];
    const tuple = shape.length === 1 ? `(${rows},)` : `(${shape.join(', ')})`;
    const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
    const header = Buffer.alloc(HEADER_BYTES, ' ');
    header.write('\x93NUMPY\x01\x00', 0, 'latin1');
    header.writeUInt16LE(HEADER_BYTES - 10, 8);
    header.write(text, 10, 'latin1');
    header.write('\n', HEADER_BYTES - 1, 'latin1');
    await this.file.write(header, 0, HEADER_BYTES, 0);
    await this.file.close();
    return rows;
  }

  /** Closes an unfinished file. */
  async abandon(): Promise<void> {
    await this.file.close().catch(() => undefined);
  }
}
