import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../client/platform/programs.ts';

const run = promisify(execFile);
const CLI = join(packageRoot(), 'dist', 'client', 'cli.js');

/** A platform of its own, started and used by the commands that people type. */
export class WholePlatform {
  private constructor(
    private readonly child: ChildProcess,
    private readonly dataDir: string,
  ) {}

  /** @param sourceRoots folders that specs may read from, @param env further variables of the workers */
  static async start(
    dataDir: string,
    sourceRoots: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<WholePlatform> {
    const roots = sourceRoots.flatMap((root) => ['--source-root', root]);
    const child = spawn(process.execPath, [CLI, '--json', '--data-dir', dataDir, 'up', ...roots], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const ready = await Promise.race([
      new Promise<true>((resolve) => child.stdout.once('data', () => resolve(true))),
      new Promise<false>((resolve) => child.once('close', () => resolve(false))),
    ]);
    if (!ready) throw new Error('the platform did not start; its own words stand above');
    child.stdout.resume();
    return new WholePlatform(child, dataDir);
  }

  /** Runs a pipeline to its end. @returns what its stages gave */
  async run(spec: string): Promise<unknown> {
    const { stdout } = await run(process.execPath, [CLI, '--json', '--data-dir', this.dataDir, 'run', spec], {
      maxBuffer: 2 ** 28,
    });
    const answer: unknown = JSON.parse(stdout);
    return typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'outputs') : undefined;
  }

  /** The file of an artifact that is not encrypted. */
  artifact(sha256: string): string {
    return join(this.dataDir, 'artifacts', 'sha256', sha256.slice(0, 2), sha256.slice(2));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.child.once('close', () => resolve()));
    this.child.kill('SIGTERM');
    await closed;
  }
}
