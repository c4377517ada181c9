import { type FileHandle, open } from 'node:fs/promises';
import { PerennialError } from '../contracts/errors.ts';
import { NPY_WIDTHS, npyHeader, readNpyHeader } from './npy.ts';

const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Copies a `.npy` file without some of its rows; the others stay in their order. A few MiB of memory, whatever its
 * size.
 *
 * @param gone rows counted from 0, ascending, each once
 * @throws PerennialError `TrainerContract` where the file is none or cut short, `InputInvalid` where it has fewer rows
 * @example
 * await withoutNpyRows('labels.npy', 'fewer.npy', [3, 17]);
 */
export async function withoutNpyRows(source: string, target: string, gone: readonly number[]): Promise<void> {
  const from = await open(source, 'r');
  try {
    const { dtype, shape, offset } = await readNpyHeader(source, from);
    const [rows = 0, ...rest] = shape;
    const last = gone.at(-1);
    if (last !== undefined && last >= rows)
      throw new PerennialError(
        'InputInvalid',
        `${source} has ${rows} rows, not the ${last + 1} that it should have`,
      );
    const width = rest.reduce((product, size) => product * size, NPY_WIDTHS[dtype]);
    const to = await open(target, 'wx', 0o600);
    try {
      await to.writeFile(npyHeader(dtype, [rows - gone.length, ...rest]));
      let kept = 0;
      for (const stop of [...gone, rows]) {
        await copyRange(source, from, to, offset + kept * width, (stop - kept) * width);
        kept = stop + 1;
      }
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function copyRange(
  source: string,
  from: FileHandle,
  to: FileHandle,
  start: number,
  length: number,
): Promise<void> {
  const block = Buffer.allocUnsafe(Math.min(length, BLOCK_BYTES));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await from.read(block, 0, Math.min(block.length, length - done), start + done);
    if (bytesRead === 0)
      throw new PerennialError(
        'TrainerContract',
        `${source} is not a usable .npy file: its data are cut short.`,
      );
    await to.writeFile(block.subarray(0, bytesRead));
    done += bytesRead;
  }
}
