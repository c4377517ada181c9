import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import type { ArtifactState } from '../contracts/lineage.ts';
import {
  collect,
  type DatasetInput,
  type MlflowClient,
  MlflowError,
  type Run,
} from '../packages/mlflow-client-ts/src/index.ts';
import { amount, short, stateWords } from './lineage-tree.ts';
import type { TreeNode } from './tree.ts';

/** What was made of snapshots. */
export interface SnapshotUse {
  sha256: string;
  source: string;
  rows: number | null;
  tables: TableUse[];
}
interface TableUse {
  /** Identity of the data: sources, SQL, filters, engine. */
  digest: string;
  runs: RunUse[];
}
interface RunUse {
  workflowId: string;
  mlflowRunId: string;
  pipeline: string;
  status: string;
  outcome: string | null;
  startedAt: string | null;
  /** `name/version` where it was a reproduction. */
  reproduces: string | null;
  version: { name: string; version: string; aliases: string[]; outcome: string; deleted: boolean } | null;
}

/** Which snapshots are meant: of a source, or by digest. */
export type SnapshotFilter = { source: string } | { digests: readonly string[] };

/** MLflow keeps the first digits of a digest. */
const KEPT_DIGITS = 32;
const CONTEXT = 'mlflow.data.context';
const datasetSource = z.object({ snapshot: z.string().optional(), data: z.string().optional() });
const datasetProfile = z.object({ num_rows: z.number() });

/**
 * What was made of snapshots, by the dataset inputs that every run has in MLflow: also runs that ended without a version.
 *
 * @param filter `digests` may be cut off, at 8 digits or later
 */
export async function snapshotUses(mlflow: MlflowClient, filter: SnapshotFilter): Promise<SnapshotUse[]> {
  const experimentIds = (await collect(mlflow.experiments.search({}))).map((one) => one.experimentId);
  if (experimentIds.length === 0) return [];
  const clauses =
    'source' in filter
      ? [`dataset.name = '${filter.source.replaceAll("'", '')}' AND dataset.context = 'source'`]
      : filter.digests.map((digest) => `dataset.digest LIKE '${digest.slice(0, KEPT_DIGITS)}%'`);
  const uses = new Map<string, SnapshotUse>();
  const known = new Set<string>();
  for (const clause of clauses)
    for await (const run of mlflow.runs.search({ experimentIds, filter: clause })) {
      if (known.has(run.info.runId)) continue;
      known.add(run.info.runId);
      await addRun(mlflow, uses, run, filter);
    }
  return [...uses.values()];
}

async function addRun(
  mlflow: MlflowClient,
  uses: Map<string, SnapshotUse>,
  run: Run,
  filter: SnapshotFilter,
): Promise<void> {
  const { datasets } = run.inputs;
  const data = datasets.map((input) => sourceOf(input).data).find((digest) => digest !== undefined) ?? '';
  let use: RunUse | undefined;
  for (const input of datasets) {
    if (input.tags?.[CONTEXT] !== 'source') continue;
    const { name, profile } = input.dataset;
    const sha256 = sourceOf(input).snapshot?.replace(/^cas:/, '');
    if (sha256 === undefined || !isMeant(filter, name, sha256)) continue;
    use ??= await runUse(mlflow, run);
    const rows = datasetProfile.safeParse(parsed(profile));
    const found: SnapshotUse = uses.get(`${sha256} ${name}`) ?? {
      sha256,
      source: name,
      rows: rows.success ? rows.data.num_rows : null,
      tables: [],
    };
    uses.set(`${sha256} ${name}`, found);
    const table = found.tables.find(({ digest }) => digest === data);
    if (table) table.runs.push(use);
    else found.tables.push({ digest: data, runs: [use] });
  }
}

