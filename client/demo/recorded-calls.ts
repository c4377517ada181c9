import type { TimedRow } from '../../contracts/data-questions.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { predict, tellTruth } from '../servers.ts';

/** Requests under way at the same time. */
const AT_ONCE = 8;
/** Tries of one call: a server that is started again needs some seconds. */
const TRIES = 5;

/** Who is called. */
export interface CalledEndpoint {
  url: string;
  endpoint: string;
}

/**
 * Recorded rows as a client sends them: each a request of its own at its own time, and what turned out to be true as long
 * afterwards as it took.
 */
export class RecordedCalls {
  /** Rows that were sent, and of how many of them the truth was told; both in time order. */
  #sent = 0;
  #told = 0;

  /**
   * @param rows in time order
   * @param truthAfterMs how long after a call its truth is told
   * @param prefix of the ids of the requests
   */
  constructor(
    private readonly called: CalledEndpoint,
    private readonly rows: readonly TimedRow[],
    private readonly truthAfterMs: number,
    private readonly prefix = 'recorded',
  ) {}

  /** When the last of them is; `undefined` where there is none. */
  get lastAt(): string | undefined {
    return this.rows.at(-1)?.at;
  }

  /** Sends the rows before a moment. @returns how many */
  sendBefore(moment: string): Promise<number> {
    let end = this.#sent;
    while (end < this.rows.length && (this.rows[end]?.at ?? '') < moment) end++;
    return this.#sendUpTo(end);
  }

  /** Sends the next rows. @returns how many */
  send(rows: number): Promise<number> {
    return this.#sendUpTo(Math.min(this.rows.length, this.#sent + rows));
  }

  async #sendUpTo(end: number): Promise<number> {
    const first = this.#sent;
    let next = first;
    const work = async (): Promise<void> => {
      while (next < end) await this.#send(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#sent = Math.max(first, end);
    return this.#sent - first;
  }

  /** Tells the truth that is known before a moment, each at the time at which it became known. */
  async tellBefore(moment: string): Promise<number> {
    const first = this.#told;
    const days = new Map<string, { requestId: string; label: string }[]>();
    while (this.#told < this.#sent) {
      const row = this.rows[this.#told];
      if (!row) break;
      const known = new Date(Date.parse(row.at) + this.truthAfterMs).toISOString();
      if (known >= moment) break;
      if (row.label !== null)
        days.set(known, [
          ...(days.get(known) ?? []),
          { requestId: this.#idOf(this.#told), label: row.label },
        ]);
      this.#told++;
    }
    const { url, endpoint } = this.called;
    for (const [day, truths] of days)
      await again(() => tellTruth(url, endpoint, truths, undefined, { 'perennial-time': day }));
    return this.#told - first;
  }

  async #send(place: number): Promise<void> {
    const row = this.rows[place];
    if (!row) return;
    const { url, endpoint } = this.called;
    const headers = { 'x-request-id': this.#idOf(place), 'perennial-time': row.at };
    await again(() => predict(url, endpoint, { dataframe_records: [row.inputs] }, undefined, headers));
  }

  #idOf(place: number): string {
    return `${this.prefix}-${place}`;
  }
}

/** A server may be out for a moment. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await call();
    } catch (error) {
      if (tries === TRIES || !(error instanceof PerennialError && error.retryable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * tries));
    }
}
