import { z } from 'zod';
import { type ArtifactRef, artifactRef } from '../contracts/refs.ts';
import type { TrainerEvent } from '../contracts/trainer.ts';

const progressDetails = z.object({
  iteration: z.number(),
  checkpoint: artifactRef.nullable(),
  seconds: z.number(),
});
/**
 * What a heartbeat carries: the newest checkpoint, in the store, so that the next attempt may run on another machine,
 * and what the attempts have taken so far.
 */
export type ProgressDetails = z.infer<typeof progressDetails>;

/** What the last heartbeat of the attempt before said; of a first attempt nothing. */
export function earlierProgress(heartbeatDetails: unknown): ProgressDetails {
  const details = progressDetails.safeParse(heartbeatDetails);
  return details.success ? details.data : { iteration: 0, checkpoint: null, seconds: 0 };
}

/**
 * How far a training is. Checkpoints are copied beside the training; whichever copy ends last, the newest one counts.
 *
 * @example
 * const progress = new TrainingProgress(resumedFrom, keepFile, seconds, frame.report);
 * try { await runTrainer({ ...run, onEvent: (event) => progress.note(event) }); } finally { await progress.stored(); }
 */
export class TrainingProgress {
  #details: Omit<ProgressDetails, 'seconds'>;
  /** Of the newest checkpoint of this attempt; what an earlier attempt left is always older. */
  #checkpointAt = -1;
  readonly #storing: Promise<void>[] = [];

  /**
   * @param resumedFrom the checkpoint that this attempt goes on from: it counts until there is a newer one
   * @param keep copies a checkpoint to where the next attempt finds it
   * @param seconds of all attempts so far
   * @param report takes what the next heartbeat carries
   */
  constructor(
    resumedFrom: ArtifactRef | undefined,
    private readonly keep: (path: string) => Promise<ArtifactRef>,
    private readonly seconds: () => number,
    private readonly report: (details: ProgressDetails) => void,
  ) {
    this.#details = { iteration: 0, checkpoint: resumedFrom ?? null };
  }

  note(event: TrainerEvent): void {
    if (event.event === 'progress') this.#now({ ...this.#details, iteration: event.iteration });
    else if (event.event === 'checkpoint') this.#storing.push(this.#store(event.iteration, event.path));
  }

  /** Waits for the copies under way: their files are gone with the scratch folder. Never rejects. */
  async stored(): Promise<void> {
    await Promise.all(this.#storing);
  }

  async #store(iteration: number, path: string): Promise<void> {
    // A checkpoint that could not be kept costs time on a crash, not the model.
    const checkpoint = await this.keep(path).catch(() => undefined);
    if (checkpoint === undefined || iteration < this.#checkpointAt) return;
    this.#checkpointAt = iteration;
    this.#now({ iteration: Math.max(iteration, this.#details.iteration), checkpoint });
  }

  #now(details: Omit<ProgressDetails, 'seconds'>): void {
    this.#details = details;
    this.report({ ...details, seconds: this.seconds() });
  }
}
