import type { DataPlane } from '../data-plane.ts';
import type { LoadedModel } from '../loaded-model.ts';
import type { Incident, Prediction, PredictionListener, Refusal } from '../prediction.ts';
import {
  counter,
  histogram,
  type MetricFamily,
  type MetricSample,
  type MetricSource,
} from './metric-source.ts';
import type { StageClock } from './stage-clock.ts';
import { VersionSeries } from './version-series.ts';

/** Of versions that an endpoint has no more, the counts of the last few are kept. */
const MOST_VERSIONS = 30;

/**
 * Counts predictions. Labels hold only names that the server itself knows, so that requests for made-up models cannot
 * fill its memory.
 */
export class PredictionMetrics implements PredictionListener, MetricSource {
  readonly #byModel = new WeakMap<LoadedModel, VersionSeries>();
  readonly #endpoints = new Map<string, Map<string, VersionSeries>>();

  constructor(private readonly dataPlane: DataPlane) {}

  answered(prediction: Prediction, seconds: number, clock?: StageClock): void {
    this.#of(prediction).add(prediction, seconds, clock);
    const { call, insteadOf } = prediction;
    if (insteadOf !== undefined) this.#series(call.endpoint, insteadOf).stoodIn += 1;
  }

  shadowed(prediction: Prediction, seconds: number): void {
    this.#of(prediction).addShadow(prediction, seconds);
  }

  failed({ endpoint, version, role, kind }: Incident): void {
    this.#series(endpoint, version).watch(role)[kind] += 1;
  }

  refused(path: { endpoint?: string; version?: string }, status: number, refusal: Refusal = {}): void {
    const endpoints = this.dataPlane.endpoints();
    // A path without a name means the only endpoint there is.
    const { endpoint: name = endpoints.length === 1 ? (endpoints[0] ?? '') : '' } = path;
    const endpoint = endpoints.includes(name) ? name : '';
    const asked = refusal.clock?.refusedBy?.served.version ?? path.version ?? '';
    const version = asked !== '' && this.dataPlane.modelReady(name, asked) ? asked : '';
    const series = this.#series(endpoint, version);
    series.refuse(status);
    if (status === 400) series.invalidInputs += 1;
    const { shedding = status === 429 ? 'rate' : 'unavailable' } = refusal;
    if (status === 429 || status === 503) series.shed.set(shedding, (series.shed.get(shedding) ?? 0) + 1);
  }

