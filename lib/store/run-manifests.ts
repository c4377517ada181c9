import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Documents, documentsBelow } from './documents.ts';

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

const PREFIX = 'runs/';

/** Manifests of ended runs, one document for each. */
export class RunManifests {
  constructor(private readonly documents: Documents) {}

  /** Writes a run's manifest; the same run again replaces it. */
  async write(manifest: RunManifest): Promise<void> {
    await this.documents.write(keyOf(manifest), manifest);
  }

  /** All manifests. A document that is none is left alone. */
  async all(): Promise<RunManifest[]> {
    const found: RunManifest[] = [];
    for await (const { value } of documentsBelow(this.documents, PREFIX)) {
      const manifest = runManifest.safeParse(value);
      if (manifest.success) found.push(manifest.data);
    }
    return found;
  }

  async remove(manifest: RunManifest): Promise<void> {
    await this.documents.remove(keyOf(manifest));
  }
}

const keyOf = ({ workflowId, runId }: Pick<RunManifest, 'workflowId' | 'runId'>): string =>
  PREFIX + createHash('sha256').update(`${workflowId}/${runId}`).digest('hex').slice(0, 32);
