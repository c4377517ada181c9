import type { EvidenceLedger, TrafficReport, VersionTraffic } from '../../contracts/rollout-evidence.ts';
import { incidentKind } from '../../contracts/serving.ts';
import { boundedLabels } from './label-counts.ts';
import { boundedSketch, mergedCounts, mergedSketches } from './sketch.ts';

/** Starts of one server that are kept apart; what was before them is one sum. */
export const KEPT_EPOCHS = 4;
/** The epoch of that sum. */
export const EARLIER_EPOCH = 'earlier';

/** @param since when the generation came into force (ISO 8601) */
export const emptyLedger = (generation: number, since: string): EvidenceLedger => ({
  generation,
  since,
  reports: [],
});

/**
 * The ledger with a report. Counts of one process only grow, so of two reports of a process the one with more
 * requests is the later one, in whichever order they come. Reports of another generation change nothing.
 *
 * A server that is started again and again adds an epoch each time; beyond {@link KEPT_EPOCHS} the oldest ones become
 * one sum, so that the ledger stays as large as its servers are many. A report of a process that has been summed up
 * already would count twice; it ended some starts ago.
 */
export function withReport(ledger: EvidenceLedger, report: TrafficReport): EvidenceLedger {
  if (report.generation !== ledger.generation) return ledger;
  const known = ledger.reports.findIndex(
    ({ serverId, epoch }) => serverId === report.serverId && epoch === report.epoch,
  );
  if (known === -1) return { ...ledger, reports: folded([...ledger.reports, report], report) };
  const before = ledger.reports[known];
  if (before && requestsOf(before) > requestsOf(report)) return ledger;
  return { ...ledger, reports: ledger.reports.with(known, report) };
}

const requestsOf = ({ versions }: TrafficReport): number =>
  versions.reduce((sum, { requests }) => sum + requests, 0);

/** At most {@link KEPT_EPOCHS} epochs of a server, and the sum of its earlier ones. */
function folded(reports: readonly TrafficReport[], { serverId, generation }: TrafficReport): TrafficReport[] {
  const own = reports.filter((report) => report.serverId === serverId && report.epoch !== EARLIER_EPOCH);
  if (own.length <= KEPT_EPOCHS) return [...reports];
  const old = new Set(own.slice(0, -KEPT_EPOCHS));
  const gone = (report: TrafficReport): boolean =>
    old.has(report) || (report.serverId === serverId && report.epoch === EARLIER_EPOCH);
  const sum: TrafficReport = {
    serverId,
    epoch: EARLIER_EPOCH,
    generation,
    versions: summedVersions(reports.filter(gone).flatMap(({ versions }) => versions)),
  };
  return [sum, ...reports.filter((report) => !gone(report))];
}

function summedVersions(versions: readonly VersionTraffic[]): VersionTraffic[] {
  const sums = new Map<string, VersionTraffic>();
  for (const one of versions) {
    const sum = sums.get(one.version);
    sums.set(one.version, sum ? mergedTraffic(sum, one) : one);
  }
  return [...sums.values()];
}

/**
 * What a version did in the ledger's window, on all servers together.
 *
 * @returns `undefined` where no server has told of it
 */
export function trafficOf(ledger: EvidenceLedger, version: string): VersionTraffic | undefined {
  return summedVersions(
    ledger.reports.flatMap(({ versions }) => versions.filter((one) => one.version === version)),
  )[0];
}

/** Both together, of the same version; the role is the later one's. */
export function mergedTraffic(earlier: VersionTraffic, later: VersionTraffic): VersionTraffic {
  return {
    version: later.version,
    role: later.role,
    requests: earlier.requests + later.requests,
    rows: earlier.rows + later.rows,
    failures: mergedFailures(earlier.failures, later.failures),
    latency: boundedSketch(mergedSketches(earlier.latency, later.latency)),
    numbers: byName(earlier.numbers, later.numbers, (a, b) => boundedSketch(mergedSketches(a, b))),
    labels: byName(earlier.labels, later.labels, (a, b) => boundedLabels(mergedCounts(a, b))),
  };
}

type Failures = VersionTraffic['failures'];

function mergedFailures(a: Failures, b: Failures): Failures {
  const sum: Failures = { ...a };
  for (const kind of incidentKind.options) {
    const more = b[kind];
    if (more !== undefined) sum[kind] = (a[kind] ?? 0) + more;
  }
  return sum;
}

function byName<Value>(
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  merged: (a: Value, b: Value) => Value,
): Record<string, Value> {
  const sum: Record<string, Value> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const other = Object.hasOwn(a, name) ? a[name] : undefined;
    sum[name] = other === undefined ? value : merged(other, value);
  }
  return sum;
}
