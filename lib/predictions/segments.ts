import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { hasEnded, ownProcessName } from '../processes/process-name.ts';
import { orMissing } from '../store/durable-file.ts';
import type { BlobKey } from '../store/sealed-format.ts';
import { fileName } from './log-files.ts';
import { BlockSealer } from './segment-format.ts';

const OPEN = '.open';
const CLOSED = '.seg';
const UNREADABLE = '.unreadable';
/** Of a writer that gives it over as a whole: nobody reads it before. */
const PART = '.part';
const CLOSE_REQUEST = 'close-request';
/** An open segment of a process that cannot be seen from here, and that was silent for so long, is nobody's. */
const SILENT_MS = 3_600_000;

/** A segment file. */
export interface SegmentFile {
  readonly path: string;
  /** What its Parquet files are named after: server, process and number. */
  readonly origin: string;
  /** Whether a process may still write to it. */
  readonly open: boolean;
  readonly bytes: number;
  readonly modifiedAt: number;
}

/** The folder of one server's segments. */
export const serverFolder = (folder: string, serverId: string): string => join(folder, fileName(serverId));

/** All segments of a data directory, those of one writer in the order in which they were begun. */
export const segmentFiles = (folder: string): Promise<SegmentFile[]> => filesOf(folder, [OPEN, CLOSED]);

/** Segments that could not be read and were set aside; nobody looks at them until a person names them as before. */
export const unreadableSegments = (folder: string): Promise<SegmentFile[]> => filesOf(folder, [UNREADABLE]);

/** Sets a closed segment aside, with all its bytes. */
export const setAside = (segment: SegmentFile): Promise<void> =>
  rename(segment.path, `${segment.path}${UNREADABLE}`);

async function filesOf(folder: string, endings: readonly string[]): Promise<SegmentFile[]> {
  const found: SegmentFile[] = [];
  const servers = (await readdir(folder, { withFileTypes: true }).catch(orMissing)) ?? [];
  for (const server of servers) {
    if (!server.isDirectory()) continue;
    for (const name of ((await readdir(join(folder, server.name)).catch(orMissing)) ?? []).sort()) {
      const ending = endings.find((known) => name.endsWith(known));
      if (ending === undefined) continue;
      const path = join(folder, server.name, name);
      const info = await stat(path).catch(orMissing);
      if (!info) continue;
      found.push({
        path,
        origin: `${server.name}~${name.replace(/\.\w+(\.unreadable)?$/, '')}`,
        open: ending === OPEN,
        bytes: info.size,
        modifiedAt: info.mtimeMs,
      });
    }
  }
  return found;
}

/** The bytes of a server's segments that wait to be archived, and how many were set aside. */
export async function spooled(folder: string): Promise<{ bytes: number; unreadable: number }> {
  const names = (await readdir(folder).catch(orMissing)) ?? [];
  const waiting = names.filter((name) => !name.endsWith(UNREADABLE));
  const infos = await Promise.all(waiting.map((name) => stat(join(folder, name)).catch(orMissing)));
  return {
    bytes: infos.reduce((sum, info) => sum + (info?.size ?? 0), 0),
    unreadable: names.length - waiting.length,
  };
}

/**
 * Closes the segments of processes that are gone, and deletes what they did not give over.
 *
 * @returns those that can be rolled
 */
export async function closedSegments(folder: string, asOf: number = Date.now()): Promise<SegmentFile[]> {
  const closed: SegmentFile[] = [];
  for (const part of await filesOf(folder, [PART]))
    if (isAbandoned(part, asOf)) await rm(part.path, { force: true });
  for (const segment of await segmentFiles(folder)) {
    if (!segment.open) {
      closed.push(segment);
      continue;
    }
    if (!isAbandoned(segment, asOf)) continue;
    const path = `${segment.path.slice(0, -OPEN.length)}${CLOSED}`;
    await rename(segment.path, path);
    closed.push({ ...segment, path, open: false });
  }
  return closed;
}

function isAbandoned({ origin, modifiedAt }: SegmentFile, asOf: number): boolean {
  const [, writer = ''] = origin.split('~');
  return hasEnded(writer) ?? asOf - modifiedAt > SILENT_MS;
}

/** Asks the writers of this data directory to close what they write to, within a second or so. */
export async function requestClose(folder: string): Promise<void> {
  const now = new Date();
  for (const server of (await readdir(folder, { withFileTypes: true }).catch(orMissing)) ?? []) {
    if (!server.isDirectory()) continue;
    const path = join(folder, server.name, CLOSE_REQUEST);
    const file = await open(path, 'a', 0o600);
    await file.close();
    await utimes(path, now, now);
  }
}

/** When somebody last asked the writers of a server's folder to close their segments, epoch milliseconds. */
export const closeRequestedAt = async (folder: string): Promise<number | undefined> =>
  (await stat(join(folder, CLOSE_REQUEST)).catch(orMissing))?.mtimeMs;

/** A segment that is being written by this process, block by block. After an error it can only be closed. */
export class Segment {
  /** Bytes that are whole in the file. */
  bytes = 0;
  /** When it was begun, epoch milliseconds. */
  readonly begunAt = Date.now();
  #closed = false;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly sealer: BlockSealer,
  ) {}

  /**
   * @param folder of the server; made where it is missing
   * @param writer from {@link writerName}
   * @param number not used before by this writer
   * @param key `undefined`: not encrypted
   * @param whole whether it is read only when it is closed: what a killed process leaves of it goes
   */
  static async begin(
    folder: string,
    writer: string,
    number: number,
    key: BlobKey | undefined,
    whole = false,
  ): Promise<Segment> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${writer}-${String(number).padStart(6, '0')}${whole ? PART : OPEN}`);
    return new Segment(path, await open(path, 'wx', 0o600), new BlockSealer(key));
  }

  async append(frames: Uint8Array): Promise<void> {
    if (this.bytes === 0) await this.#write(this.sealer.header);
    await this.#write(this.sealer.seal(frames));
  }

  /** What was appended survives a power cut from now on. */
  sync(): Promise<void> {
    return this.file.datasync();
  }

  /**
   * Gives it over to the roller; one without a whole block is deleted. Where that fails it can be tried again.
   *
   * @throws the file system's own errors
   */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      // Of a disk that fails, what is there is better than nothing.
      if (this.bytes > 0) await this.file.datasync().catch(() => undefined);
      await this.file.close().catch(() => undefined);
    }
    if (this.bytes === 0) await rm(this.path, { force: true });
    else await rename(this.path, this.path.replace(/\.\w+$/, CLOSED));
  }

  /** Deletes it: as if it had never been begun. */
  async discard(): Promise<void> {
    this.#closed = true;
    await this.file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, null);
      done += bytesWritten;
    }
    this.bytes += bytes.length;
  }
}

/** A name that no other writer has: of the process, and of one log in it. */
export const writerName = (): string => `${ownProcessName()}.${randomBytes(4).toString('hex')}`;
