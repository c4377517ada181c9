import { constants } from 'node:fs';
import { access, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';

const refused = (path: string, option: string, why: string): PerennialError =>
  new PerennialError(
    'InputInvalid',
    `${option}: ${path} ${why}; name a new file in a folder that is there and that you may write to`,
  );

/**
 * Refuses a place where no new file can be written: before the work that it is to hold.
 *
 * @param option that named it, for the message
 * @throws PerennialError `InputInvalid`
 */
export async function assertNewFile(path: string, option: string): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  if (known) throw refused(path, option, 'is already there');
  await access(dirname(path), constants.W_OK).catch(() => {
    throw refused(path, option, 'cannot be written');
  });
}

/** @throws PerennialError `InputInvalid` where the file is there by now, or cannot be written */
export async function writeNewFile(path: string, bytes: Uint8Array | string, option: string): Promise<void> {
  await writeFile(path, bytes, { flag: 'wx' }).catch(() => {
    throw refused(path, option, 'cannot be written');
  });
}
