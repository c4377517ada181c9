import type { LineageEnvironment, ModelLineage } from '../contracts/lineage.ts';
import type { MetricValues } from '../contracts/reports.ts';
import {
  CHAIN,
  type ChainDigests,
  type Difference,
  type ErasedSince,
  type ReproductionResult,
  type ReproductionTarget,
} from '../contracts/reproduction.ts';
import type {
  EvaluateOutput,
  IngestOutput,
  PreparedFeatures,
  ProtectOutput,
  SplitOutput,
  TrainedCandidate,
  ValidateOutput,
} from '../contracts/stages.ts';

/** What the stages of a reproduction gave. */
export interface Reproduced {
  ingest: IngestOutput;
  validate: ValidateOutput;
  protect: ProtectOutput;
  split: SplitOutput;
  features: PreparedFeatures;
  trained: TrainedCandidate;
  evaluate: EvaluateOutput;
}

/** The digests that a version was made of, by link of the chain. */
export function chainOfLineage({ data, features, model }: ModelLineage): ChainDigests {
  return {
    snapshots: Object.fromEntries(data.sources.map(({ name, snapshot }) => [name, snapshot.sha256])),
    table: { joined: data.table.artifact.sha256 },
    validated: { validated: data.validated.artifact.sha256 },
    protected: { protected: data.protected.artifact.sha256 },
    split: digests(data.split),
    features: featureDigests(features),
    matrices: matrixDigests(features),
    model: { 'model.onnx': model.artifact.sha256 },
  };
}

/** The same of what was made again. */
function chainOfReproduction(made: Reproduced): ChainDigests {
  return {
    snapshots: Object.fromEntries(
      made.ingest.sources.map(({ name, snapshot }) => [name, snapshot.artifact.sha256]),
    ),
    table: { joined: made.ingest.table.artifact.sha256 },
    validated: { validated: made.validate.table.artifact.sha256 },
    protected: { protected: made.protect.table.artifact.sha256 },
    split: digests(made.split),
    features: featureDigests(made.features),
    matrices: matrixDigests(made.features),
    model: { 'model.onnx': made.trained.model.sha256 },
  };
}

interface Part {
  artifact: { sha256: string };
}
const digests = ({ train, validation, test }: Record<'train' | 'validation' | 'test', Part>) => ({
  train: train.artifact.sha256,
  validation: validation.artifact.sha256,
  test: test.artifact.sha256,
});

type FeatureDigests = Pick<PreparedFeatures, 'preprocess' | 'outOfFold' | 'train' | 'validation'>;

const featureDigests = ({ preprocess, outOfFold }: FeatureDigests) => ({
  'preprocess.onnx': preprocess.sha256,
  ...(outOfFold ? { 'out of fold': outOfFold.sha256 } : {}),
});

const matrixDigests = ({ train, validation }: FeatureDigests) => ({
  'train features': train.features.sha256,
  'train labels': train.labels.sha256,
  'validation features': validation.features.sha256,
  'validation labels': validation.labels.sha256,
  ...(train.weights ? { 'train weights': train.weights.sha256 } : {}),
  ...(validation.weights ? { 'validation weights': validation.weights.sha256 } : {}),
});

/** What differs between two records of words, in the order of the first. */
export function differences(
  was: Readonly<Record<string, string>>,
  is: Readonly<Record<string, string>>,
): Difference[] {
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((what) =>
    was[what] === is[what] ? [] : [{ what, was: was[what] ?? null, is: is[what] ?? null }],
  );
}

/** What may explain that a model differs: software and machine, flat. */
export function environmentDifferences(was: LineageEnvironment, is: LineageEnvironment): Difference[] {
  const flat = ({ perennial, node, python, packages, locks, machine }: LineageEnvironment) => ({
    perennial,
    node,
    python,
    ...prefixed('npm ', packages.npm),
    ...prefixed('python ', packages.python),
    'package-lock.json': locks.npm ?? '',
    'requirements.lock': locks.python ?? '',
    platform: `${machine.platform}-${machine.arch}`,
    cpu: machine.cpu,
    cores: String(machine.cores),
  });
  return differences(flat(was), flat(is));
}

const prefixed = (prefix: string, values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

/**
 * Holds what was made again against what the version was: link by link, number by number. Metrics are compared exactly,
 * the same model has the same ones.
 *
 * @param environment what software and machine differ in
 */
export function verdictOf(
  target: ReproductionTarget,
  made: Reproduced,
  { erased, environment }: { erased: ErasedSince; environment: readonly Difference[] },
): Omit<ReproductionResult, 'modelName' | 'version' | 'run' | 'seconds'> {
  const chain = chainOfReproduction(made);
  const links = CHAIN.map((link) => {
    const found = differences(target.chain[link], chain[link]);
    return { link, same: found.length === 0, differences: found };
  });
  const metrics = [
    ...compared('test', target.test, made.evaluate.test),
    ...compared('validation', target.validation, made.trained.validation),
  ];
  const sameModel = links.every(({ link, same }) => link !== 'model' || same);
  return {
    verdict: sameModel ? 'identical' : metrics.every(({ was, is }) => was === is) ? 'equal' : 'different',
    departed: links.find(({ same }) => !same)?.link ?? null,
    links,
    metrics,
    erased,
    environment: [...environment],
  };
}

const compared = (
  split: 'test' | 'validation',
  was: Readonly<Record<string, number>>,
  is: MetricValues,
): ReproductionResult['metrics'] => {
  const now: Readonly<Record<string, number | undefined>> = is;
  return [...new Set([...Object.keys(was), ...Object.keys(now)])].map((name) => ({
    split,
    name,
    was: was[name] ?? null,
    is: now[name] ?? null,
  }));
};
