import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { readNpy } from '../../lib/npy.ts';
import { Keyring } from '../../lib/store/keyring.ts';
import { unsealBytes } from '../../lib/store/sealed-file.ts';
import type { TestPlatform } from './integration-platform.ts';

const MLFLOW_WORLD = fileURLToPath(new URL('../integration/python/mlflow-world.py', import.meta.url));

/** How one person can be told: texts that are the person's alone, and a number that is. */
export interface Traces {
  texts: readonly string[];
  number: number;
}

/** The {@link sightingsOfAll} of one person. */
export async function sightings(platform: SearchedPlatform, traces: Traces): Promise<string[]> {
  const [found = []] = await sightingsOfAll(platform, [traces]);
  return found;
}

type SearchedPlatform = {
  config: Pick<TestPlatform['config'], 'dataDir' | 'python'>;
  client: TestPlatform['client'];
};

/**
 * Every place below a platform's data directory, in its MLflow and in its Temporal that shows a person, for each of some: all files as
 * they are, logs and the SQLite files of both servers with their write-ahead logs among them, and encrypted ones as
 * ciphertext; artifacts also decrypted and decoded; the histories of all workflows with their payloads decoded.
 */
export async function sightingsOfAll(
  platform: SearchedPlatform,
  people: readonly Traces[],
): Promise<string[][]> {
  const { dataDir, python } = platform.config;
  const found = people.map((traces) => ({ traces, places: new Set<string>() }));
  const look = (place: string, text: string): void => {
    for (const { traces, places } of found)
      for (const trace of [...traces.texts, `${Math.floor(traces.number)}.`])
        if (text.includes(trace)) places.add(place);
  };
  const keyring = new Keyring(join(dataDir, 'keyring.json'), { create: true });
  const work = await mkdtemp(join(tmpdir(), 'perennial-sightings-'));
  const database = await Database.create({ tempDir: join(work, 'spill') });
  try {
    const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((item) => item.isFile())) {
      const path = join(entry.parentPath, entry.name);
      // Locks and the like come and go while the servers run.
      const raw = await readFile(path).catch(() => Buffer.alloc(0));
      const place = relative(dataDir, path);
      look(place, raw.toString('utf8'));
      const bytes = path.endsWith('.sealed') ? (await unsealBytes(path, keyring)).content : raw;
      if (bytes !== raw) look(place, bytes.toString('utf8'));
      if (bytes[0] === 0x1f && bytes[1] === 0x8b) look(`${place} (gzip)`, gunzipSync(bytes).toString('utf8'));
      const copy = join(work, 'artifact');
      await writeFile(copy, bytes);
      if (bytes.subarray(0, 4).toString() === 'PAR1') {
        const rows = await database.rows(`SELECT * FROM read_parquet(${quoteLiteral(copy)})`);
        look(`${place} (Parquet)`, JSON.stringify(rows));
      } else if (bytes.subarray(1, 6).toString() === 'NUMPY') {
        const { data } = await readNpy(copy);
        // float32 has seven digits.
        for (const { traces, places } of found)
          if (data.some((value) => Math.abs(value - traces.number) < 1)) places.add(`${place} (npy)`);
      }
    }
  } finally {
    database.close();
    await rm(work, { recursive: true, force: true });
  }
  const { stdout } = await promisify(execFile)(python, [MLFLOW_WORLD, join(dataDir, 'mlflow', 'mlflow.db')], {
    maxBuffer: 100_000_000,
  });
  look('MLflow database', stdout);
  for await (const { workflowId, runId } of platform.client.workflow.list()) {
    const history = await platform.client.workflow.getHandle(workflowId, runId).fetchHistory();
    look(`history of ${workflowId}`, textsIn(history));
  }
  return found.map(({ places }) => [...places].sort());
}

/** All texts and payloads inside a value. */
function textsIn(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value !== 'object' || value === null) return '';
  return Object.values(value).map(textsIn).join('\n');
}
