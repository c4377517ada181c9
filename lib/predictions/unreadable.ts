import { PerennialError } from '../../contracts/errors.ts';

/** Something of the log that cannot be read, and why. */
export interface Unreadable {
  /** A segment's name, or the place of a file of the archive. */
  readonly place: string;
  readonly why: string;
}

/**
 * Whether an error lies in what was read: then it stays, and must not keep all else from being read. Errors of the
 * system, of memory and of the disk are not of that kind, nor is an interruption.
 */
export function isOfContent(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === 'AbortError') return false;
  if (/^INTERRUPT|\bIO Error\b/i.test(error.message)) return false;
  return error instanceof PerennialError ? !error.retryable : !('syscall' in error);
}

/** @param error of which {@link isOfContent} is true; the words of one that is not ours may quote what was read */
export const unreadable = (place: string, error: unknown): Unreadable => ({
  place,
  why: error instanceof PerennialError ? error.message : 'its content is not what this version writes',
});
