import { type IncidentKind, incidentKind, type RouteReason, routeReason } from '../../contracts/serving.ts';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';
import type { Prediction } from '../prediction.ts';
import type { Shedding } from '../request-error.ts';
import { Distribution } from './distribution.ts';
import { STAGES, type StageClock } from './stage-clock.ts';

/** Seconds. One row takes well under a millisecond, ten thousand a second or so. */
const LATENCY_BOUNDS = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const STAGE_BOUNDS = [0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5];

export type AnsweringRole = Prediction['role'];
const ROLES = ['champion', 'challenger', 'shadow', 'candidate'] as const satisfies readonly AnsweringRole[];

/** A count for each of some names. */
const zeros = <T extends string>(names: readonly T[]): Record<T, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<T, number>;

/** All that is counted of one version of one endpoint, as plain numbers: a request adds to them without making a key. */
export class VersionSeries {
  readonly answered = zeros(ROLES);
  readonly reasons: Record<RouteReason, number> = zeros(routeReason.options);
  readonly refused = new Map<number, number>();
  readonly shed = new Map<Shedding, number>();
  /** By the roles that it had beside a champion. */
  readonly incidents = new Map<AnsweringRole, Record<IncidentKind, number>>();
  rows = 0;
  invalidInputs = 0;
  invalidOutputs = 0;
  /** Requests of this version that the champion answered. */
  stoodIn = 0;
  shadowed = 0;
  readonly seconds = new Distribution(LATENCY_BOUNDS);
  readonly shadowSeconds = new Distribution(LATENCY_BOUNDS);
  readonly stages = STAGES.map((stage) => ({ stage, seconds: new Distribution(STAGE_BOUNDS) }));

  constructor(
    readonly endpoint: string,
    /** Empty for requests that no version can be blamed for. */
    readonly version: string,
  ) {}

  /** Its failures in a role, counted from now on. */
  watch(role: AnsweringRole): Record<IncidentKind, number> {
    const known = this.incidents.get(role);
    if (known) return known;
    const kinds = zeros(incidentKind.options);
    // A champion answers for itself, a candidate for nobody.
    if (role === 'challenger' || role === 'shadow') this.incidents.set(role, kinds);
    return kinds;
  }

  /** Adds an answered request. */
  add({ role, reason, outputs }: Prediction, seconds: number, clock: StageClock | undefined): void {
    this.answered[role] += 1;
    this.reasons[reason] += 1;
    this.rows += outputs.rows;
    this.seconds.observe(seconds);
    this.invalidOutputs += invalidRows(outputs);
    if (!clock) return;
    for (const { stage, seconds: distribution } of this.stages)
      distribution.observe(clock.took(stage) / 1000);
  }

  /** Adds an answered copy. */
  addShadow({ outputs }: Prediction, seconds: number): void {
    this.watch('shadow');
    this.shadowed += 1;
    this.shadowSeconds.observe(seconds);
    this.invalidOutputs += invalidRows(outputs);
  }

  /** Adds a request that was not answered. */
  refuse(status: number): void {
    this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
  }
}

/** Rows with an answer that is not a finite number. */
function invalidRows({ rows, columns }: OutputColumns): number {
  let invalid = 0;
  for (let row = 0; row < rows; row++)
    for (const column of columns)
      if (column.kind === 'float' && !Number.isFinite(column.data[row])) {
        invalid += 1;
        break;
      }
  return invalid;
}
