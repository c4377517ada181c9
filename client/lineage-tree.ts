import type { EndpointState } from '../contracts/endpoint.ts';
import type { ArtifactState, ModelLineage } from '../contracts/lineage.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { TracedVersion } from './model-versions.ts';
import type { TreeNode } from './tree.ts';

/** Digits of a digest that are shown; enough to find it by. */
export const short = (sha256: string): string => sha256.slice(0, 12);
export const amount = (value: number, one: string, more = `${one}s`): string =>
  `${value.toLocaleString('en-US')} ${value === 1 ? one : more}`;

const bytes = (value: number): string =>
  value < 1e3
    ? `${value} B`
    : value < 1e6
      ? `${(value / 1e3).toFixed(1)} kB`
      : `${(value / 1e6).toFixed(1)} MB`;
const time = (iso: string): string => iso.slice(0, 16).replace('T', ' ');
const joined = (...parts: (string | false | undefined)[]): string => parts.filter(Boolean).join(', ');

/** What a tree of a version's origin is drawn from. */
export interface Origin {
  traced: TracedVersion;
  /** Of the artifacts of the lineage, by digest. */
  states: ReadonlyMap<string, ArtifactState>;
  /** The endpoint of the model; `null` where none was ever asked to serve it. */
  endpoint: Pick<EndpointState, 'current' | 'served' | 'table'> | null;
}

/** The digests that {@link originTree} wants the states of. */
export const artifactsOf = ({ data, features, model }: ModelLineage): string[] => [
  ...data.sources.map(({ snapshot }) => snapshot.sha256),
  data.table.artifact.sha256,
  data.validated.artifact.sha256,
  data.protected.artifact.sha256,
  ...Object.values(partsOf(data.split)).map(({ artifact }) => artifact.sha256),
  features.preprocess.sha256,
  model.artifact.sha256,
];

/** From a version back to its sources, and where it serves. */
export function originTree({ traced, states, endpoint }: Origin): TreeNode {
  const { name, version, aliases, outcome, lineage } = traced;
  const { model, run, code, parents, environment } = lineage;
  const champion = parents.champion;
  return {
    label: `${name} version ${version}`,
    facts: joined(aliases.join(', '), outcome, `registered ${time(lineage.createdAt)}`),
    children: [
      { label: `endpoint ${name}`, facts: served(version, endpoint) },
      {
        label: `${champion ? `judged against version ${champion.version}` : 'judged without a champion'}`,
        ...(champion?.notComparable ? { facts: champion.notComparable } : {}),
      },
      {
        ...artifact(`model ${short(model.artifact.sha256)}`, model.artifact, states),
        facts: joined('model.onnx', bytes(model.artifact.bytes)),
        children: [trialNode(lineage, states)],
      },
      {
        label: `code ${code.commit ? short(code.commit) : 'unknown'}`,
        facts:
          code.commit === null
            ? 'not started from a git repository'
            : code.dirty
              ? 'with changes that are not committed'
              : 'as committed',
      },
      { label: `spec ${short(lineage.spec.sha256)}`, facts: `pipeline ${String(lineage.spec.content.name)}` },
      {
        label: `run ${run.workflowId}`,
        children: [{ label: `MLflow run ${run.mlflowRunId}`, facts: run.url }],
      },
      {
        label: `Perennial ${environment.perennial}`,
        facts: joined(
          `Node ${environment.node}`,
          `Python ${environment.python}`,
          `${environment.machine.platform}-${environment.machine.arch}`,
          environment.machine.cpu,
          amount(environment.machine.cores, 'core'),
        ),
      },
    ],
  };
}

function served(version: string, endpoint: Origin['endpoint']): string {
  if (endpoint === null) return 'serves nothing yet';
  const { current, served: earlier, table } = endpoint;
  if (current?.version === version) return `serves this version, generation ${table.generation}`;
  const now = current ? `serves version ${current.version}` : 'serves nothing';
  return earlier.some((model) => model.version === version) ? `${now}; this one before` : now;
}