const isMeant = (filter: SnapshotFilter, source: string, sha256: string): boolean =>
  'source' in filter ? source === filter.source : filter.digests.some((digest) => sha256.startsWith(digest));

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** Datasets that others logged say nothing of ours. */
function sourceOf({ dataset }: DatasetInput): z.infer<typeof datasetSource> {
  const found = datasetSource.safeParse(parsed(dataset.source));
  return found.success ? found.data : {};
}

async function runUse(mlflow: MlflowClient, { info, data: { tags } }: Run): Promise<RunUse> {
  const [, name, version] = /^(.+)\/(\d+)$/.exec(tags['perennial.model_version'] ?? '') ?? [];
  const found =
    name !== undefined && version !== undefined
      ? await mlflow.modelVersions.get({ name, version }).catch((error: unknown) => {
          if (error instanceof MlflowError && error.isNotFound) return undefined;
          throw error;
        })
      : undefined;
  return {
    workflowId: tags['perennial.workflow_id'] ?? info.runName ?? info.runId,
    mlflowRunId: info.runId,
    pipeline: tags['perennial.pipeline'] ?? '',
    status: info.status,
    outcome: tags['perennial.outcome'] ?? tags['perennial.verdict'] ?? null,
    startedAt: info.startTime === undefined ? null : new Date(info.startTime).toISOString(),
    reproduces: tags['perennial.reproduces'] ?? null,
    version:
      name === undefined || version === undefined
        ? null
        : {
            name,
            version,
            aliases: [...(found?.aliases ?? [])],
            outcome: found?.tags['perennial.outcome'] ?? '',
            deleted: found === undefined,
          },
  };
}

/** @throws PerennialError `InputInvalid`: no run read a source of this name, with the nearest one */
export async function unknownSource(mlflow: MlflowClient, name: string): Promise<PerennialError> {
  const experimentIds = (await collect(mlflow.experiments.search({}))).map((one) => one.experimentId);
  const names = new Set<string>();
  if (experimentIds.length > 0)
    for await (const run of mlflow.runs.search({
      experimentIds,
      filter: "dataset.context = 'source'",
      limit: 500,
    }))
      for (const { dataset, tags } of run.inputs.datasets)
        if (tags?.[CONTEXT] === 'source') names.add(dataset.name);
  const hint = nearest(name, [...names]);
  return new PerennialError(
    'InputInvalid',
    `no run read a source ${name}${hint ? `; did you mean ${hint}?` : names.size > 0 ? `. The sources are ${[...names].sort().join(', ')}` : '; there are no runs yet'}`,
  );
}

/** What was made of a snapshot, as a tree: tables, runs, versions. */
export function usesTree(use: SnapshotUse, states: ReadonlyMap<string, ArtifactState>): TreeNode {
  const words = stateWords(use, states);
  const former = states.get(use.sha256)?.formerly ?? [];
  return {
    label: `snapshot ${short(use.sha256)} of ${use.source}`,
    facts: [
      ...(use.rows === null ? [] : [amount(use.rows, 'row')]),
      ...(former.length > 0 ? [`took the place of ${former.map(short).join(', ')}`] : []),
    ].join(', '),
    ...(words.length > 0 ? { warning: words.join('; ') } : {}),
    children: use.tables.map(({ digest, runs }) => ({
      label: `data ${short(digest)}`,
      facts: amount(runs.length, 'run'),
      children: runs.map(runNode),
    })),
  };
}

function runNode(run: RunUse): TreeNode {
  const { version, reproduces } = run;
  return {
    label: `run ${run.workflowId}`,
    facts: [
      run.outcome?.replaceAll('_', ' ') ?? run.status.toLowerCase(),
      ...(reproduces ? [`makes ${reproduces} again`] : []),
      ...(run.startedAt ? [run.startedAt.slice(0, 16).replace('T', ' ')] : []),
    ].join(', '),
    children: version
      ? [
          {
            label: `${version.name} version ${version.version}`,
            facts: version.deleted
              ? 'deleted'
              : [...version.aliases, version.outcome].filter(Boolean).join(', '),
          },
        ]
      : [],
  };
}
