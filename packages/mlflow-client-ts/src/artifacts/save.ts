import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MlflowError } from '../errors.ts';
import type { StreamedAnswer } from '../http/transport.ts';

/**
 * Writes what `transfer` streams into `file`: first into a temporary neighbour, then under
 * its name, so that nobody ever sees half a file.
 *
 * @returns bytes written.
 */
export async function saveAtomically(
  file: string,
  transfer: (write: (answer: StreamedAnswer) => Promise<number>) => Promise<number>,
): Promise<number> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.part`);
  try {
    const bytes = await transfer((answer) => writeFile(temporary, answer));
    await rename(temporary, file);
    return bytes;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeFile(file: string, answer: StreamedAnswer): Promise<number> {
  const handle = await open(file, 'w');
  let bytes = 0;
  try {
    for await (const chunk of answer.chunks) {
      await handle.writeFile(chunk);
      bytes += chunk.byteLength;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  assertComplete(answer.headers, bytes);
  return bytes;
}

/** A connection that closes early can look like an end; the announced length tells. */
function assertComplete(headers: Headers, bytes: number): void {
  const announced = headers.get('content-length');
  if (announced === null || headers.has('content-encoding') || Number(announced) === bytes) return;
  const message = `the download ended after ${bytes} of ${announced} bytes`;
  throw new MlflowError({ code: 'network', message, retryable: true });
}
