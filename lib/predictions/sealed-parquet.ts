import { open } from 'node:fs/promises';

const PARQUET = Buffer.from('PAR1', 'latin1');

/** Whether a file of the archive is encrypted: every Parquet file begins with its own mark. */
export async function isSealed(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(PARQUET.length), 0, PARQUET.length, 0);
    return !buffer.equals(PARQUET);
  } finally {
    await file.close();
  }
}
