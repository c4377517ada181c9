import type { OnlineReader } from '../../lib/feature-store/online-store.ts';
import { epochMs } from '../../lib/predictions/wall-clock.ts';
import type { PredictionCall } from '../prediction.ts';
import type { FeatureMetrics } from '../telemetry/feature-metrics.ts';
import { RequestFeatures } from './request-features.ts';

/** What is told of the online store. */
export interface FeatureLog {
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
}

/** What a {@link FeatureService} needs. */
export interface FeatureServiceOptions {
  /** The online store; without it the policy of each view applies. */
  readonly reader?: OnlineReader | undefined;
  readonly metrics: FeatureMetrics;
  readonly log?: FeatureLog | undefined;
}

/** Looks up features for requests, and says once when that begins to fail, and once when it is over. */
export class FeatureService {
  readonly #failing = new Set<string>();

  constructor(private readonly options: FeatureServiceOptions) {}

  get reader(): OnlineReader | undefined {
    return this.options.reader;
  }

  get metrics(): FeatureMetrics {
    return this.options.metrics;
  }

  /** The features of one request, for all versions that read it. */
  of({
    endpoint,
    arrived,
    recordedAt,
  }: Pick<PredictionCall, 'endpoint' | 'arrived' | 'recordedAt'>): RequestFeatures {
    return new RequestFeatures(this, endpoint, Math.floor(recordedAt ?? epochMs(arrived)));
  }

  /** @param problem in words, without keys and values; `undefined`: it was answered */
  told(endpoint: string, view: string, problem: string | undefined): void {
    if (problem === undefined && this.#failing.size === 0) return;
    const key = `${endpoint}\0${view}`;
    if (problem === undefined) {
      if (this.#failing.delete(key))
        this.options.log?.info({ endpoint, view }, 'features are looked up again');
    } else if (!this.#failing.has(key)) {
      this.#failing.add(key);
      this.options.log?.warn({ endpoint, view, reason: problem }, 'features cannot be looked up');
    }
  }
}
