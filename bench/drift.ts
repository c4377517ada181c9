import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDriftData } from './drift-data.ts';
import { cells, figures, machine, table } from './figures.ts';
import { installPeer, PEERS_FOLDER, type Peer, peerPython } from './peer-environments.ts';

const run = promisify(execFile);
const ROWS = 500_000;
const DEFAULT_ROUNDS = 5;

/** One process: seconds with and without its start, CPU seconds, peak memory. */
interface Measure {
  whole: number;
  seconds: number;
  cpuSeconds: number;
  peakMiB: number;
}

/** The versions of the earlier measure. */
const PEERS: readonly Peer[] = [
  {
    name: 'DuckDB 2.0.0 (Python): PSI, exact KS, chi-square',
    venv: 'duck',
    packages: ['duckdb==2.0.0', 'numpy', 'pyarrow', 'pandas'],
    script: ['d_duckdb.py'],
  },
  {
    name: '… by histograms',
    venv: 'duck',
    packages: ['duckdb==2.0.0', 'numpy', 'pyarrow', 'pandas'],
    script: ['d_duckdb.py', 'hist'],
  },
  {
    name: 'NannyML 0.13.1: KS, Jensen-Shannon, chi-square',
    venv: 'nannyml',
    packages: ['nannyml==0.13.1', 'pyarrow', 'pandas<3', 'statsmodels'],
    script: ['d_nannyml.py'],
  },
  {
    name: 'Evidently 0.7.23, DataDriftPreset',
    venv: 'evidently',
    packages: ['evidently==0.7.23', 'pyarrow', 'pandas<3'],
    script: ['d_evidently.py'],
  },
];

const OURS = [
  ['whole', 'Perennial: all statistics and the report'],
  ['cached', '… the reference’s profile at hand'],
  ['profile', '… the profile alone'],
] as const;

const option = (name: string): string | undefined => {
  const place = process.argv.indexOf(name);
  return place >= 0 ? process.argv[place + 1] : undefined;
};

async function timed(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const begin = performance.now();
  const { stdout } = await run(command, [...args], { env, maxBuffer: 2 ** 26 });
  return { stdout, whole: (performance.now() - begin) / 1_000 };
}

async function measureOurs(mode: string, home: string): Promise<Measure> {
  const script = join(import.meta.dirname, 'drift-once.mjs');
  const files = [join(home, 'data'), join(home, 'profile.json'), join(home, 'page.html')];
  const { stdout, whole } = await timed(process.execPath, [script, mode, ...files], process.env);
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

/** A peer's own figure leaves the start of Python and its imports out, and of some the reading. */
async function measurePeer(peer: Peer, home: string): Promise<Measure> {
  const args = [
    join(PEERS_FOLDER, '_peak.py'),
    join(PEERS_FOLDER, peer.script[0] ?? ''),
    ...peer.script.slice(1),
  ];
  const { stdout, whole } = await timed(peerPython(peer), args, {
    ...process.env,
    PEERS_HOME: home,
    N: '1',
    PYTHONDONTWRITEBYTECODE: '1',
  });
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  return {
    whole,
    seconds: number(/ s_mmm=([\d.]+)/),
    cpuSeconds: number(/cpu_s_median=([\d.]+)/),
    peakMiB: number(/peak_rss_mib=(\d+)/),
  };
}

/**
 * Half a million rows against as many, twelve columns, each tool in a process of its own, all of them in turn in each
 * round. `--peers` installs and measures the Python tools too; `--data FOLDER` keeps the data; `--rounds N` is 5 where
 * it is left out.
 */
async function drift(): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const peers = process.argv.includes('--peers') ? PEERS : [];
  const kept = option('--data');
  const rounds = Number(option('--rounds') ?? DEFAULT_ROUNDS);
  const home = kept ?? mkdtempSync(join(tmpdir(), 'perennial-bench-drift-'));
  try {
    mkdirSync(join(home, 'data'), { recursive: true });
    await writeDriftData(join(home, 'data'), ROWS);
    for (const peer of peers) await installPeer(peer);
    await measureOurs('profile', home);
    say(`${machine()}\n`);
    const contenders = [
      ...OURS.map(([mode, name]) => ({ name, once: () => measureOurs(mode, home) })),
      ...peers.map((peer) => ({ name: peer.name, once: () => measurePeer(peer, home) })),
    ];
    const measured = new Map<string, Measure[]>();
    for (let round = 0; round < rounds; round++)
      for (const { name, once } of contenders)
        measured.set(name, [...(measured.get(name) ?? []), await once()]);
    say(tableOf(rounds, measured));
    say(`\n${machine()}`);
  } finally {
    if (kept === undefined) rmSync(home, { recursive: true, force: true });
  }
}

function tableOf(rounds: number, measured: ReadonlyMap<string, readonly Measure[]>): string {
  const mmm = (ones: readonly Measure[], key: keyof Measure): string =>
    cells(figures(ones.map((one) => one[key])), 2).join(' / ');
  return table(
    [
      `${ROWS.toLocaleString('en')} × ${ROWS.toLocaleString('en')} × 12; min / median / max of ${rounds}`,
      'whole process, s',
      'without its start, s',
      'CPU, s',
      'peak MiB',
    ],
    [...measured].map(([name, ones]) => [
      name,
      mmm(ones, 'whole'),
      mmm(ones, 'seconds'),
      mmm(ones, 'cpuSeconds'),
      String(Math.round(figures(ones.map(({ peakMiB }) => peakMiB)).max)),
    ]),
  );
}

await drift();
