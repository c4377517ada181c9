import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const runManifest = z.object({
  workflowId: z.string(),
  runId: z.string(),
  /** How the run ended. `failed` and `cancelled` runs are garbage after a while. */
  outcome: z.string(),
  /** ISO time. */
  endedAt: z.string(),
  /** Digests of the artifacts that the run refers to. */
  artifacts: z.array(z.string()),
});

/** What an ended run refers to; the garbage collector deletes nothing that a kept run names. */
export type RunManifest = z.infer<typeof runManifest>;

/** Manifests of ended runs, one JSON file for each, in the folder of the artifact store. */
export class RunManifests {
  readonly #folder: string;

  /** @param root folder of the artifact store */
  constructor(root: string) {
    this.#folder = join(root, 'runs');
  }

  /** Writes a run's manifest; the same run again replaces it. */
  async write(manifest: RunManifest): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const temp = join(this.#folder, `.${randomUUID()}`);
    await writeFile(temp, JSON.stringify(manifest), { mode: 0o600 });
    await rename(temp, this.#path(manifest));
  }

  /** All manifests. A file that is none is left alone. */
  async all(): Promise<RunManifest[]> {
    const names = (await readdir(this.#folder).catch(() => [])).filter((name) => name.endsWith('.json'));
    const texts = await Promise.all(names.map((name) => readFile(join(this.#folder, name), 'utf8')));
    return texts.flatMap((text) => runManifest.safeParse(JSON.parse(text)).data ?? []);
  }

  async remove(manifest: RunManifest): Promise<void> {
    await rm(this.#path(manifest), { force: true });
  }

  #path({ workflowId, runId }: Pick<RunManifest, 'workflowId' | 'runId'>): string {
    return join(
      this.#folder,
      `${createHash('sha256').update(`${workflowId}/${runId}`).digest('hex').slice(0, 32)}.json`,
    );
  }
}
