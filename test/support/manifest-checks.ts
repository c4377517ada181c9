import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { findPython } from '../../client/platform/programs.ts';

const run = promisify(execFile);
const HERE = fileURLToPath(new URL('./', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../.perennial/test-manifests', import.meta.url));
const LOCK = join(HERE, 'manifests.lock');

/** KServe's custom resource definitions come with its Go module, whose digest is that of the checksum database. */
const KSERVE = 'github.com/kserve/kserve@v0.16.0';
const KSERVE_SUM = 'h1:kDkcAU5VMiZf4zhdDXH+UdAIgzXhs10GMv0d9r4qvTs=';
const CRD = 'config/crd/full/serving.kserve.io_inferenceservices.yaml';

/** hadolint, and the schemas of Kubernetes and KServe. */
export class ManifestChecks {
  private constructor(private readonly crd: string) {}

  /** Installs what the checks need, once; later runs find it. */
  static async provide(): Promise<ManifestChecks> {
    await mkdir(FOLDER, { recursive: true });
    await provideVenv();
    return new ManifestChecks(await kserveCrd());
  }

  /** What the schemas object to, by file. */
  async problems(files: readonly string[]): Promise<Record<string, string[]>> {
    const { stdout } = await run(bin('python'), [join(HERE, 'manifests.py'), this.crd, ...files]);
    return z.record(z.string(), z.array(z.string())).parse(JSON.parse(stdout));
  }

  /** What hadolint objects to. */
  async lint(dockerfile: string): Promise<string[]> {
    const { stdout } = await run(bin('hadolint'), ['--format', 'json', '--no-fail', dockerfile]);
    return z
      .array(z.object({ code: z.string(), message: z.string() }))
      .parse(JSON.parse(stdout))
      .map(({ code, message }) => `${code}: ${message}`);
  }
}

const bin = (program: string): string => join(FOLDER, 'venv', 'bin', program);

/** A virtual environment with exactly the packages of the lock; the stamp is written last. */
async function provideVenv(): Promise<void> {
  const wanted = createHash('sha256')
    .update(await readFile(LOCK))
    .digest('hex');
  const stamp = join(FOLDER, 'venv.sha256');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return;
  await rm(join(FOLDER, 'venv'), { recursive: true, force: true });
  await run(findPython(undefined), ['-m', 'venv', join(FOLDER, 'venv')]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--no-deps', '-r', LOCK];
  await run(bin('python'), pip, { maxBuffer: 10_000_000 });
  await writeFile(stamp, wanted);
}

async function kserveCrd(): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', KSERVE], {
    cwd: FOLDER,
    env: { ...process.env, GOFLAGS: '-mod=mod' },
  }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Error('KServe’s schemas are a Go module, and there is no "go" in PATH: https://go.dev/dl');
    throw error;
  });
  const { Dir, Sum } = z.object({ Dir: z.string(), Sum: z.string() }).parse(JSON.parse(stdout));
  if (Sum !== KSERVE_SUM) throw new Error(`${KSERVE} has the digest ${Sum}`);
  return join(Dir, CRD);
}
