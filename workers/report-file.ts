import { writeFile } from 'node:fs/promises';
import { PerennialError } from '../contracts/errors.ts';

/** Writes what `--report` asks for. @throws PerennialError `InputInvalid` where the file is there, or cannot be written */
export async function writeReport(path: string, page: string | Uint8Array): Promise<void> {
  await writeFile(path, page, { flag: 'wx' }).catch((error: unknown) => {
    throw new PerennialError(
      'InputInvalid',
      `--report: ${path} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : 'error'}); name a new file in a folder that is there`,
    );
  });
}
