import { MAX_LABELS, type NumberSketch, type VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { IncidentKind, RouteRole, RouteTable } from '../../contracts/serving.ts';
import { boundedSketch, emptySketch, mergedCounts, mergedSketches } from '../../domain/rollout/sketch.ts';

/** Of a version that nobody asked yet. */
export const noTraffic = (version: string, role: RouteRole): VersionTraffic => ({
  version,
  role,
  requests: 0,
  rows: 0,
  failures: {},
  latency: emptySketch(),
  numbers: {},
  labels: {},
});

/** Every version of a table, with nothing counted. */
export const noTrafficOf = ({ routes }: Pick<RouteTable, 'routes'>): VersionTraffic[] =>
  routes.map(({ model, role }) => noTraffic(model.version, role));

/** What several processes saw of the same versions under the same generation. */
export function trafficSum(parts: readonly (readonly VersionTraffic[])[]): VersionTraffic[] {
  const byVersion = new Map<string, VersionTraffic>();
  for (const traffic of parts.flat()) {
    const known = byVersion.get(traffic.version);
    byVersion.set(traffic.version, known ? sumOf(known, traffic) : traffic);
  }
  return [...byVersion.values()];
}

function sumOf(a: VersionTraffic, b: VersionTraffic): VersionTraffic {
  return {
    version: a.version,
    role: a.role,
    requests: a.requests + b.requests,
    rows: a.rows + b.rows,
    failures: failuresOf(a.failures, b.failures),
    latency: boundedSum(a.latency, b.latency),
    numbers: byName(a.numbers, b.numbers, boundedSum),
    labels: byName(a.labels, b.labels, (one, other) => boundedLabels(mergedCounts(one, other))),
  };
}

/**
 * At most {@link MAX_LABELS} labels with a count of their own, the first by their letters; the others share `""`. By
 * the letters, and not by how frequent they are: so versions, processes and servers that have seen the same classes keep
 * the same of them, and a sum of cut counts is the cut of the sum.
 */
export function boundedLabels(counts: Readonly<Record<string, number>>): Record<string, number> {
  const labels = Object.keys(counts).filter((label) => label !== '');
  if (labels.length <= MAX_LABELS) return { ...counts };
  const own = labels.sort().slice(0, MAX_LABELS);
  const kept = new Set(own);
  let rest = 0;
  for (const [label, count] of Object.entries(counts)) if (!kept.has(label)) rest += count;
  return Object.fromEntries([...own.map((label) => [label, counts[label] ?? 0]), ['', rest]]);
}

const boundedSum = (a: NumberSketch, b: NumberSketch): NumberSketch => boundedSketch(mergedSketches(a, b));

function failuresOf(
  a: VersionTraffic['failures'],
  b: VersionTraffic['failures'],
): Partial<Record<IncidentKind, number>> {
  const sum: Partial<Record<IncidentKind, number>> = { ...a };
  let kind: IncidentKind;
  for (kind in b) sum[kind] = (sum[kind] ?? 0) + (b[kind] ?? 0);
  return sum;
}

function byName<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  sum: (one: T, other: T) => T,
): Record<string, T> {
  const all: Record<string, T> = { ...a };
  for (const [name, other] of Object.entries(b)) {
    const one = all[name];
    all[name] = one === undefined ? other : sum(one, other);
  }
  return all;
}
