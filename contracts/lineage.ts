import { z } from 'zod';
import { PerennialError } from './errors.ts';
import { interval } from './evaluation-report.ts';
import { codeVersion } from './lifecycle.ts';
import { artifactRef } from './refs.ts';
import { gateVerdict } from './reports.ts';

/** The file in the model directory. */
export const LINEAGE_FILE = 'lineage.json';
/** Raised where older readers could not understand it. */
export const LINEAGE_SCHEMA = 2;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();
const versions = z.record(z.string(), z.string());
const metrics = z.record(z.string(), z.number());
const intervals = z.record(z.string(), z.object({ low: z.number(), high: z.number() }));
const part = z.object({ artifact: artifactRef, rows: count });
const matrix = z.object({
  features: artifactRef,
  labels: artifactRef,
  weights: artifactRef.optional(),
  rows: count,
});
const parameters = z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()]));

/** What a step ran on. No names of hosts or users. */
export const lineageEnvironment = z.object({
  /** Version of Perennial. */
  perennial: z.string(),
  node: z.string(),
  python: z.string(),
  /** Of the engines: npm packages, and the Python packages that the served model needs. */
  packages: z.object({ npm: versions, python: versions }),
  /** SHA-256 of the lock files; `null` where Perennial was installed as a package, which has no npm lock. */
  locks: z.object({ npm: sha256.nullable(), python: sha256.nullable() }),
  machine: z.object({
    platform: z.string(),
    arch: z.string(),
    cpu: z.string(),
    cores: count,
    memoryBytes: count,
  }),
});
export type LineageEnvironment = z.infer<typeof lineageEnvironment>;

/** What the trainer of a version was given, and what it made of it. */
const lineageTraining = z.object({
  /** Name of the model: that of its candidate, or `ensemble`. */
  candidate: z.string(),
  trainer: z.string(),
  /** The trials that it is made of: one, or those of an ensemble. */
  trials: z
    .array(
      z.object({
        /** Such as `lightgbm-7`. */
        name: z.string(),
        /** The candidate as the spec has it. */
        candidate: z.record(z.string(), z.unknown()),
        /** In force, defaults included. */
        parameters,
        iterations: count,
        /** What the trainer gave, before it was joined with the features. */
        model: artifactRef,
      }),
    )
    .min(1),
  seed: count,
  threads: z.number().int().positive(),
  /** In force, defaults included. Left out where the trainer did not report them. */
  parameters: parameters.optional(),
  /** Iterations that ran, and the one that the model stands for. */
  iterations: count,
  bestIteration: count,
  /** Libraries of the trainer, as it reported them. */
  libraries: versions.optional(),
  mlflowRunId: z.string(),
  seconds: z.number().nonnegative(),
  /** Trials that ended with a model, and that failed. */
  trained: count,
  failed: count,
});

/**
 * From a model version back to the commit and the rows: `lineage.json` of the model directory. Digests are those of the
 * time of training; where people were erased since, the artifact store knows what stands for them.
 */
export const modelLineage = z.object({
  schemaVersion: z.literal(LINEAGE_SCHEMA),
  /** ISO time. */
  createdAt: z.string(),
  model: z.object({ name: z.string(), modelId: z.string(), artifact: artifactRef }),
  run: z.object({
    workflowId: z.string(),
    runId: z.string(),
    experimentId: z.string(),
    mlflowRunId: z.string(),
    url: z.string(),
  }),
  code: codeVersion,
  /** With all defaults. `sha256` is of its canonical JSON: keys sorted, no spaces. */
  spec: z.object({ sha256, content: z.record(z.string(), z.unknown()) }),
  data: z.object({
    /** Of sources, SQL, filters, target and engine: the identity of the table. */
    digest: z.string(),
    sources: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        origin: z.string(),
        /** Of the source's own bytes. */
        sourceSha256: z.string(),
        snapshot: artifactRef,
        rows: count,
        columns: count,
        /** Rows of erased people that the source still had. */
        suppressed: count,
      }),
    ),
    /** `null` where the spec has none. */
    sql: z.object({ text: z.string(), sha256 }).nullable(),
    rowFilter: z.array(z.object({ where: z.string(), sha256 })),
    setAside: z.array(z.object({ reason: z.string(), rows: count })),
    table: part.extend({ columns: z.array(z.string()) }),
    validated: part,
    quarantine: part.nullable(),
    protected: part.extend({ actions: z.array(z.unknown()) }),
    split: z.object({ train: part, validation: part, test: part, unused: count }),
  }),
  features: z.object({
    preset: z.string(),
    count,
    plan: artifactRef,
    preprocess: artifactRef,
    outOfFold: artifactRef.optional(),
    train: matrix,
    validation: matrix,
    notes: z.array(z.string()),
  }),
  training: lineageTraining,
  evaluation: z.object({
    metric: z.string(),
    /** On the test split. */
    test: metrics,
    confidence: z.number(),
    intervals,
    train: metrics,
    validation: metrics,
    baseline: metrics,
    gates: z.array(
      z.object({
        condition: z.string(),
        passed: z.boolean(),
        /** Left out of files that older releases wrote, like `required` and `interval`. */
        verdict: gateVerdict.optional(),
        required: z.string().optional(),
        observed: z.number().nullable(),
        limit: z.number().nullable(),
        interval: interval.nullable().optional(),
        note: z.string().optional(),
      }),
    ),
  }),
  parents: z.object({
    /** The version in production that the candidate was judged against. */
    champion: z
      .object({ version: z.string(), test: metrics, notComparable: z.string().optional() })
      .nullable(),
  }),
  /** Of the worker that registered the version. */
  environment: lineageEnvironment,
});
export type ModelLineage = z.infer<typeof modelLineage>;

/**
 * The logged model that a registered version is of, by the version's source: MLflow takes a `model_id` but never gives it
 * back. `undefined` where Perennial did not register it.
 */
export const loggedModelOf = ({ source }: { source?: string | undefined }): string | undefined =>
  /^models:\/(m-[0-9a-f]+)$/.exec(source ?? '')?.[1];

/**
 * Reads the text of {@link LINEAGE_FILE}.
 *
 * @param of the version, for messages
 * @throws PerennialError `InputInvalid` where another release of Perennial wrote it
 */
export function parseLineage(text: string, of: string): ModelLineage {
  const parsed = modelLineage.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new PerennialError(
    'InputInvalid',
    `${of} has a ${LINEAGE_FILE} that is not of schema ${LINEAGE_SCHEMA}: another release of Perennial registered it; use that one, or train a new version with \`perennial run\``,
  );
}

/** The argument of workflow type `lineage`: digests, of which it tells what became of them. */
export const lineageInput = z.strictObject({ digests: z.array(sha256).max(2_000) });
export type LineageInput = z.input<typeof lineageInput>;

/** What became of an artifact. */
export const artifactState = z.strictObject({
  sha256,
  /** Whether it, or what took its place, can be read. */
  stored: z.boolean(),
  /** What stands for it now; itself where nothing was erased, `null` where nothing took its place. */
  inForce: sha256.nullable(),
  /** Certificates of the erasures that lead there, the first one first. */
  certificates: z.array(z.string()),
  /** What it took the place of. */
  formerly: z.array(sha256),
});
export type ArtifactState = z.infer<typeof artifactState>;

export const artifactStates = z.strictObject({ states: z.array(artifactState) });
