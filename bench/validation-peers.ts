import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PEERS_FOLDER, type Peer, peerPython } from './peer-environments.ts';
import type { Measure } from './validation.ts';

const run = promisify(execFile);
/** The same versions as in the earlier measure. */
export const PEERS: readonly Peer[] = [
  {
    name: 'DuckDB 2.0.0 (Python), one SQL pass',
    venv: 'duck',
    packages: ['duckdb==2.0.0'],
    script: ['c_duckdb.py'],
  },
  {
    name: 'DuckDB 2.0.0 (Python), decoding alone',
    venv: 'duck',
    packages: ['duckdb==2.0.0'],
    script: ['c_floor.py'],
  },
  {
    name: 'pandera 0.35.0, polars',
    venv: 'pandera',
    packages: ['pandera[pandas,polars]==0.35.0', 'pyarrow', 'polars==2.1.0'],
    script: ['c_pandera.py', 'polars'],
  },
  {
    name: 'pandera 0.35.0, pandas',
    venv: 'pandera',
    packages: ['pandera[pandas,polars]==0.35.0', 'pyarrow', 'polars==2.1.0'],
    script: ['c_pandera.py', 'pandas'],
  },
  {
    name: 'Great Expectations 1.24.1, pandas',
    venv: 'gx',
    packages: ['great_expectations==1.24.1', 'pyarrow'],
    script: ['c_gx.py'],
  },
];

/** Runs a peer once, in a process of its own. Its own figure leaves the start of Python out. */
export async function measurePeer(peer: Peer, format: string, home: string): Promise<Measure> {
  const python = peerPython(peer);
  const begin = performance.now();
  const { stdout } = await run(
    python,
    [
      join(PEERS_FOLDER, '_peak.py'),
      join(PEERS_FOLDER, peer.script[0] ?? ''),
      ...peer.script.slice(1),
      format,
    ],
    {
      cwd: home,
      env: { ...process.env, PEERS_HOME: home, N: '1', PYTHONDONTWRITEBYTECODE: '1' },
    },
  );
  const whole = (performance.now() - begin) / 1_000;
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const seconds = number(/total_s_median=([\d.]+)/);
  return {
    whole,
    seconds: Number.isNaN(seconds) ? number(/ s_mmm=([\d.]+)/) : seconds,
    cpuSeconds: number(/cpu_s_median=([\d.]+)/),
    peakMiB: number(/peak_rss_mib=(\d+)/),
  };
}
