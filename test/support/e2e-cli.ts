import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findTemporalCli, packageRoot } from '../../client/platform/programs.ts';

/** The built command line; the tests run what people install, not the sources. */
export const CLI = join(packageRoot(), 'dist', 'client', 'cli.js');
if (!existsSync(CLI)) throw new Error(`${CLI} is missing; run \`npm run build\` first`);

/** How one command ended. */
export interface CliAnswer {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Where a command runs. */
export interface CliOptions {
  dataDir: string;
  /** The command line that runs; by default that of this checkout. */
  program?: string;
  cwd?: string;
  /** Standard input; closed at once where there is none. */
  input?: string;
  env?: Record<string, string>;
}

/** This process's environment without what would lead a command to other servers, or colour its output. */
export function cleanEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      ['TEMPORAL_CLI_PATH', 'PERENNIAL_PYTHON'].includes(name) ||
      !/^(TEMPORAL_|PERENNIAL_|MLFLOW_|FORCE_COLOR|VITEST|NODE_OPTIONS)/.test(name),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: '1', ...extra };
}

/** Runs one command to its end. */
export function cli(args: readonly string[], options: CliOptions): Promise<CliAnswer> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [options.program ?? CLI, '--data-dir', options.dataDir, ...args],
      { cwd: options.cwd, env: cleanEnvironment(options.env), maxBuffer: 50_000_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs one command with `--json` that must succeed, and reads its document. */
export async function cliJson<T>(args: readonly string[], options: CliOptions): Promise<T> {
  const answer = await cli(['--json', ...args], options);
  if (answer.code !== 0)
    throw new Error(
      `perennial ${args.join(' ')} ended with ${answer.code}: ${answer.stdout}${answer.stderr}`,
    );
  return JSON.parse(answer.stdout) as T;
}

/** A command that goes on: its output so far, and its end. */
export class RunningCommand {
  stdout = '';
  stderr = '';
  readonly ended: Promise<CliAnswer>;
  readonly #changed = new Set<() => void>();

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk);
      this.#notify();
    });
    child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
      this.#notify();
    });
    this.ended = new Promise((resolve) =>
      child.once('close', (code) => {
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
        this.#notify();
      }),
    );
  }

  /** Waits until `read` finds what it looks for in the standard output. */
  async find<T>(read: (stdout: string) => T | undefined | null): Promise<T> {
    for (;;) {
      const found = read(this.stdout);
      if (found !== undefined && found !== null) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the command ended with ${this.child.exitCode}: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#changed.add(resolve);
      });
    }
  }

  #notify(): void {
    for (const wake of this.#changed) wake();
    this.#changed.clear();
  }
}

/** Starts a command that goes on, such as `up` or `run`. */
export const startCli = (args: readonly string[], options: CliOptions): RunningCommand =>
  startNode([options.program ?? CLI, '--data-dir', options.dataDir, ...args], options.env ?? {}, options.cwd);

/** Starts a Node program in a clean environment. */
export const startNode = (
  args: readonly string[],
  env: Record<string, string>,
  cwd?: string,
): RunningCommand =>
  new RunningCommand(
    spawn(process.execPath, [...args], {
      cwd,
      env: cleanEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );

/** A shell as a user has it: `perennial` and `temporal` are in its `PATH`. */
export class UserShell {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, 'bin');
    mkdirSync(this.#path, { recursive: true });
    symlinkSync(findTemporalCli(undefined), join(this.#path, 'temporal'));
    const perennial = join(this.#path, 'perennial');
    writeFileSync(perennial, `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
    chmodSync(perennial, 0o755);
  }

  /** Runs a line as it was typed. */
  run(line: string, env: Record<string, string> = {}): Promise<CliAnswer> {
    return new Promise((resolve) => {
      const child = execFile(
        'sh',
        ['-c', line],
        { env: cleanEnvironment({ PATH: `${this.#path}${delimiter}${process.env.PATH ?? ''}`, ...env }) },
        (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
      );
    });
  }
}
