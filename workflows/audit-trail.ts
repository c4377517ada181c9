import { ActivityFailure, ApplicationFailure, CancellationScope, condition, log } from '@temporalio/workflow';
import { type AuditEntry, type AuditTrailState, auditEntry } from '../contracts/audit.ts';
import { recordAudit } from './activities.ts';

/** Entries of one call of the activity, and their size together: far below the limit of a payload. */
const AT_ONCE = 100;
const AT_ONCE_CHARACTERS = 100_000;
/** What may wait while the log cannot be written; more would not fit into the argument of a next run. */
const MAX_WAITING = 500;
/** How often in a row a trail takes the log's word for where it stands. */
const MAX_REBASES = 5;

/**
 * What a workflow decided, on its way into the audit log. Entries are numbered here and written in the background, in
 * order and each once; an outage of the log is waited for. A workflow calls {@link settled} before it closes, and hands
 * {@link state} on where it continues as new.
 *
 * @example
 * const trail = new AuditTrail(`endpoint/${name}`, input.audit);
 * trail.note({ action: 'endpoint.promoted', outcome: 'done', by: 'policy', how: 'engine', ... });
 * await trail.settled();
 */
export class AuditTrail {
  readonly #stream: string;
  #next: number;
  #waiting: AuditEntry[];
  #writing = false;
  #problem: string | null = null;

  /**
   * @param stream `endpoint/NAME`, or the id of the run or the roll-out
   * @param state what an earlier run of the workflow has left
   */
  constructor(stream: string, state: AuditTrailState | undefined) {
    this.#stream = stream;
    this.#next = state?.next ?? 0;
    this.#waiting = [...(state?.waiting ?? [])];
    this.#write();
  }

  /** Writes an entry down, with the time of now. Never throws: a reason that is too long is cut. */
  note(entry: Omit<AuditEntry, 'at'>): void {
    const { by, reason } = entry;
    const full = {
      ...entry,
      by: by.slice(0, auditEntry.shape.by.maxLength ?? by.length),
      reason: reason.slice(0, auditEntry.shape.reason.maxLength ?? reason.length),
      at: new Date().toISOString(),
    };
    if (this.#waiting.length >= MAX_WAITING)
      log.error('the audit log cannot be written, and no more can wait: an entry is lost', { ...full });
    else this.#waiting.push(full);
    this.#write();
  }

  /** For the argument of the next run of the workflow. */
  get state(): AuditTrailState {
    return { next: this.#next, waiting: [...this.#waiting] };
  }

  /** Whether nothing is being written: all is in the log, or what waits was refused for good (see {@link problem}). */
  get idle(): boolean {
    return !this.#writing;
  }

  /** Why the log refuses what waits; `null` where it does not. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Waits until {@link idle}, also in a cancelled workflow. As long as the log is out, this lasts. */
  settled(): Promise<void> {
    return CancellationScope.nonCancellable(() => condition(() => this.idle));
  }

  #write(): void {
    if (this.#writing || this.#waiting.length === 0) return;
    this.#writing = true;
    void CancellationScope.nonCancellable(() => this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    for (let rebases = 0; this.#waiting.length > 0; ) {
      const entries = firstOf(this.#waiting);
      try {
        await recordAudit({ stream: this.#stream, from: this.#next, entries });
        this.#next += entries.length;
        this.#waiting = this.#waiting.slice(entries.length);
        this.#problem = null;
        rebases = 0;
      } catch (error) {
        const cause = error instanceof ActivityFailure ? error.cause : error;
        this.#problem = cause instanceof Error ? cause.message : String(cause);
        const next = standing(cause);
        log.error(`audit log of ${this.#stream}: ${this.#problem}`);
        if (next === undefined || rebases >= MAX_REBASES) break;
        // A workflow that was reset or started afresh counts from another place than the log, whose word counts.
        rebases += 1;
        this.#next = next;
      }
    }
    // In the same step as the look at what waits: an entry that is noted now begins anew.
    this.#writing = false;
  }
}

/** The first entries, as many as one call takes; at least one. */
function firstOf(waiting: readonly AuditEntry[]): AuditEntry[] {
  const entries: AuditEntry[] = [];
  let characters = 0;
  for (const entry of waiting.slice(0, AT_ONCE)) {
    characters += JSON.stringify(entry).length;
    if (entries.length > 0 && characters > AT_ONCE_CHARACTERS) break;
    entries.push(entry);
  }
  return entries;
}

/** The sequence that the log expects next, where it refused entries for theirs. */
function standing(cause: unknown): number | undefined {
  if (!(cause instanceof ApplicationFailure)) return undefined;
  const [details]: unknown[] = cause.details ?? [];
  if (typeof details !== 'object' || details === null || !('next' in details)) return undefined;
  return typeof details.next === 'number' ? details.next : undefined;
}
