/** An artifact as it lies in the store. */
export interface StoredBlob {
  sha256: string;
  bytes: number;
  /** When it was last written or asked for, epoch milliseconds. */
  touchedAt: number;
}

/** An ended run. */
export interface EndedRun {
  outcome: string;
  endedAt: string;
  artifacts: readonly string[];
}

/** How long what nobody needs is kept, in milliseconds. */
export interface KeepPolicy {
  /** Artifacts of failed and cancelled runs, so that they can be taken up again. */
  failedRuns: number;
  /** Artifacts that no run names: those of a stage that is still going on are among them. */
  unnamed: number;
}

const ABANDONED: ReadonlySet<string> = new Set(['failed', 'cancelled']);

/** Whether a run's artifacts may go. */
export const isGarbage = (run: EndedRun, policy: KeepPolicy, asOf: number): boolean =>
  ABANDONED.has(run.outcome) && asOf - Date.parse(run.endedAt) > policy.failedRuns;

/**
 * The artifacts that may be deleted: named by no kept run, by nothing that is running or serving, and not touched
 * for a while.
 *
 * @param inUse digests that running workflows and stored results of stages name
 */
export function garbage(
  blobs: readonly StoredBlob[],
  runs: readonly EndedRun[],
  inUse: ReadonlySet<string>,
  policy: KeepPolicy,
  asOf: number,
): StoredBlob[] {
  const kept = new Set(inUse);
  const abandoned = new Set<string>();
  for (const run of runs)
    for (const sha256 of run.artifacts) (isGarbage(run, policy, asOf) ? abandoned : kept).add(sha256);
  return blobs.filter(({ sha256, touchedAt }) => {
    if (kept.has(sha256)) return false;
    return (
      asOf - touchedAt >
      (abandoned.has(sha256) ? Math.min(policy.failedRuns, policy.unnamed) : policy.unnamed)
    );
  });
}
