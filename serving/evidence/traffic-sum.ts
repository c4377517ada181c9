import type { VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { RouteRole, RouteTable } from '../../contracts/serving.ts';
import { mergedTraffic } from '../../domain/rollout/evidence.ts';
import { emptySketch } from '../../domain/rollout/sketch.ts';

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
    byVersion.set(traffic.version, known ? mergedTraffic(known, traffic) : traffic);
  }
  return [...byVersion.values()];
}