function trialNode(lineage: ModelLineage, states: Origin['states']): TreeNode {
  const { training, features } = lineage;
  const { trials, trainer, iterations, bestIteration, seed, parameters, libraries, trained, failed } =
    training;
  const pairs = (values: Readonly<Record<string, unknown>>, sign: string): string =>
    Object.entries(values)
      .map(([key, value]) => `${key}${sign}${String(value)}`)
      .join(', ');
  const [first] = trials;
  return {
    label:
      trials.length === 1
        ? `trial ${first?.name}`
        : `ensemble of ${trials.map(({ name }) => name).join(', ')}`,
    facts: joined(
      trials.length === 1 && trainer,
      `best of ${trained}${failed > 0 ? `, ${failed} failed` : ''}`,
      `iteration ${bestIteration} of ${iterations}`,
      `seed ${seed}`,
    ),
    children: [
      ...(parameters && Object.keys(parameters).length > 0
        ? [{ label: 'parameters', facts: pairs(parameters, '=') }]
        : []),
      ...(libraries && Object.keys(libraries).length > 0
        ? [{ label: 'libraries', facts: pairs(libraries, ' ') }]
        : []),
      {
        ...artifact(`features ${short(features.preprocess.sha256)}`, features.preprocess, states),
        facts: joined(amount(features.count, 'column'), `preset ${features.preset}`),
        children: [splitNode(lineage, states)],
      },
    ],
  };
}

const partsOf = ({ train, validation, test }: ModelLineage['data']['split']) => ({ train, validation, test });

function splitNode({ data }: ModelLineage, states: Origin['states']): TreeNode {
  const parts = Object.entries(partsOf(data.split));
  const gone = parts.flatMap(([part, { artifact: ref }]) =>
    stateWords(ref, states).map((words) => `${part}: ${words}`),
  );
  return {
    label: 'split',
    facts: parts.map(([part, { rows }]) => `${part} ${rows.toLocaleString('en-US')}`).join(', '),
    ...(gone.length > 0 ? { warning: gone.join('; ') } : {}),
    children: [tableNode(data, states)],
  };
}

/** The tables, the last one first; a stage that changed nothing is left out. */
function tableNode(data: ModelLineage['data'], states: Origin['states']): TreeNode {
  const { table, sql, rowFilter, setAside, validated, quarantine, protected: kept } = data;
  const aside = setAside.reduce((sum, { rows }) => sum + rows, 0);
  let node: TreeNode = {
    ...artifact(`table ${short(table.artifact.sha256)}`, table.artifact, states),
    facts: joined(
      amount(table.rows, 'row'),
      amount(table.columns.length, 'column'),
      sql ? `SQL ${short(sql.sha256)}` : 'no SQL',
      rowFilter.length > 0 && amount(rowFilter.length, 'row filter'),
      aside > 0 && `${amount(aside, 'row')} set aside`,
    ),
    children: data.sources.map((source) => ({
      ...artifact(`snapshot ${short(source.snapshot.sha256)} of ${source.name}`, source.snapshot, states),
      facts: joined(
        amount(source.rows, 'row'),
        source.suppressed > 0 && `without ${amount(source.suppressed, 'row')} of erased people`,
        `${source.kind} ${source.origin}`,
      ),
    })),
  };
  if (validated.artifact.sha256 !== table.artifact.sha256)
    node = {
      ...artifact(`validated ${short(validated.artifact.sha256)}`, validated.artifact, states),
      facts: joined(amount(validated.rows, 'row'), quarantine !== null && `${quarantine.rows} in quarantine`),
      children: [node],
    };
  if (kept.artifact.sha256 !== validated.artifact.sha256)
    node = {
      ...artifact(`protected ${short(kept.artifact.sha256)}`, kept.artifact, states),
      facts: joined(amount(kept.rows, 'row'), amount(kept.actions.length, 'personal column')),
      children: [node],
    };
  return node;
}

const artifact = (label: string, ref: ArtifactRef, states: Origin['states']): TreeNode => {
  const words = stateWords(ref, states);
  return { label, ...(words.length > 0 ? { warning: words.join('; ') } : {}) };
};

/** What happened to an artifact since, in words. */
export function stateWords({ sha256 }: Pick<ArtifactRef, 'sha256'>, states: Origin['states']): string[] {
  const state = states.get(sha256);
  if (!state) return [];
  const { certificates, inForce, stored } = state;
  if (certificates.length === 0) return stored ? [] : ['no longer in the artifact store'];
  const by = `${amount(certificates.length, 'person', 'people')} erased since (certificate ${certificates.join(', ')})`;
  if (inForce === null) return [`${by}, nothing took its place`];
  return [
    `${by}: ${short(inForce)} took its place${stored ? '' : ', which is no longer in the artifact store'}`,
  ];
}
