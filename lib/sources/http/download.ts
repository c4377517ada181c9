import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../../../contracts/errors.ts';
import { networkWords, tooLarge, unavailable, unreadable } from '../source-errors.ts';

/** Tries in a row that bring no byte; a transfer that goes on may break as often as it likes, up to {@link MAX_TRIES}. */
const MAX_IDLE_TRIES = 4;
const MAX_TRIES = 20;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** Where an answer ended up, and its head. */
export interface Download {
  status: number;
  headers: Readonly<Record<string, string>>;
  bytes: number;
}

/** Asks once, with headers for this try. */
export type AskOnce = (transferHeaders: Record<string, string>) => Promise<IncomingMessage>;

/**
 * Transfers a body into a file. A transfer that breaks goes on where it stopped (`Range` with `If-Range`), where the
 * server can; else it begins anew.
 *
 * @param options.accept throws where the answer's head says that its body is not wanted
 * @returns with status 304 and no body where the server says that nothing changed
 * @throws PerennialError `SourceUnavailable` after several tries, `SourceUnreadable` above `maxBytes`
 */
export async function download(
  where: string,
  askOnce: AskOnce,
  path: string,
  options: {
    conditions: Record<string, string>;
    maxBytes: number;
    accept: (headers: Readonly<Record<string, string>>, status: number) => void;
    signal?: AbortSignal | undefined;
  },
): Promise<Download> {
  const file = await open(path, 'w', 0o600);
  let bytes = 0;
  let validator: string | undefined;
  let first: Readonly<Record<string, string>> = {};
  try {
    for (let tries = 1, idle = 1; ; tries++) {
      const before = bytes;
      let retryAfter: number | undefined;
      try {
        const going = bytes > 0 && validator !== undefined;
        const answer = await askOnce(
          going ? { range: `bytes=${bytes}-`, 'if-range': validator ?? '' } : options.conditions,
        );
        const headers = plain(answer.headers);
        const status = answer.statusCode ?? 0;
        retryAfter = secondsOf(headers['retry-after']);
        if (status === 304) {
          answer.destroy();
          return { status, headers, bytes: 0 };
        }
        if (isPassing(status)) {
          answer.destroy();
          throw unavailable(where, `it answers ${status}`);
        }
        const goesOn = going && status === 206 && startOf(headers) === bytes && isSame(headers, first);
        if (!goesOn) {
          try {
            if (!going || (status !== 416 && status !== 206)) options.accept(headers, status);
          } catch (error) {
            answer.destroy();
            throw error;
          }
          bytes = 0;
          await file.truncate(0);
          validator = validatorOf(headers);
          first = headers;
          if (status !== 200) {
            answer.destroy();
            validator = undefined;
            throw unavailable(where, `it answers ${status} to a request for the rest`);
          }
          if (Number(headers['content-length'] ?? 0) > options.maxBytes) {
            answer.destroy();
            throw tooLarge(where, options.maxBytes);
          }
        }
        for await (const chunk of answer) {
          const part = Buffer.from(chunk);
          await write(where, file, part, bytes);
          bytes += part.length;
          if (bytes > options.maxBytes) throw tooLarge(where, options.maxBytes);
        }
        return { status: 200, headers: first, bytes };
      } catch (error) {
        const failure = passing(where, error);
        if (options.signal?.aborted) throw options.signal.reason;
        if (failure === undefined) throw error;
        idle = bytes > before ? 1 : idle + 1;
        if (idle > MAX_IDLE_TRIES || tries >= MAX_TRIES) throw failure;
        const pause = Math.max(FIRST_PAUSE_MS * 2 ** (idle - 1), (retryAfter ?? 0) * 1_000);
        await sleep(Math.min(pause, LONGEST_PAUSE_MS), undefined, {
          ...(options.signal ? { signal: options.signal } : {}),
        });
      }
    }
  } finally {
    await file.close();
  }
}

async function write(where: string, file: FileHandle, part: Buffer, position: number): Promise<void> {
  await file.write(part, 0, part.length, position).catch((error: unknown) => {
    throw unreadable(where, error);
  });
}

const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** The failure to report where trying again may help. */
function passing(where: string, error: unknown): PerennialError | undefined {
  if (error instanceof PerennialError) return error.code === 'SourceUnavailable' ? error : undefined;
  const words = networkWords(error);
  return words === undefined ? undefined : unavailable(where, words);
}

/** Headers with one value each. */
const plain = (headers: IncomingMessage['headers']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value[0] ?? '') : (value ?? ''),
    ]),
  );

/** What `If-Range` takes: a strong ETag, else a date. */
const validatorOf = (headers: Readonly<Record<string, string>>): string | undefined =>
  headers.etag?.startsWith('"') ? headers.etag : headers['last-modified'];

/** Whether the rest belongs to the same content: some servers do not heed `If-Range`. */
const isSame = (rest: Readonly<Record<string, string>>, first: Readonly<Record<string, string>>): boolean =>
  (rest.etag ?? first.etag) === first.etag &&
  (rest['last-modified'] ?? first['last-modified']) === first['last-modified'];

const startOf = (headers: Readonly<Record<string, string>>): number =>
  Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? -1);

const secondsOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
