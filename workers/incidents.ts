import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { endpointWorkflowId, SIGNALS } from '../contracts/names.ts';
import type { ChallengerIncident } from '../contracts/serving.ts';

/** Between two sendings: a challenger that fails for hours must not fill the history of its endpoint. */
const EVERY_MS = 10_000;
const ANSWER_MS = 5_000;
/** Distinct ones that wait for Temporal; the oldest make room. */
const MAX_KEPT = 100;

/**
 * Tells endpoints of versions that fail beside their champion: the first failure at once, what follows every ten
 * seconds, summed up. While Temporal is away, the sums are kept and sent when it is back. It never throws.
 */
export class IncidentSender {
  readonly #kept = new Map<string, ChallengerIncident>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #lastSent = Number.NEGATIVE_INFINITY;
  #dropped = 0;

  /** @param client of the connection that there is now */
  constructor(
    private readonly client: () => Client | undefined,
    private readonly logger: Logger,
    private readonly everyMs: number = EVERY_MS,
  ) {}

  /** Incidents that nobody was told of: there were too many, or their endpoint has no workflow. */
  get dropped(): number {
    return this.#dropped;
  }

  tell(incident: ChallengerIncident): void {
    const { serverId, endpoint, generation, version, role, kind, count } = incident;
    const key = JSON.stringify([serverId, endpoint, generation, version, role, kind]);
    const before = this.#kept.get(key);
    this.#kept.delete(key);
    this.#kept.set(key, before ? { ...before, count: before.count + count } : incident);
    for (const [oldest, { count: lost }] of this.#kept) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
      this.#dropped += lost;
    }
    this.#later();
  }

  /** Sends what is left, where Temporal is there. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending;
    await this.#send();
    clearTimeout(this.#timer);
  }

  #later(): void {
    if (this.#timer) return;
    const wait = Math.max(0, this.#lastSent + this.everyMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#sending.then(() => this.#send());
    }, wait).unref();
  }

  async #send(): Promise<void> {
    this.#lastSent = performance.now();
    const client = this.client();
    const incidents = [...this.#kept.values()];
    if (client) this.#kept.clear();
    else if (incidents.length > 0) this.#later();
    if (!client) return;
    let reached = true;
    for (const incident of incidents)
      if (reached) reached = await this.#signal(client, incident);
      else this.tell(incident);
  }

  /** Whether Temporal could be reached; where not, the incident is kept. */
  async #signal(client: Client, incident: ChallengerIncident): Promise<boolean> {
    const { endpoint, count } = incident;
    try {
      await client.connection.withDeadline(Date.now() + ANSWER_MS, () =>
        client.workflow.getHandle(endpointWorkflowId(endpoint)).signal(SIGNALS.challengerFailed, incident),
      );
      return true;
    } catch (error) {
      if (!(error instanceof Error && error.name === 'WorkflowNotFoundError')) {
        this.tell(incident);
        return false;
      }
      this.#dropped += count;
      this.logger.warn({ ...incident }, 'a version fails, and its endpoint has no workflow to be told');
      return true;
    }
  }
}
