import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { ConceptSpec } from '../contracts/spec/monitoring.ts';
import { createDetector } from '../domain/monitoring/detectors/create-detector.ts';
import { derivedSeed, seededRandom } from '../domain/random.ts';
import { type BankErrors, bankErrors } from './bank-errors.ts';
import { figures, machine, table } from './figures.ts';
import { installPeer, PEERS_FOLDER, peerPython } from './peer-environments.ts';

/*
 * How soon detectors find a change of the error of a model, and how often they find one where there is none, on streams
 * whose changes are known; beside river's detectors on the very same numbers. Bounded: about a minute.
 */

const SEEDS = Number(process.env.SEEDS ?? 100);
const LENGTH = 5_000;
/** The error before the change, which is where the stream is half over. */
const BEFORE = 0.1;
const CHANGE = LENGTH / 2;
const PEER = { name: 'river', venv: 'river', packages: ['river==0.26.1'], script: [] };

/** A stream of one kind: the mean of its errors at a place. */
interface Kind {
  name: string;
  mean: (place: number) => number;
  changes: boolean;
}

const KINDS: readonly Kind[] = [
  { name: 'no change', mean: () => BEFORE, changes: false },
  { name: 'abrupt, 0.10 to 0.15', mean: (place) => (place < CHANGE ? BEFORE : 0.15), changes: true },
  { name: 'abrupt, 0.10 to 0.20', mean: (place) => (place < CHANGE ? BEFORE : 0.2), changes: true },
  { name: 'abrupt, 0.10 to 0.40', mean: (place) => (place < CHANGE ? BEFORE : 0.4), changes: true },
  {
    name: 'gradual over 1,000, 0.10 to 0.30',
    mean: (place) => BEFORE + 0.2 * Math.min(1, Math.max(0, (place - CHANGE) / 1_000)),
    changes: true,
  },
];

/** Wrong answers, or losses between 0 and several times their mean, as those of a regression. */
const ERRORS = {
  'wrong answers': (mean: number, random: () => number) => Number(random() < mean),
  'real losses': (mean: number, random: () => number) => -mean * Math.log(1 - random()),
} as const;
type Errors = keyof typeof ERRORS;

const DETECTORS: readonly { spec: ConceptSpec; errors: readonly Errors[] }[] = [
  { spec: { detector: 'adwin', delta: 0.002 }, errors: ['wrong answers', 'real losses'] },
  { spec: { detector: 'ddm', warning: 2, drift: 3 }, errors: ['wrong answers'] },
  {
    spec: { detector: 'page-hinkley', delta: 0.005, threshold: 50 },
    errors: ['wrong answers', 'real losses'],
  },
  {
    spec: { detector: 'page-hinkley', delta: 0.005, threshold: 20 },
    errors: ['wrong answers', 'real losses'],
  },
];

/** A detector over a stream, which river reads from a file. */
interface Case {
  spec: ConceptSpec;
  errors: Errors;
  file: string;
  stream: Float64Array;
}

interface Run extends Case {
  kind: Kind;
}

function streamOf(errors: Errors, kind: Kind, seed: number): Float64Array {
  const random = seededRandom(derivedSeed(seed, errors, kind.name));
  return Float64Array.from({ length: LENGTH }, (_, place) => ERRORS[errors](kind.mean(place), random));
}

function runsIn(folder: string): Run[] {
  return (Object.keys(ERRORS) as Errors[]).flatMap((errors) =>
    KINDS.flatMap((kind, at) =>
      Array.from({ length: SEEDS }, (_, seed) => seed).flatMap((seed) => {
        const stream = streamOf(errors, kind, seed);
        const file = join(folder, `${errors.replace(' ', '-')}-${at}-${seed}.f64`);
        writeFileSync(file, stream);
        return DETECTORS.filter((one) => one.errors.includes(errors)).map(({ spec }) => ({
          spec,
          errors,
          kind,
          file,
          stream,
        }));
      }),
    ),
  );
}

function ownAnswers(runs: readonly Case[]): { answers: number[][]; seconds: number } {
  const start = performance.now();
  const answers = runs.map(({ spec, stream }) => {
    const detector = createDetector(spec);
    const drifts: number[] = [];
    for (const [place, error] of stream.entries()) if (detector.update(error) === 'drift') drifts.push(place);
    return drifts;
  });
  return { answers, seconds: (performance.now() - start) / 1_000 };
}

const peerAnswer = z.object({ answers: z.array(z.array(z.number())), seconds: z.number() });

