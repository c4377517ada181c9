import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { makePrivateDir } from './files.ts';

/** A log that has grown beyond this many bytes is put aside as `<name>.log.1`; the one before it becomes `.2`. */
export const LOG_CAP_BYTES = 10 * 1024 * 1024;
const KEPT = 2;

/** Opens a log for a child process: append only, owner only, put aside first where it is too large. */
export function openLog(path: string, capBytes: number = LOG_CAP_BYTES): number {
  makePrivateDir(dirname(path));
  if (sizeOf(path) > capBytes) {
    shift(path);
    renameSync(path, `${path}.1`);
  }
  return openSync(path, 'a', 0o600);
}

/**
 * Puts a log aside that a running process still writes to: it is copied and emptied in place. The writer has it
 * open for appending, so it goes on at the new end. Lines written between the two steps are lost.
 */
export function capRunningLog(path: string, capBytes: number = LOG_CAP_BYTES): void {
  if (sizeOf(path) <= capBytes) return;
  shift(path);
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}

/** Text of a log from a byte offset on, at most the last 256 KiB of it. */
export function readLog(path: string, offset: number = 0): string {
  const limit = 256 * 1024;
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(file);
    const from = Math.max(Math.min(offset, size), size - limit);
    const buffer = Buffer.alloc(size - from);
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, from));
  } finally {
    closeSync(file);
  }
}

/** Bytes of a file; 0 where it does not exist. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function shift(path: string): void {
  for (let number = KEPT; number > 1; number -= 1) {
    if (existsSync(`${path}.${number - 1}`)) renameSync(`${path}.${number - 1}`, `${path}.${number}`);
  }
}
