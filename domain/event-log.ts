import type { AppendVerdict, EventBatch, EventFormat } from '../contracts/events.ts';

/** What a log knows of a batch that it holds. */
export interface KnownBatch {
  /** Position in the log, from 0. */
  offset: number;
  /** Digest of its rows. */
  sha256: string;
  rows: number;
}

/** A log as far as the admission of a batch is concerned. */
export interface LogSoFar {
  batches: number;
  format: EventFormat | null;
  known(batchId: string): KnownBatch | undefined;
}

/**
 * What a log makes of the batches that it is offered, in order. A batch id counts once: the same rows under it are a
 * duplicate, others are refused; so is another format than that of the first batch, since all are read as one table.
 *
 * @param problems why a batch cannot be read, by batch id
 */
export function admit(
  log: LogSoFar,
  offered: readonly EventBatch[],
  problems: ReadonlyMap<string, string>,
): { admitted: EventBatch[]; verdicts: AppendVerdict[] } {
  const admitted: EventBatch[] = [];
  const now = new Map<string, KnownBatch>();
  let { format } = log;
  const verdictOn = (batch: EventBatch): AppendVerdict => {
    const { batchId, artifact, rows } = batch;
    const refused = (reason: string): AppendVerdict => ({ state: 'refused', batchId, reason });
    const known = now.get(batchId) ?? log.known(batchId);
    if (known)
      return known.sha256 === artifact.sha256
        ? { state: 'duplicate', batchId, offset: known.offset, rows: known.rows }
        : refused('the log has other rows under this batch id; send new rows under an id of their own');
    const problem = problems.get(batchId);
    if (problem !== undefined) return refused(problem);
    if (rows === 0) return refused('there are no rows in the batch, or none that were not erased since');
    if (format !== null && format !== batch.format)
      return refused(`the log holds ${format}, this batch is ${batch.format}; send it to a log of its own`);
    format = batch.format;
    const offset = log.batches + admitted.length;
    now.set(batchId, { offset, sha256: artifact.sha256, rows });
    admitted.push(batch);
    return { state: 'appended', batchId, offset, rows };
  };
  return { verdicts: offered.map(verdictOn), admitted };
}
