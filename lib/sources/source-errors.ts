import { PerennialError } from '../../contracts/errors.ts';
import { certificateWords } from '../certificate-words.ts';

/** An error of the file system, said plainly. */
export function unreadable(where: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EACCES' || code === 'EPERM')
    return new PerennialError(
      'SourceUnreadable',
      `${where}: the worker's user may not read it; change its permissions`,
    );
  if (code === 'ENOSPC')
    return new PerennialError('SourceUnreadable', `${where}: the disk of the worker is full`, true);
  return error;
}

export const tooLarge = (where: string, maxBytes: number): PerennialError =>
  new PerennialError(
    'SourceUnreadable',
    `${where}: more than ${maxBytes} bytes; raise maxBytes of the source where that is meant`,
  );

/** Packed data that do not unpack. */
export const damaged = (where: string, compression: string): PerennialError =>
  new PerennialError(
    'SourceUnreadable',
    `${where}: the ${compression} data are damaged; transfer the file again`,
  );

/** Packed data of which the end is missing. */
export const cutOff = (where: string, compression: string): PerennialError =>
  new PerennialError(
    'SourceUnreadable',
    `${where}: the ${compression} data end too early; the file was cut off, transfer it again`,
  );

/** A fault of the network or of the other side, that may be gone later. */
export const unavailable = (where: string, words: string): PerennialError =>
  new PerennialError('SourceUnavailable', `${where}: ${words}; it is tried again`, true);

const NETWORK: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such host name',
  EAI_AGAIN: 'the host name cannot be looked up',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke off',
  EPIPE: 'the connection broke off',
  ETIMEDOUT: 'the connection takes too long',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
};

/** A part of a request took too long; the message says which. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/**
 * The error for a certificate that is not accepted, which stays so until somebody does something about it, or
 * `undefined` for another error.
 *
 * @param host for the message
 */
export function certificateRefused(where: string, host: string, error: unknown): PerennialError | undefined {
  const words = certificateWords(error, 'the worker');
  if (words === undefined) return undefined;
  return new PerennialError('SourceDenied', `${where}: the TLS certificate of ${host} ${words}`);
}

/** Words for an error of a socket, or `undefined` for another error. */
export function networkWords(error: unknown): string | undefined {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 6;
    cause = cause.cause, depth++
  ) {
    const code = 'code' in cause ? String(cause.code) : '';
    if (cause instanceof TimedOut) return cause.message;
    if (NETWORK[code]) return NETWORK[code];
    if (/^(ERR_TLS|ERR_SSL|EPROTO)/.test(code)) return `it does not speak TLS as it should (${code})`;
    if (code.startsWith('HPE_')) return `it does not speak HTTP (${code})`;
    if (cause instanceof AggregateError && cause.errors.length > 0) return networkWords(cause.errors[0]);
  }
  return undefined;
}

/** The error of a class in a chain of causes. */
export function causeOf<E extends Error>(error: unknown, kind: new (...args: never[]) => E): E | undefined {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 6;
    cause = cause.cause, depth++
  )
    if (cause instanceof kind) return cause;
  return undefined;
}
