import { randomUUID } from 'node:crypto';
import type { TrafficReport } from '../../contracts/rollout-evidence.ts';
import type { RouteRole, RouteTable } from '../../contracts/serving.ts';
import type { Miss, Prediction, PredictionListener } from '../prediction.ts';
import { noTrafficOf, trafficSum } from './traffic-sum.ts';
import { VersionCounts } from './version-counts.ts';

/** The counts of an endpoint's versions under one generation. */
interface Window {
  readonly generation: number;
  readonly versions: Map<string, VersionCounts>;
}

/**
 * What this process saw of each endpoint since the generation in force began: the evidence that a roll-out is judged
 * by. Requests count for the version that they were routed to:
 *
 * - Where the champion stood in for a challenger, the challenger has a request and a failure. The answer of the
 *   champion counts nowhere: its wait for the challenger is no latency of its own, and rows at which others fail are no
 *   fair sample of its answers.
 * - Who asks for a version by its name (pre-deployment checks do) was not routed, and is no evidence.
 * - An answer with rows that are no answers is a failure, `invalid-output`; its other rows are not counted among the
 *   answers, as those of a challenger would never have been seen.
 * - The latency is that from the request's arrival to the written answer; of a shadow, whose copy neither is read nor
 *   written, that of the copy. Copies that were dropped have none.
 *
 * @example
 * const evidence = new TrafficEvidence('server-1', (endpoint) => host.state(endpoint)?.table);
 * dataPlane.listen(evidence);
 * evidence.report('churn').versions[0]?.requests;
 */
export class TrafficEvidence implements PredictionListener {
  /** Of this start of the process. */
  readonly epoch = randomUUID();
  readonly #windows = new Map<string, Window>();

  /** @param tableOf the table of an endpoint that is in force */
  constructor(
    private readonly serverId: string,
    private readonly tableOf: (endpoint: string) => RouteTable | undefined,
  ) {}

  answered(prediction: Prediction, seconds: number): void {
    const { reason } = prediction;
    if (reason !== 'version' && reason !== 'fallback') this.#answered(prediction, seconds);
  }

  shadowed(prediction: Prediction, seconds: number): void {
    this.#answered(prediction, seconds);
  }

  missed({ endpoint, generation, version, role, reason, kind, rows, seconds }: Miss): void {
    if (reason === 'version') return;
    const milliseconds = seconds === undefined ? undefined : seconds * 1000;
    this.#counts(endpoint, generation, version, role)?.failed(kind, rows, milliseconds);
  }

  /** What is counted of an endpoint under the generation in force, every version of its table included. */
  report(endpoint: string): TrafficReport {
    const table = this.tableOf(endpoint);
    const window = this.#windows.get(endpoint);
    const counted = window !== undefined && window.generation === table?.generation;
    return {
      serverId: this.serverId,
      epoch: this.epoch,
      generation: table?.generation ?? 0,
      versions: trafficSum([
        table ? noTrafficOf(table) : [],
        counted ? [...window.versions.values()].map((counts) => counts.traffic()) : [],
      ]),
    };
  }

  #answered({ call, generation, model, role, outputs, invalidRows = 0 }: Prediction, seconds: number): void {
    if (role === 'candidate' || generation === undefined) return;
    const counts = this.#counts(call.endpoint, generation, model.served.version, role);
    if (invalidRows > 0) counts?.failed('invalid-output', outputs.rows, seconds * 1000);
    else counts?.answered(outputs, seconds * 1000);
  }

  /** @returns `undefined` for what was routed by a generation that is over */
  #counts(endpoint: string, generation: number, version: string, role: RouteRole): VersionCounts | undefined {
    let window = this.#windows.get(endpoint);
    if (window && window.generation > generation) return undefined;
    if (window?.generation !== generation) {
      window = { generation, versions: new Map() };
      this.#windows.set(endpoint, window);
    }
    const known = window.versions.get(version);
    if (known) return known;
    const counts = new VersionCounts(version, role);
    window.versions.set(version, counts);
    return counts;
  }
}
