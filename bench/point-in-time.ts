import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cells, figures, machine, table } from './figures.ts';
import { installPeer, PEERS_FOLDER, type Peer, peerPython } from './peer-environments.ts';
import { writePointInTimeData } from './point-in-time-data.ts';
import { differences } from './point-in-time-equality.ts';

const run = promisify(execFile);
const DEFAULT_ROUNDS = 3;
const EVENTS_PER_ENTITY = 1_000;
/** What DuckDB may have for SQL of its own; ours has its default, a twelfth of it. */
const SQL_MEMORY = '12GB';
/** Of the whole process. */
const FEAST_MEMORY_GB = 12;
/** After which a way is given up. */
const TIMEOUT_MS = 600_000;

/** One process: seconds with and without its start, CPU seconds, peak memory. */
interface Measure {
  whole: number;
  seconds: number;
  cpuSeconds: number;
  peakMiB: number;
}

const FEAST: Peer = {
  name: 'Feast 0.67.0: the join of means computed before',
  venv: 'feast',
  packages: ['feast[duckdb]==0.67.0'],
  script: ['feast_join.py'],
};

const OURS = [
  ['ours', 'Perennial: four windows'],
  ['asof', 'DuckDB, `ASOF JOIN`: the latest event alone'],
  ['range', 'DuckDB, `RANGE` frames over events and labels'],
  ['sums', 'DuckDB, running sums and five `ASOF JOIN`s'],
] as const;
const MEANS = ['means', 'DuckDB, the means at each event (for Feast)'] as const;
/** Each label with all of its events: only where that is a small table. */
const PAIRS = ['pairs', 'DuckDB, a join by range and `GROUP BY`'] as const;

const option = (name: string): string | undefined => {
  const place = process.argv.indexOf(name);
  return place >= 0 ? process.argv[place + 1] : undefined;
};

async function timed(command: string, args: readonly string[], env?: NodeJS.ProcessEnv) {
  const begin = performance.now();
  const { stdout } = await run(command, [...args], {
    env: { ...process.env, ...env },
    timeout: TIMEOUT_MS,
    maxBuffer: 2 ** 26,
  });
  return { stdout, whole: (performance.now() - begin) / 1_000 };
}

async function measureOurs(mode: string, home: string, memory: string | undefined): Promise<Measure> {
  const script = join(import.meta.dirname, 'point-in-time-once.mjs');
  const { stdout, whole } = await timed(process.execPath, [script, mode, home, ...(memory ? [memory] : [])]);
  const told: unknown = JSON.parse(stdout);
  const number = (key: string): number =>
    typeof told === 'object' && told !== null ? Number(Reflect.get(told, key)) : Number.NaN;
  return {
    whole,
    seconds: number('seconds'),
    cpuSeconds: number('cpuSeconds'),
    peakMiB: number('peakMiB'),
  };
}

/** What does not end in time or within its memory has no figures; the others are measured all the same. */
const unfinished =
  (name: string) =>
  (error: unknown): Measure => {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return { whole: Number.NaN, seconds: Number.NaN, cpuSeconds: Number.NaN, peakMiB: Number.NaN };
  };

/** Without the start of Python and its imports. */
async function measureFeast(home: string): Promise<Measure> {
  const scripts = ['_peak.py', ...FEAST.script].map((script) => join(PEERS_FOLDER, script));
  const { stdout, whole } = await timed(
    peerPython(FEAST),
    [...scripts, home, option('--feast-store') ?? 'duckdb', String(FEAST_MEMORY_GB)],
    { PYTHONDONTWRITEBYTECODE: '1' },
  );
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  return {
    whole,
    seconds: number(/ s_mmm=([\d.]+)/),
    cpuSeconds: number(/cpu_s_median=([\d.]+)/),
    peakMiB: number(/peak_rss_mib=(\d+)/),
  };
}

/**
 * Means of four windows before each of a million labels, of ten million events: each way in a process of its own, all of
 * them in turn in each round, and at the end all of their numbers held against each other. `--labels N`, `--events N`
 * and `--entities N` are the size, with a thousand events for each entity where the last is left out; `--memory 2GB` is
 * DuckDB's limit for ours, 1GB where it is left out; `--pairs` measures the join of all pairs too. `--peers` installs and
 * measures Feast, `--feast-store file` with its other store. `--data FOLDER` keeps the data, of one size; `--rounds N` is
 * 3 where it is left out.
 */
async function pointInTime(): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const events = Number(option('--events') ?? 10_000_000);
  const size = {
    labels: Number(option('--labels') ?? 1_000_000),
    events,
    entities: Number(option('--entities') ?? Math.ceil(events / EVENTS_PER_ENTITY)),
  };
  const peers = process.argv.includes('--peers');
  const modes = [...OURS, ...(process.argv.includes('--pairs') ? [PAIRS] : []), ...(peers ? [MEANS] : [])];
  const rounds = Number(option('--rounds') ?? DEFAULT_ROUNDS);
  const kept = option('--data');
  const home = kept ?? mkdtempSync(join(tmpdir(), 'perennial-bench-point-in-time-'));
  try {
    mkdirSync(home, { recursive: true });
    await writePointInTimeData(home, size);
    if (peers) await installPeer(FEAST);
    say(`${machine()}\n`);
    const contenders = [
      ...modes.map(([mode, name]) => ({
        name,
        once: () => measureOurs(mode, home, mode === 'ours' ? option('--memory') : SQL_MEMORY),
      })),
      ...(peers ? [{ name: FEAST.name, once: () => measureFeast(home) }] : []),
    ];
    const measured = new Map<string, Measure[]>();
    for (let round = 0; round < rounds; round++)
      for (const { name, once } of contenders)
        measured.set(name, [...(measured.get(name) ?? []), await once().catch(unfinished(name))]);
    say(tableOf(size, rounds, measured));
    say(`\n${machine()}\n`);
    say(
      await differences(
        home,
        modes.map(([mode]) => mode),
        peers,
      ),
    );
  } finally {
    if (kept === undefined) rmSync(home, { recursive: true, force: true });
  }
}

function tableOf(
  { labels, events, entities }: { labels: number; events: number; entities: number },
  rounds: number,
  measured: ReadonlyMap<string, readonly Measure[]>,
): string {
  const of = (ones: readonly Measure[], key: keyof Measure) => figures(ones.map((one) => one[key]));
  const mmm = (ones: readonly Measure[], key: keyof Measure): string => cells(of(ones, key), 2).join(' / ');
  const own = of(measured.get(OURS[0][1]) ?? [], 'whole').median;
  const count = (value: number): string => value.toLocaleString('en');
  return table(
    [
      `${count(labels)} labels, ${count(events)} events, ${count(entities)} entities; min / median / max of ${rounds}`,
      'whole process, s',
      'of ours',
      'without its start, s',
      'CPU, s',
      'peak MiB',
    ],
    [...measured].map(([name, ones]) => [
      name,
      mmm(ones, 'whole'),
      (of(ones, 'whole').median / own).toFixed(2),
      mmm(ones, 'seconds'),
      mmm(ones, 'cpuSeconds'),
      String(Math.round(of(ones, 'peakMiB').max)),
    ]),
  );
}

await pointInTime();
