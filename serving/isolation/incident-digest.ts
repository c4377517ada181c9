import type { ChallengerIncident } from '../../contracts/serving.ts';
import type { PredictionListener } from '../prediction.ts';

const EVERY_MS = 1_000;

/**
 * Sums the failures of challengers and shadows up, so that one that fails at every request does not flood those who
 * are told: at most once a second for each version, role and kind, with the count and the first reason.
 */
export class IncidentDigest implements PredictionListener {
  readonly #summed = new Map<string, ChallengerIncident>();
  #timer: NodeJS.Timeout | undefined;

  /** @param tell must not throw */
  constructor(
    private readonly serverId: string,
    private readonly tell: (incident: ChallengerIncident) => void,
  ) {}

  failed(incident: Omit<ChallengerIncident, 'serverId'>): void {
    const { endpoint, generation, version, role, kind } = incident;
    const key = JSON.stringify([endpoint, generation, version, role, kind]);
    const before = this.#summed.get(key);
    this.#summed.set(
      key,
      before
        ? { ...before, count: before.count + incident.count }
        : { serverId: this.serverId, ...incident, reason: incident.reason.slice(0, 500) },
    );
    this.#timer ??= setTimeout(() => this.#flush(), EVERY_MS).unref();
  }

  /** Tells what is left. */
  close(): void {
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    const told = [...this.#summed.values()];
    this.#summed.clear();
    for (const incident of told) this.tell(incident);
  }
}
