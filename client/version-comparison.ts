import type { ModelLineage } from '../contracts/lineage.ts';
import type { TracedVersion } from './model-versions.ts';

/** One line of a comparison; `null` where a side has nothing there. */
export interface ComparedValue {
  what: string;
  a: Json;
  b: Json;
}
type Json = string | number | boolean | null;

/** A metric of both versions, each on its own rows of `split`. */
export interface ComparedMetric {
  split: 'test' | 'validation' | 'train';
  name: string;
  a: number | null;
  b: number | null;
  /** `b − a`. */
  difference: number | null;
  /** With the confidence that each version's spec states. */
  intervalA: { low: number; high: number } | null;
  intervalB: { low: number; high: number } | null;
}

export interface ComparedGate {
  condition: string;
  a: ModelLineage['evaluation']['gates'][number] | null;
  b: ModelLineage['evaluation']['gates'][number] | null;
}

/** Two versions side by side. */
export interface VersionComparison {
  model: string;
  a: { version: string; aliases: string[]; outcome: string; createdAt: string };
  b: { version: string; aliases: string[]; outcome: string; createdAt: string };
  /** Whether both were judged on the same test rows: only then may their metrics be compared. */
  sameTestRows: boolean;
  /** Settings of the specs that differ, by path. */
  spec: ComparedValue[];
  data: ComparedValue[];
  features: ComparedValue[];
  training: ComparedValue[];
  environment: ComparedValue[];
  metrics: ComparedMetric[];
  gates: ComparedGate[];
}

/**
 * What two versions differ in. Metrics and gates are all there, of everything else only what differs.
 *
 * @example compareVersions(await tracedVersion(mlflow, 'churn', '3'), await tracedVersion(mlflow, 'churn', '4'))
 */
export function compareVersions(a: TracedVersion, b: TracedVersion): VersionComparison {
  const [one, two] = [a.lineage, b.lineage];
  const head = ({ version, aliases, outcome, lineage }: TracedVersion) => ({
    version,
    aliases,
    outcome,
    createdAt: lineage.createdAt,
  });
  const of = (part: (lineage: ModelLineage) => unknown): ComparedValue[] => differing(part(one), part(two));
  return {
    model: a.name,
    a: head(a),
    b: head(b),
    sameTestRows: one.data.split.test.artifact.sha256 === two.data.split.test.artifact.sha256,
    spec: of(({ spec }) => spec.content),
    data: of(dataFacts),
    features: of(({ features: { preset, count, preprocess } }) => ({
      preset,
      count,
      'preprocess.onnx': preprocess.sha256,
    })),
    training: of(trainingFacts),
    environment: of(({ environment, code }) => ({ code, ...environment })),
    metrics: metricsOf(one, two),
    gates: gatesOf(one, two),
  };
}

const dataFacts = ({ data }: ModelLineage) => ({
  digest: data.digest,
  sources: Object.fromEntries(
    data.sources.map(({ name, origin, snapshot, rows, columns, suppressed }) => [
      name,
      { origin, snapshot: snapshot.sha256, rows, columns, suppressed },
    ]),
  ),
  sql: data.sql?.sha256 ?? null,
  table: {
    rows: data.table.rows,
    columns: Object.fromEntries(data.table.columns.map((name) => [name, true])),
  },
  validated: { rows: data.validated.rows },
  quarantine: { rows: data.quarantine?.rows ?? 0 },
  split: Object.fromEntries(
    (['train', 'validation', 'test'] as const).map((part) => [
      part,
      { rows: data.split[part].rows, digest: data.split[part].artifact.sha256 },
    ]),
  ),
});

const trainingFacts = ({ training }: ModelLineage) => {
  const { trials, trainer, seed, threads, parameters, iterations, bestIteration, libraries } = training;
  return {
    trial: trials.map(({ name }) => name).join(', '),
    trainer,
    seed,
    threads,
    iterations,
    bestIteration,
    parameters: parameters ?? {},
    libraries: libraries ?? {},
  };
};

/** The leaves of two values that differ, by path. Lists of things with names go by these. */
export function differing(a: unknown, b: unknown): ComparedValue[] {
  const [one, two] = [leaves(a), leaves(b)];
  return [...new Set([...one.keys(), ...two.keys()])].flatMap((what) => {
    const [left = null, right = null] = [one.get(what), two.get(what)];
    return left === right ? [] : [{ what, a: left, b: right }];
  });
}

function leaves(value: unknown): Map<string, Json> {
  const found = new Map<string, Json>();
  const walk = (inner: unknown, path: string): void => {
    if (Array.isArray(inner)) {
      const names = inner.map(nameOf);
      const named = names.every((name) => name !== undefined) && new Set(names).size === names.length;
      for (const [i, item] of inner.entries()) walk(item, `${path}[${named ? names[i] : i}]`);
    } else if (typeof inner === 'object' && inner !== null)
      for (const [key, item] of Object.entries(inner)) walk(item, path === '' ? key : `${path}.${key}`);
    else if (typeof inner === 'string' || typeof inner === 'number' || typeof inner === 'boolean')
      found.set(path, inner);
  };
  walk(value, '');
  return found;
}

const nameOf = (item: unknown): string | undefined =>
  typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string'
    ? item.name
    : undefined;

function metricsOf(one: ModelLineage, two: ModelLineage): ComparedMetric[] {
  const first = two.evaluation.metric;
  return (['test', 'validation', 'train'] as const).flatMap((split) => {
    const [a, b] = [one.evaluation[split], two.evaluation[split]];
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort(
      (x, y) => Number(y === first) - Number(x === first) || (x < y ? -1 : 1),
    );
    return names.map((name) => {
      const [left, right] = [a[name] ?? null, b[name] ?? null];
      const interval = ({ evaluation }: ModelLineage) =>
        split === 'test' ? (evaluation.intervals[name] ?? null) : null;
      return {
        split,
        name,
        a: left,
        b: right,
        difference: left === null || right === null ? null : right - left,
        intervalA: interval(one),
        intervalB: interval(two),
      };
    });
  });
}

function gatesOf(one: ModelLineage, two: ModelLineage): ComparedGate[] {
  const [a, b] = [one, two].map(
    ({ evaluation }) => new Map(evaluation.gates.map((gate) => [gate.condition, gate])),
  );
  return [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].map((condition) => ({
    condition,
    a: a?.get(condition) ?? null,
    b: b?.get(condition) ?? null,
  }));
}
