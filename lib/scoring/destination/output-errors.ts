import { type ErrorCode, PerennialError } from '../../../contracts/errors.ts';

const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  SourceDenied: 'OutputDenied',
  SourceNotFound: 'OutputUnwritable',
  SourceUnreadable: 'OutputUnwritable',
  SourceUnavailable: 'OutputUnavailable',
};

/** What stores and servers answer is told in the same words whether they are read or written; here they are written. */
export function asOutputError(error: unknown): unknown {
  if (!(error instanceof PerennialError)) return error;
  const code = CODES[error.code];
  if (code === undefined) return error;
  const words = error.message.replaceAll('of the source', 'of the output');
  return new PerennialError(code, words, error.retryable, { cause: error });
}

/** An error of the file system while an output is written. */
export function fileError(where: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new PerennialError('OutputDenied', `${where}: the worker's user may not write there (${code})`);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new PerennialError('OutputUnwritable', `${where}: the disk of the worker is full`, true);
  if (code === 'ENOTDIR' || code === 'EISDIR' || code === 'ENAMETOOLONG')
    return new PerennialError('OutputUnwritable', `${where}: it is no place for a file (${code})`);
  return error;
}

export const taken = (where: string): PerennialError =>
  new PerennialError(
    'OutputExists',
    `${where} is there already, and is not what this batch writes; choose another name, a folder (a name that ends with /), or set overwrite`,
  );
