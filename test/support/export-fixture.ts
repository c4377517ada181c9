import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { exportModel, type ModelExport } from '../../client/export/model-export.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { bundleStandalone } from '../../scripts/bundle-standalone.ts';
import { type Ended, type ExportedServer, ended, nodeAlone, startExported } from './exported-server.ts';
import { type FinishedRun, runLifecycle } from './integration-lifecycle.ts';
import { TestPlatform } from './integration-platform.ts';

const ROWS = 600;

const answers = z.object({ predictions: z.array(z.object({ label: z.string(), probability: z.number() })) });
/** What a binary model answers, row by row. */
export type Answers = z.infer<typeof answers>['predictions'];

/** A model that was trained, registered, deployed to a real server, exported, and its folder moved away. */
export class ExportFixture {
  private constructor(
    readonly platform: TestPlatform,
    readonly run: FinishedRun,
    readonly mlflow: MlflowClient,
    /** Folder of the built server's program. */
    readonly program: string,
    /** PATH with nothing but Node. */
    readonly path: string,
    readonly exported: ModelExport,
    /** Where the export is now. */
    readonly moved: string,
  ) {}

  /** @param name of the model */
  static async create(name: string): Promise<ExportFixture> {
    const platform = await TestPlatform.start();
    try {
      await platform.takeLease();
      const { folder } = platform;
      const program = join(folder, 'standalone');
      await bundleStandalone(program);
      const calls = join(folder, 'calls.csv');
      await writeFile(calls, callsCsv());
      const spec = pipelineSpec.parse({
        name,
        task: 'binary',
        data: { sources: { calls } },
        columns: { target: 'answer', positive: 'bought', entity: 'customer' },
        candidates: [
          { search: false, trainer: 'lightgbm', maxIterations: 40, parameters: { num_leaves: 8 } },
        ],
        evaluation: { gates: [] },
      });
      const run = await runLifecycle(platform, spec, { commit: null, dirty: false });
      const mlflow = platform.deps.mlflow();
      const exported = await exportModel(mlflow, {
        model: name,
        to: join(folder, 'export'),
        server: program,
      });
      const moved = join(folder, 'elsewhere', 'a folder');
      await mkdir(join(folder, 'elsewhere'));
      await rename(exported.folder, moved);
      const path = await nodeAlone(folder);
      return new ExportFixture(platform, run, mlflow, program, path, exported, moved);
    } catch (error) {
      await platform.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.platform.close();
  }

  /** A file of the export, as text. */
  text(...path: string[]): Promise<string> {
    return readFile(join(this.moved, ...path), 'utf8');
  }

  /** A copy of the export that a test may spoil. */
  async copy(name: string): Promise<string> {
    const folder = join(this.platform.folder, name);
    await cp(this.moved, folder, { recursive: true });
    return folder;
  }

  /** Runs an export's one command, with Node in PATH and nothing else in the environment, and asks what it serves. */
  serving(ask: (server: ExportedServer) => Promise<void>, env: Record<string, string> = {}): Promise<void> {
    const program = join(this.moved, 'start.sh');
    return withServer({ program, cwd: '/', env: { PATH: this.path, ...env } }, ask);
  }

  /** Runs the one command of an export that must end by itself. */
  ended(folder: string, env: Record<string, string> = {}): Promise<Ended> {
    return ended({ program: join(folder, 'start.sh'), cwd: '/', env: { PATH: this.path, ...env } });
  }

  /** What a server answers to the model's own input example. */
  async answers(url: string): Promise<Answers> {
    return answers.parse(
      await post(`${url}/invocations`, await this.text('model', 'serving_input_example.json')),
    ).predictions;
  }

  /** What the evaluated model answers to it, by the server that it was deployed to. */
  evaluated(): Promise<Answers> {
    return this.answers(this.platform.server.url);
  }
}

/** Starts a server, asks it, and stops it; it must end with 0. */
export async function withServer(
  command: Parameters<typeof startExported>[0],
  ask: (server: ExportedServer) => Promise<void>,
): Promise<void> {
  const server = await startExported(command);
  const asked = await ask(server).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { code, stderr } = await server.stop();
  if (asked !== undefined) throw asked;
  if (code !== 0) throw new Error(`the server ended with ${code}: ${stderr}`);
}

/** Sends JSON; the answer must be a success. */
export async function post(url: string, body: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** Digests of all files of a folder, by their path. */
export async function digests(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(
    files.map(async (file) => {
      const digest = createHash('sha256').update(await readFile(file));
      return [file.slice(folder.length + 1), digest.digest('hex')];
    }),
  );
  return Object.fromEntries(found.sort());
}

/** A column of every kind that a model takes, some values missing. */
function callsCsv(): string {
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const [age, channel] = [20 + ((i * 37) % 60), 'abc'[i % 3] ?? 'a'];
    const day = new Date(Date.UTC(2024, 0, 1 + (i % 300))).toISOString().slice(0, 10);
    const known = i % 5 < 2;
    const answer = age / 80 + (channel === 'a' ? 0.4 : 0) + (known ? 0.3 : 0) > 1 ? 'bought' : 'left';
    return `c${i},${i % 11 === 0 ? '' : age},${channel},${day},${known},${answer}`;
  });
  return `customer,age,channel,called,known,answer\n${lines.join('\n')}\n`;
}