  collect(): MetricFamily[] {
    // Routed versions begin at 0: what first shows at 1 is no increase to Prometheus.
    for (const endpoint of this.dataPlane.endpoints())
      if (this.dataPlane.modelReady(endpoint))
        for (const { version, role } of this.dataPlane.metadata(endpoint).versions)
          this.#series(endpoint, version).watch(role);
    const series = [...this.#endpoints.values()].flatMap((versions) => [...versions.values()]);
    const each = (samples: (one: VersionSeries, labels: Labels) => MetricSample[]): MetricSample[] =>
      series.flatMap((one) => samples(one, { endpoint: one.endpoint, version: one.version }));
    /** Versions that nobody ever asked have none: an unknown version in a refusal is no version. */
    const versions = (samples: typeof each extends (from: infer F) => unknown ? F : never): MetricSample[] =>
      each((one, labels) => (one.version === '' ? [] : samples(one, labels)));
    return [
      counter(
        'perennial_requests_total',
        'Prediction requests by endpoint, model version, its role and HTTP status; refused ones have no role, and may have no version.',
        each((one, labels) => [
          ...positive(one.answered).map(([role, value]) => ({
            labels: { ...labels, role, code: '200' },
            value,
          })),
          ...[...one.refused].map(([code, value]) => ({
            labels: { ...labels, role: '', code: String(code) },
            value,
          })),
        ]),
      ),
      histogram(
        'perennial_request_duration_seconds',
        'Time of answered prediction requests, from the received body to the written answer.',
        versions((one, labels) => one.seconds.samples('perennial_request_duration_seconds', labels)),
      ),
      histogram(
        'perennial_stage_duration_seconds',
        'Time of the parts of answered requests: read (rows out of the body), run (waiting and the model), write (the answer).',
        versions((one, labels) =>
          one.stages.flatMap(({ stage, seconds }) =>
            seconds.samples('perennial_stage_duration_seconds', { ...labels, stage }),
          ),
        ),
      ),
      counter(
        'perennial_rows_total',
        'Rows predicted by endpoint and model version.',
        versions(({ rows }, labels) => [{ labels, value: rows }]),
      ),
      counter(
        'perennial_routed_total',
        'Answered requests by why they went to this version: sole, weight, entity, header, version or fallback.',
        each(({ reasons }, labels) =>
          positive(reasons).map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
        ),
      ),
      counter(
        'perennial_fallbacks_total',
        'Requests that the champion answered in place of this version.',
        versions(({ stoodIn }, labels) => [{ labels, value: stoodIn }]),
      ),
      counter(
        'perennial_incidents_total',
        'Failures of challengers and shadows by kind; features: the online store could not be asked.',
        each(({ incidents }, labels) =>
          [...incidents].flatMap(([role, kinds]) =>
            Object.entries(kinds).map(([kind, value]) => ({ labels: { ...labels, role, kind }, value })),
          ),
        ),
      ),
      counter(
        'perennial_shadow_copies_total',
        'Copies of requests for a shadow: answered by it, or dropped because it failed or had too much to do.',
        each(({ shadowed, incidents }, labels) => {
          const failures = incidents.get('shadow');
          if (!failures) return [];
          const dropped = Object.values(failures).reduce((sum, value) => sum + value, 0);
          return [
            { labels: { ...labels, outcome: 'answered' }, value: shadowed },
            { labels: { ...labels, outcome: 'dropped' }, value: dropped },
          ];
        }),
      ),
      histogram(
        'perennial_shadow_duration_seconds',
        'Time in which shadows answered copies.',
        each((one, labels) =>
          !one.incidents.has('shadow')
            ? []
            : one.shadowSeconds.samples('perennial_shadow_duration_seconds', labels),
        ),
      ),
      counter(
        'perennial_invalid_inputs_total',
        'Requests that were refused with 400; by version where its schema refused them.',
        each(({ invalidInputs }, labels) => [{ labels, value: invalidInputs }]),
      ),
      counter(
        'perennial_invalid_outputs_total',
        'Rows that a version answered with something that is not a finite number.',
        versions(({ invalidOutputs }, labels) => [{ labels, value: invalidOutputs }]),
      ),
      counter(
        'perennial_shed_total',
        'Sound requests that were not answered, by reason: queue, deadline, rate, unavailable or features.',
        each(({ shed }, labels) =>
          [...shed].map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
        ),
      ),
    ];
  }

  /** A loaded model is of one endpoint: no key has to be made for it. */
  #of({ model, call }: Prediction): VersionSeries {
    const known = this.#byModel.get(model);
    if (known) return known;
    const series = this.#series(call.endpoint, model.served.version);
    this.#byModel.set(model, series);
    return series;
  }

  #series(endpoint: string, version: string): VersionSeries {
    const versions = this.#endpoints.get(endpoint) ?? new Map<string, VersionSeries>();
    this.#endpoints.set(endpoint, versions);
    const known = versions.get(version);
    if (known) return known;
    const series = new VersionSeries(endpoint, version);
    versions.set(version, series);
    // The order of a map is that of its entries: the oldest first.
    for (const old of versions.keys()) {
      if (versions.size <= MOST_VERSIONS) break;
      if (old !== '' && old !== version && !this.dataPlane.modelReady(endpoint, old)) versions.delete(old);
    }
    return series;
  }
}

type Labels = { endpoint: string; version: string };

/** What has happened at least once: a value for each thing that never did would be most of the page. */
const positive = <T extends string>(counts: Record<T, number>): [name: string, value: number][] =>
  Object.entries<number>(counts).filter(([, value]) => value > 0);
