import { execFile, spawn } from 'node:child_process';
import { access, constants, link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@latest';
const BIN = fileURLToPath(new URL('../../.perennial/bin', import.meta.url));
const PROGRAM = join(BIN, 'versitygw');
/** From a cold module cache the build takes about two minutes. */
const BUILD_TIMEOUT_MS = 15 * 60_000;
const START_TIMEOUT_MS = 30_000;

/**
 * A real S3 server (versitygw over a folder) on a free port of the loopback address, gone after {@link close}.
 *
 * @example
 * const s3 = await S3Server.start();
 * const client = new S3Client({ endpoint: s3.endpoint, region: s3.region, forcePathStyle: true, credentials: s3.credentials });
 */
export class S3Server {
  readonly region = 'us-east-1';

  private constructor(
    /** `http://127.0.0.1:PORT` */
    readonly endpoint: string,
    readonly credentials: { accessKeyId: string; secretAccessKey: string },
    /** Folder of the server; a bucket is a folder below it, an object a file below that. */
    readonly folder: string,
    private readonly child: ReturnType<typeof spawn>,
    private readonly base: string,
  ) {}

  /** @param options.versions buckets can keep former versions of objects */
  static async start(options: { versions?: boolean } = {}): Promise<S3Server> {
    const program = await provideProgram();
    const base = await mkdtemp(join(tmpdir(), 'perennial-s3-'));
    const folder = join(base, 'buckets');
    await mkdir(folder);
    const credentials = { accessKeyId: 'test-access-key', secretAccessKey: 'test-secret-key' };
    const port = await freePort();
    const child = spawn(
      program,
      // Metadata beside the objects: a temp folder on tmpfs or overlayfs may have no extended attributes.
      [
        '--port',
        `127.0.0.1:${port}`,
        '--quiet',
        'posix',
        '--sidecar',
        await madeFolder(base, 'meta'),
        ...(options.versions ? ['--versioning-dir', await madeFolder(base, 'versions')] : []),
        folder,
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          PATH: process.env.PATH,
          ROOT_ACCESS_KEY: credentials.accessKeyId,
          ROOT_SECRET_KEY: credentials.secretAccessKey,
        },
      },
    );
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      words = `${words}${chunk}`.slice(-2_000);
    });
    const server = new S3Server(`http://127.0.0.1:${port}`, credentials, folder, child, base);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await answers(server.endpoint))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await server.close();
        throw new Error(`versitygw did not start: ${words}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return server;
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await ended;
    }
    await rm(this.base, { recursive: true, force: true });
  }
}

async function madeFolder(base: string, name: string): Promise<string> {
  const path = join(base, name);
  await mkdir(path);
  return path;
}

/** Any answer will do: without a signature it is a refusal. */
const answers = (endpoint: string): Promise<boolean> =>
  fetch(endpoint).then(
    () => true,
    () => false,
  );

/** The server program: one that an earlier run built, or one built now. Of several processes one builds. */
async function provideProgram(): Promise<string> {
  if (await exists(PROGRAM)) return PROGRAM;
  await mkdir(BIN, { recursive: true, mode: 0o700 });
  const release = await acquireLock(join(BIN, 'versitygw.lock'));
  try {
    if (await exists(PROGRAM)) return PROGRAM;
    // Built beside its place and then renamed: an interrupted build leaves no half of a program.
    const folder = await mkdtemp(join(BIN, 'go-'));
    try {
      await promisify(execFile)('go', ['install', MODULE], {
        env: { ...process.env, GOBIN: folder, GOFLAGS: '' },
        timeout: BUILD_TIMEOUT_MS,
        maxBuffer: 100_000_000,
      });
      await rename(join(folder, 'versitygw'), PROGRAM);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return PROGRAM;
  } finally {
    await release();
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** A lock whose process is gone counts for nothing. */
async function acquireLock(path: string): Promise<() => Promise<void>> {
  const own = `${path}.${process.pid}`;
  await writeFile(own, String(process.pid));
  try {
    for (;;) {
      // `link` fails where the name exists: one of several processes succeeds, with the content in place.
      const taken = await link(own, path).then(
        () => true,
        () => false,
      );
      if (taken) return () => rm(path, { force: true });
      const holder = Number(await readFile(path, 'utf8').catch(() => ''));
      if (holder > 0 && !isAlive(holder)) await rm(path, { force: true });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    await rm(own, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
