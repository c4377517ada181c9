import { execFile, spawn } from 'node:child_process';
import {
  access,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { freePort } from './free-port.ts';

const BIN = fileURLToPath(new URL('../../.perennial/bin', import.meta.url));
const NAMES = ['prometheus', 'promtool'] as const;
const DOWNLOAD_MS = 120_000;
const START_MS = 30_000;
const run = promisify(execFile);

/** Paths of the programs. */
export type PrometheusPrograms = Record<(typeof NAMES)[number], string>;

/**
 * Prometheus and promtool: those on the path, those that an earlier run left in `.perennial/bin`, else those of Debian's
 * package, which is unpacked there and not installed. (`go install` does not build them: dependencies of the newer
 * modules are not in the module proxy, and the older ones have replacements.)
 *
 * @returns why there are none, where nothing of that works
 */
export async function prometheusPrograms(): Promise<PrometheusPrograms | { missing: string }> {
  const found = (await inFolders((process.env.PATH ?? '').split(delimiter))) ?? (await inFolders([BIN]));
  if (found) return found;
  const folder = await mkdtemp(join(tmpdir(), 'perennial-prometheus-'));
  try {
    await run('apt-get', ['download', 'prometheus'], { cwd: folder, timeout: DOWNLOAD_MS });
    const [archive = ''] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', join(folder, archive), join(folder, 'unpacked')]);
    await mkdir(BIN, { recursive: true, mode: 0o700 });
    for (const name of NAMES) {
      // Renamed last: two test processes may do this at once.
      const temp = join(BIN, `${name}.${process.pid}`);
      await copyFile(join(folder, 'unpacked', 'usr', 'bin', name), temp);
      await rename(temp, join(BIN, name));
    }
    return (await inFolders([BIN])) ?? { missing: 'the Debian package "prometheus" has not its programs' };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    return { missing: `prometheus and promtool are not on the path and cannot be had by apt-get: ${reason}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function inFolders(folders: readonly string[]): Promise<PrometheusPrograms | undefined> {
  const first = async (name: string): Promise<string | undefined> => {
    for (const folder of folders) {
      const path = join(folder, name);
      const runs = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (runs) return path;
    }
    return undefined;
  };
  const [prometheus, promtool] = [await first('prometheus'), await first('promtool')];
  return prometheus && promtool ? { prometheus, promtool } : undefined;
}

const answer = z.object({
  status: z.literal('success'),
  data: z.object({
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
    ),
  }),
});

/** A real Prometheus that scrapes every second, gone after {@link close}. */
export class PrometheusServer {
  private constructor(
    readonly url: string,
    private readonly child: ReturnType<typeof spawn>,
    private readonly folder: string,
  ) {}

  /** @param target what it scrapes, `127.0.0.1:PORT` */
  static async start(program: string, target: string, rules: string): Promise<PrometheusServer> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-prometheus-'));
    const port = await freePort();
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'perennial', static_configs: [{ targets: [target] }] }],
    };
    // JSON is YAML.
    await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const child = spawn(
      program,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } },
    );
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      words = `${words}${chunk}`.slice(-2_000);
    });
    const server = new PrometheusServer(`http://127.0.0.1:${port}`, child, folder);
    const deadline = Date.now() + START_MS;
    while (!(await isReady(server.url))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await server.close();
        throw new Error(`prometheus did not start: ${words}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return server;
  }

  /** The values of an instant query by their labels. */
  async query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]> {
    const response = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${expression}: ${text}`);
    return answer
      .parse(JSON.parse(text))
      .data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
