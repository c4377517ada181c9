import { createHash } from 'node:crypto';
import { type AuditAppend, type AuditEntry, type AuditRecord, auditEntry } from '../../contracts/audit.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';

/** The digest of a record: SHA-256 of its canonical JSON without `digest`, in hex. */
export function recordDigest({
  digest: _,
  ...record
}: Omit<AuditRecord, 'digest'> & { digest?: string }): string {
  return createHash('sha256').update(canonicalJson(record)).digest('hex');
}

/** Entries as the next records of a stream. @param last the record before; `undefined` where there is none */
export function chained(
  stream: string,
  last: Pick<AuditRecord, 'sequence' | 'digest'> | undefined,
  entries: readonly AuditEntry[],
): AuditRecord[] {
  const records: AuditRecord[] = [];
  let { sequence, digest } = last ?? { sequence: -1, digest: '' };
  for (const entry of entries) {
    const record = { ...entry, stream, sequence: sequence + 1, previous: digest };
    ({ sequence, digest } = { sequence: record.sequence, digest: recordDigest(record) });
    records.push({ ...record, digest });
  }
  return records;
}

/**
 * Entries that a log refuses for their place: something else stands there, or what would stand before them is missing.
 * A workflow that was reset or started afresh goes on at {@link next}.
 */
export class AuditConflict extends PerennialError {
  /** @param next the sequence that the log expects */
  constructor(
    message: string,
    readonly next: number,
  ) {
    super('InputInvalid', message);
  }
}

/**
 * Which entries of a call a stream does not have yet.
 *
 * @param known its last records, at least back to `from`
 * @throws AuditConflict where another entry stands at a sequence, or there is a gap
 */
export function unwritten(
  { stream, from, entries }: AuditAppend,
  known: readonly AuditRecord[],
): AuditEntry[] {
  const last = known.at(-1);
  const next = (last?.sequence ?? -1) + 1;
  if (from > next)
    throw new AuditConflict(
      `the audit log of ${stream} has ${next} entries, and is to go on with number ${from}: entries ${next} to ${from - 1} are missing; restore ${next === 0 ? 'the log' : 'its latest state'} from a backup`,
      next,
    );
  for (const record of known) {
    const entry = entries[record.sequence - from];
    if (entry && canonicalJson(entry) !== canonicalJson(auditEntry.strip().parse(record)))
      throw new AuditConflict(
        `the audit log of ${stream} has another entry of number ${record.sequence} already, of ${record.at}; it stays as it is`,
        next,
      );
  }
  return entries.slice(next - from);
}

/** What is wrong with a chain of records that begin with the first of their stream. */
export function brokenLinks(
  records: readonly AuditRecord[],
): { stream: string; sequence: number; problem: string }[] {
  const broken: { stream: string; sequence: number; problem: string }[] = [];
  let [sequence, previous] = [0, ''];
  for (const record of records) {
    const tell = (problem: string): void => {
      broken.push({ stream: record.stream, sequence: record.sequence, problem });
    };
    if (record.sequence !== sequence)
      tell(
        record.sequence > sequence
          ? `entries ${sequence} to ${record.sequence - 1} are missing before it`
          : `it stands where entry ${sequence} belongs`,
      );
    else if (record.previous !== previous)
      tell('the entry before it is not the one that it was written after');
    if (recordDigest(record) !== record.digest) tell('it was changed after it was written');
    sequence = record.sequence + 1;
    previous = record.digest;
  }
  return broken;
}