function peerAnswers(runs: readonly Case[]): z.infer<typeof peerAnswer> {
  const python = process.env.RIVER_PYTHON ?? peerPython(PEER);
  const said = execFileSync(python, [join(PEERS_FOLDER, 'detect_river.py')], {
    input: JSON.stringify(runs.map(({ spec, file }) => ({ spec, file }))),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  return peerAnswer.parse(JSON.parse(said));
}

/** Cells of a table: streams whose change was found, the delays, false alarms in all streams by 10,000 errors. */
function quality(runs: readonly { kind: Kind; drifts: readonly number[] }[]): string[] {
  const isFalse = ({ changes }: Kind, place: number): boolean => !changes || place < CHANGE;
  const alarms = runs.reduce(
    (sum, { kind, drifts }) => sum + drifts.filter((place) => isFalse(kind, place)).length,
    0,
  );
  const errors = runs.reduce((sum, { kind }) => sum + (kind.changes ? CHANGE : LENGTH), 0);
  const delays = runs.flatMap(({ kind, drifts }) => {
    const found = kind.changes ? drifts.find((place) => place >= CHANGE) : undefined;
    return found === undefined ? [] : [found - CHANGE + 1];
  });
  const { median } = figures(delays);
  const late = delays.toSorted((a, b) => a - b)[Math.ceil(delays.length * 0.9) - 1];
  const changes = runs.some(({ kind }) => kind.changes);
  return [
    changes ? `${delays.length} of ${runs.length}` : '',
    delays.length > 0 ? `${Math.round(median)}, ${late}` : '',
    ((alarms / errors) * 10_000).toFixed(2),
  ];
}

/** The bank's calls under each detector, on either kind of error. */
function bankCases(folder: string, { wrong, losses }: BankErrors): Case[] {
  return (Object.keys(ERRORS) as Errors[]).flatMap((errors) => {
    const stream = errors === 'wrong answers' ? wrong : losses;
    const file = join(folder, `bank-${errors.replace(' ', '-')}.f64`);
    writeFileSync(file, stream);
    return DETECTORS.filter((one) => one.errors.includes(errors)).map(({ spec }) => ({
      spec,
      errors,
      file,
      stream,
    }));
  });
}

/** Where a model of 2008 and 2009 breaks: when it is found, and what was found before. */
function bankTable(
  { days, change, wrong, losses }: BankErrors,
  cases: readonly Case[],
  own: readonly number[][],
  peer: readonly number[][],
): string {
  const mean = (values: Float64Array): string =>
    (values.reduce((sum, one) => sum + one, 0) / values.length).toFixed(3);
  const rows = cases.map(({ errors, spec }, i) => {
    const of = (drifts: readonly number[]): string[] => {
      const found = drifts.find((place) => place >= change);
      return [
        found === undefined ? 'never' : `${days[found]}, ${found - change + 1} calls`,
        String(drifts.filter((place) => place < change).length),
      ];
    };
    return [errors, nameOf(spec), ...of(own[i] ?? []), ...of(peer[i] ?? [])];
  });
  return [
    `The bank's calls from ${days[0]} on, by a model of the year before: ${change.toLocaleString('en-US')} calls until it breaks on ${days[change]} (wrong answers ${mean(wrong.slice(0, change))}, Brier ${mean(losses.slice(0, change))}), ${(days.length - change).toLocaleString('en-US')} after it (${mean(wrong.slice(change))}, ${mean(losses.slice(change))}).`,
    '',
    table(['errors', 'detector', 'found', 'false alarms', 'river: found', 'false alarms'], rows),
  ].join('\n');
}

const nameOf = (spec: ConceptSpec): string =>
  spec.detector === 'page-hinkley'
    ? `page-hinkley, threshold ${spec.threshold}`
    : spec.detector === 'adwin'
      ? `adwin, delta ${spec.delta}`
      : 'ddm';

/**
 * Delay and false alarms of the detectors of concept drift, and river's. `SEEDS` in the environment is the number of
 * streams of each kind; `RIVER_PYTHON` a Python that has river, where none is to be installed.
 *
 * @returns Markdown tables
 */
export async function measureDetection(): Promise<string> {
  if (process.env.RIVER_PYTHON === undefined) await installPeer(PEER);
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-detection-'));
  try {
    const runs = runsIn(folder);
    const own = ownAnswers(runs);
    const peer = peerAnswers(runs);
    const bank = await bankErrors();
    const cases = bankCases(folder, bank);
    const rows: string[][] = [];
    for (const errors of Object.keys(ERRORS) as Errors[])
      for (const { spec } of DETECTORS.filter((one) => one.errors.includes(errors)))
        for (const kind of KINDS) {
          const places = runs.flatMap((run, i) =>
            run.spec === spec && run.errors === errors && run.kind === kind ? [i] : [],
          );
          const of = (answers: readonly number[][]): string[] =>
            quality(places.map((i) => ({ kind, drifts: answers[i] ?? [] })));
          rows.push([errors, nameOf(spec), kind.name, ...of(own.answers), ...of(peer.answers)]);
        }
    const same = runs.filter((_, i) => String(own.answers[i]) === String(peer.answers[i])).length;
    const numbers = runs.length * LENGTH;
    const rate = (seconds: number): string => (numbers / seconds / 1e6).toFixed(2);
    return [
      machine(),
      '',
      `${SEEDS} streams of ${LENGTH.toLocaleString('en-US')} errors of each kind; the change comes after ${CHANGE.toLocaleString('en-US')}. Delay in errors: median, 90th percentile. False alarms by 10,000 errors without a change.`,
      '',
      table(
        [
          'errors',
          'detector',
          'stream',
          'found',
          'delay',
          'false alarms',
          'river: found',
          'delay',
          'false alarms',
        ],
        rows,
      ),
      '',
      `${same} of ${runs.length} streams have the same drifts at the same places as river's. Million errors a second: ${rate(own.seconds)}, river ${rate(peer.seconds)}.`,
      '',
      bankTable(bank, cases, ownAnswers(cases).answers, peerAnswers(cases).answers),
    ].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.stdout.write(`${await measureDetection()}\n`);
