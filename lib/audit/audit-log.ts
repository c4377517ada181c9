import { join } from 'node:path';
import type { AuditAnswer, AuditAppend, AuditQuestion, AuditRecord } from '../../contracts/audit.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { brokenLinks } from './audit-chain.ts';
import { AuditFiles, type AuditShelf, parsedRecord } from './audit-file.ts';

/** Folder of the audit log in the data directory. */
export const AUDIT_FOLDER = 'audit';

/**
 * Who decided what, when and why: a log that is only ever appended to. The entries of a stream hold the digest of the one
 * before; whoever changes, removes or inserts one shows up when it is read.
 *
 * @example
 * const log = AuditLog.in(config.dataDir);
 * await log.append({ stream: 'endpoint/churn', from: 0, entries: [entry] });
 * const { records, broken } = await log.read({ endpoint: 'churn', run: null, since: null, limit: 20 });
 */
export class AuditLog {
  constructor(private readonly shelf: AuditShelf) {}

  /** The log of a data directory. Several machines share it where they share the directory. */
  static in(dataDir: string): AuditLog {
    return new AuditLog(new AuditFiles(join(dataDir, AUDIT_FOLDER)));
  }

  /**
   * Appends entries, on disk when this resolves. The same again writes nothing.
   *
   * @throws AuditConflict `InputInvalid` where something else stands at a sequence, or one is missing before them
   * @throws PerennialError `StoreUnavailable` (retryable) where the stream's lock cannot be had
   */
  async append(input: AuditAppend): Promise<{ next: number }> {
    return { next: await this.shelf.append(input) };
  }

  /**
   * The latest records that a question is about, the oldest first, and where the chains that they stand in are broken.
   *
   * @throws PerennialError `InputInvalid` where `since` is no time
   */
  async read({ endpoint, run, since, limit }: AuditQuestion): Promise<AuditAnswer> {
    const from = since === null ? Number.NEGATIVE_INFINITY : Date.parse(since);
    if (Number.isNaN(from))
      throw new PerennialError('InputInvalid', `since: "${since}" is no time; expected ISO 8601`);
    const isMeant = (record: AuditRecord): boolean =>
      (endpoint === null || record.endpoint === endpoint) &&
      (run === null || record.stream === run || record.stream.startsWith(`${run}/rollout/`));
    const answer: AuditAnswer = { records: [], broken: [] };
    for await (const { place, lines } of this.shelf.streams()) {
      const { records, problems } = readStream(place, lines);
      const meant = records.filter(isMeant);
      // A file without a single record may be of any stream.
      if (meant.length === 0 && records.length > 0) continue;
      answer.broken.push(...problems);
      answer.records.push(...meant.filter(({ at }) => Date.parse(at) >= from));
      if (answer.records.length > 4 * limit) answer.records = latest(answer.records, limit);
    }
    answer.records = latest(answer.records, limit);
    return answer;
  }
}

function readStream(
  place: string,
  lines: readonly string[],
): { records: AuditRecord[]; problems: AuditAnswer['broken'] } {
  const parsed = lines.map((line) => parsedRecord(line));
  const records = parsed.filter((record) => record !== undefined);
  const stream = records[0]?.stream ?? place;
  const unreadable = parsed.flatMap((record, i) =>
    record === undefined ? [{ stream, sequence: i, problem: `line ${i + 1} of ${place} is no record` }] : [],
  );
  const foreign = records
    .filter((record) => record.stream !== stream)
    .map((record) => ({ stream, sequence: record.sequence, problem: `it is of stream ${record.stream}` }));
  return { records, problems: [...unreadable, ...foreign, ...brokenLinks(records)] };
}

const latest = (records: AuditRecord[], limit: number): AuditRecord[] =>
  records
    .sort(
      (a, b) =>
        Date.parse(a.at) - Date.parse(b.at) ||
        (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.sequence - b.sequence),
    )
    .slice(-limit);
