import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { figures, machine, table } from './figures.ts';
import { installPeer } from './peer-environments.ts';
import { writeValidationData } from './validation-data.ts';
import { measurePeer, PEERS } from './validation-peers.ts';

const run = promisify(execFile);
const ROWS = 5_000_000;
const DEFAULT_ROUNDS = 5;

/** One process: seconds with and without its start, CPU seconds without it, peak memory. */
export interface Measure {
  whole: number;
  seconds: number;
  cpuSeconds: number;
  peakMiB: number;
}

const OURS: Record<string, readonly (readonly [mode: string, name: string])[]> = {
  parquet: [
    ['bare', 'DuckDB of Perennial, one SQL pass'],
    ['ours', 'Perennial, from a spec'],
    ['tables', 'DuckDB of Perennial, one SQL pass, then both tables of the next line by COPY'],
    ['quarantine', 'Perennial, 0.5 % of rows quarantined with reasons, both tables written'],
  ],
  csv: [
    ['bare', 'DuckDB of Perennial, one SQL pass'],
    ['ours', 'Perennial, from a spec, straight from CSV, read as the pass above reads it'],
    ['typed', '… read as ingest reads it: no value is converted with loss'],
    ['snapshot', '… and written as a Parquet snapshot first, as a run does'],
  ],
};

const option = (name: string): string | undefined => {
  const place = process.argv.indexOf(name);
  return place >= 0 ? process.argv[place + 1] : undefined;
};

async function measureOurs(mode: string, file: string): Promise<Measure> {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-once-'));
  try {
    const begin = performance.now();
    const script = join(import.meta.dirname, 'validation-once.mjs');
    const { stdout } = await run(process.execPath, [script, mode, file, folder]);
    const whole = (performance.now() - begin) / 1_000;
    const told: unknown = JSON.parse(stdout);
    const number = (key: string): number =>
      typeof told === 'object' && told !== null ? Number(Reflect.get(told, key)) : Number.NaN;
    return {
      whole,
      seconds: number('seconds'),
      cpuSeconds: number('cpuSeconds'),
      peakMiB: number('peakMiB'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Twenty expectations over five million rows of twelve columns, each tool in a process of its own, all of them in
 * turn in each round. `--peers` installs and measures the Python tools too; `--data FOLDER` keeps the data;
 * `--rounds N` is 5 where it is left out.
 */
export async function validation(): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const peers = process.argv.includes('--peers') ? PEERS : [];
  const kept = option('--data');
  const rounds = Number(option('--rounds') ?? DEFAULT_ROUNDS);
  const home = kept ?? mkdtempSync(join(tmpdir(), 'perennial-bench-validation-'));
  try {
    const folder = join(home, 'data');
    mkdirSync(folder, { recursive: true });
    await writeValidationData(folder, ROWS);
    for (const peer of peers) await installPeer(peer);
    say(`${machine()}\n`);
    for (const format of ['parquet', 'csv']) {
      const file = join(folder, `c.${format}`);
      const contenders = [
        ...(OURS[format] ?? []).map(([mode, name]) => ({ name, once: () => measureOurs(mode, file) })),
        ...peers.map((peer) => ({ name: peer.name, once: () => measurePeer(peer, format, home) })),
      ];
      const measured = new Map<string, Measure[]>();
      for (let round = 0; round < rounds; round += 1)
        for (const { name, once } of contenders)
          measured.set(name, [...(measured.get(name) ?? []), await once()]);
      say(tableOf(format, rounds, measured));
    }
    say(`${machine()}\n`);
  } finally {
    if (kept === undefined) rmSync(home, { recursive: true, force: true });
  }
}

function tableOf(format: string, rounds: number, measured: ReadonlyMap<string, readonly Measure[]>): string {
  const of = (name: string, key: keyof Measure) => figures((measured.get(name) ?? []).map((one) => one[key]));
  const [reference = ''] = measured.keys();
  const mmm = (name: string, key: keyof Measure): string => {
    const { min, median, max } = of(name, key);
    return [min, median, max].map((value) => value.toFixed(2)).join(' / ');
  };
  const ratio = (name: string, key: keyof Measure): string =>
    (of(name, key).median / of(reference, key).median).toFixed(2);
  const rows = [...measured.keys()].map((name) => [
    name,
    mmm(name, 'whole'),
    mmm(name, 'seconds'),
    ratio(name, 'seconds'),
    mmm(name, 'cpuSeconds'),
    ratio(name, 'cpuSeconds'),
    String(Math.round(of(name, 'peakMiB').max)),
  ]);
  return `${table(
    [
      `20 expectations, 5 M × 12, ${format}; min / median / max of ${rounds}`,
      'whole process, s',
      'without its start, s',
      '× the first',
      'CPU, s',
      '× the first',
      'peak MiB',
    ],
    rows,
  )}\n`;
}
