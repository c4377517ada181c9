import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type AuditAppend, type AuditRecord, auditRecord } from '../../contracts/audit.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { whileLocked } from '../store/document-lock.ts';
import { orMissing } from '../store/durable-file.ts';
import { chained, unwritten } from './audit-chain.ts';

const SUFFIX = '.jsonl';
/** What is read of the end of a file first; twice as much while the entries in question lie further back. */
const TAIL_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Where the records of streams lie. */
export interface AuditShelf {
  /** Appends what a stream does not have yet. @returns the sequence of its next entry */
  append(input: AuditAppend): Promise<number>;
  /** The text of every stream, a record a line, in no order. What is being written now may be missing. */
  streams(): AsyncIterable<{ place: string; lines: string[] }>;
}

/**
 * The audit log as files of a folder, one per stream: JSON Lines that are only ever appended to, under a lock, and on
 * disk when {@link append} resolves. A last line that a killed process left unfinished is cut off by the next writer.
 */
export class AuditFiles implements AuditShelf {
  /** @param root a folder of its own; made with the first entry */
  constructor(private readonly root: string) {}

  async append(input: AuditAppend): Promise<number> {
    const path = join(this.root, `${nameOf(input.stream)}${SUFFIX}`);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return whileLocked(`${path}.lock`, () => appended(path, input));
  }

  async *streams(): AsyncGenerator<{ place: string; lines: string[] }> {
    for (const name of (await readdir(this.root).catch(orMissing)) ?? []) {
      if (!name.endsWith(SUFFIX)) continue;
      const place = join(this.root, name);
      const file = await open(place, 'r').catch(orMissing);
      if (!file) continue;
      try {
        const lines: string[] = [];
        const content = await file.readFile();
        // An unfinished last line is being written now, or its writer was killed: it is no record yet.
        for (const line of content
          .subarray(0, content.lastIndexOf(NEWLINE) + 1)
          .toString('utf8')
          .split('\n'))
          if (line !== '') lines.push(line);
        yield { place, lines };
      } finally {
        await file.close();
      }
    }
  }
}

/** Streams have names that no file can have. */
export const nameOf = (stream: string): string =>
  createHash('sha256').update(stream).digest('hex').slice(0, 40);

async function appended(path: string, input: AuditAppend): Promise<number> {
  const { stream, from } = input;
  const file = await open(path, 'a+', 0o600);
  try {
    const { records, size, whole } = await tailOf(file, path, from);
    const last = records.at(-1);
    const entries = unwritten(input, records);
    const added = chained(stream, last, entries);
    if (added.length === 0) return (last?.sequence ?? -1) + 1;
    if (whole < size) await file.truncate(whole);
    await file.appendFile(added.map((record) => `${JSON.stringify(record)}\n`).join(''));
    await file.sync();
    if (size === 0) await syncFolder(dirname(path));
    return (last?.sequence ?? -1) + 1 + added.length;
  } finally {
    await file.close();
  }
}

/**
 * The last records of a file, back to the sequence `from` where it has so many.
 *
 * @returns `whole`: where the last finished line ends
 */
async function tailOf(
  file: FileHandle,
  path: string,
  from: number,
): Promise<{ records: AuditRecord[]; size: number; whole: number }> {
  const { size } = await file.stat();
  for (let wanted = TAIL_BYTES; ; wanted *= 2) {
    const begin = Math.max(0, size - wanted);
    const bytes = Buffer.alloc(size - begin);
    await readFully(file, bytes, begin);
    const whole = bytes.lastIndexOf(NEWLINE) + 1;
    // The first line is a whole one only at the beginning of the file.
    const first = begin === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    const lines = bytes.subarray(first, Math.max(first, whole)).toString('utf8').split('\n').filter(Boolean);
    const records = lines.map((line) => recordOf(line, path));
    const [oldest] = records;
    if (begin === 0 || (oldest !== undefined && oldest.sequence <= from))
      return { records, size, whole: begin + whole };
  }
}

async function readFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) return;
    done += bytesRead;
  }
}

/** A line that is finished and no record was changed by somebody else; nothing may be written after it unseen. */
function recordOf(line: string, path: string): AuditRecord {
  const parsed = parsedRecord(line);
  if (parsed) return parsed;
  throw new PerennialError(
    'ArtifactCorrupt',
    `${path}: a line near the end of the audit log is no record; see docs/audit.md, then move the file away or restore it from a backup`,
  );
}

/** A line as a record; `undefined` where it is none. */
export function parsedRecord(line: string): AuditRecord | undefined {
  try {
    return auditRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** A new file is there after a power cut only when its folder is on disk. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
