import pc from 'picocolors';
import type { Difference, ReproductionResult } from '../contracts/reproduction.ts';
import { fitted } from './comparison-text.ts';
import { amount, short } from './lineage-tree.ts';
import { terminalWidth, wrapped } from './tree.ts';

const number = (value: number | null): string => (value === null ? '-' : String(value));
const LINKS = {
  snapshots: 'the snapshots',
  table: 'the joined table',
  validated: 'the validated table',
  protected: 'the protected table',
  split: 'the split',
  features: 'the fitted features',
  matrices: 'the matrices that the trainer gets',
  model: 'the model, made of the same matrices',
} as const satisfies Record<ReproductionResult['links'][number]['link'], string>;

const SAME_WORKERS =
  'the workers that registered the version and that opened its reproduction have the same software and machine';
/** Nothing of them is known but what they say of their libraries. */
const NOT_COMPARED =
  'Not compared: workers that only trained, and the programs of command and activity trainers.';

/** What came of a reproduction, for a terminal. */
export function reproductionText(result: ReproductionResult, width = terminalWidth()): string {
  const { modelName, version, verdict, departed, erased, environment, links, metrics, seconds, run } = result;
  const of = `version ${version} of ${modelName}`;
  const head = {
    identical: `${pc.green('✓')} ${of} came out again: the model file is the same, byte for byte`,
    equal: `${pc.yellow('!')} ${of} came out again with the same metrics, but another model file`,
    different: `${pc.red('✗')} ${of} did not come out again`,
  }[verdict];
  const notes = [
    ...(erased.people > 0
      ? [
          `reproduced on data without ${amount(erased.people, 'person', 'people')} who ${erased.people === 1 ? 'was' : 'were'} erased since (${erased.sources.join(', ')}): numbers may differ`,
        ]
      : []),
    ...(departed === null ? [] : [`departed at: ${LINKS[departed]}`]),
  ];
  const changed = metrics.filter(({ was, is }) => was !== is);
  const parts = links.flatMap(({ link, differences }) => differences.map((one) => ({ link, ...one })));
  return [
    head,
    ...(notes.length > 0 ? [notes.map((note) => wrapped(note, width).join('\n')).join('\n')] : []),
    ...(parts.length > 0
      ? [
          fitted(
            [
              ['LINK', 'PART', 'WAS', 'IS'],
              ...parts.map(({ link, what, was, is }) => [link, what, digest(was), digest(is)]),
            ],
            width,
          ),
        ]
      : []),
    ...(changed.length > 0
      ? [
          fitted(
            [
              ['METRIC', 'WAS', 'IS'],
              ...changed.map(({ split, name, was, is }) => [`${split} ${name}`, number(was), number(is)]),
            ],
            width,
          ),
        ]
      : [`all ${metrics.length} metrics are the same`]),
    ...(environment.length > 0
      ? [fitted([['SINCE THEN', 'WAS', 'IS'], ...environment.map(environmentRow)], width)]
      : [wrapped(SAME_WORKERS, width).join('\n')]),
    pc.dim(wrapped(NOT_COMPARED, width).join('\n')),
    pc.dim(`${seconds.toFixed(1)} s; MLflow run ${run.url}`),
  ].join('\n\n');
}

const digest = (value: string | null): string => (value === null ? '-' : short(value));
const environmentRow = ({ what, was, is }: Difference): string[] => [what, word(was), word(is)];
const word = (value: string | null): string =>
  value === null || value === '' ? '-' : /^[0-9a-f]{64}$/.test(value) ? short(value) : value;
