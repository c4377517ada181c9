import { z } from 'zod';
import { type AuditAppend, type AuditRecord, auditRecord } from '../../contracts/audit.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { Documents } from '../store/documents.ts';
import { chained, unwritten } from './audit-chain.ts';
import { type AuditShelf, nameOf } from './audit-file.ts';

const PREFIX = 'audit/';
/** Keys in the order of the alphabet are keys in the order of their numbers. */
const DIGITS = 12;
const ATTEMPTS = 20;

const page = z.array(auditRecord).min(1);

/**
 * The audit log in an artifact store on S3, which several machines share: what one call wrote is one document, under the
 * number of its first entry, that is only ever created, so that of two writers one is first.
 */
export class AuditDocuments implements AuditShelf {
  constructor(private readonly documents: Documents) {}

  async append(input: AuditAppend): Promise<number> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const known = await this.#tail(input.stream, input.from);
      const last = known.at(-1);
      const next = (last?.sequence ?? -1) + 1;
      const added = chained(input.stream, last, unwritten(input, known));
      if (added.length === 0) return next;
      const key = `${folderOf(input.stream)}${String(next).padStart(DIGITS, '0')}`;
      // Where another one was first, or the answer was lost, the next look tells what is left to write.
      if ((await this.documents.write(key, added, { ifVersion: null })) !== undefined)
        return next + added.length;
    }
    throw new PerennialError(
      'StoreUnavailable',
      `the audit log of ${input.stream} is written by too many at once`,
      true,
    );
  }

  async *streams(): AsyncGenerator<{ place: string; lines: string[] }> {
    const folders = new Map<string, string[]>();
    for await (const key of this.documents.keys(PREFIX)) {
      const folder = key.slice(0, key.lastIndexOf('/') + 1);
      folders.set(folder, [...(folders.get(folder) ?? []), key]);
    }
    for (const [place, keys] of folders) {
      const lines: string[] = [];
      for (const key of keys.sort()) lines.push(...(await this.#lines(key)));
      yield { place, lines };
    }
  }

  /** The last records of a stream, back to the sequence `from` where it has so many. */
  async #tail(stream: string, from: number): Promise<AuditRecord[]> {
    const keys: string[] = [];
    for await (const key of this.documents.keys(folderOf(stream))) keys.push(key);
    const records: AuditRecord[] = [];
    for (const key of keys.sort().reverse()) {
      const found = await this.documents.read(key);
      const parsed = page.safeParse(found?.value);
      if (!parsed.success)
        throw new PerennialError(
          'ArtifactCorrupt',
          `the document ${key} of the audit log holds no records; see docs/audit.md, then restore it from a backup`,
        );
      records.unshift(...parsed.data);
      if ((records[0]?.sequence ?? 0) <= from) break;
    }
    return records;
  }

  /** Whatever a document holds, a line for each; the reader says which are no records. */
  async #lines(key: string): Promise<string[]> {
    const value = (await this.documents.read(key))?.value;
    return (Array.isArray(value) ? value : [value]).map((record) => JSON.stringify(record ?? null));
  }
}

const folderOf = (stream: string): string => `${PREFIX}${nameOf(stream)}/`;
