import type { ArtifactRef } from '../contracts/refs.ts';
import type { TrainerEvent } from '../contracts/trainer.ts';

/** What a heartbeat carries: the newest checkpoint, in the store, so that the next attempt may run on another machine. */
export interface ProgressDetails {
  iteration: number;
  checkpoint: ArtifactRef | null;
}

/**
 * How far a training is. Checkpoints are copied beside the training; whichever copy ends last, the newest one counts.
 *
 * @example
 * const progress = new TrainingProgress(resumedFrom, keepFile, frame.report);
 * try { await runTrainer({ ...run, onEvent: (event) => progress.note(event) }); } finally { await progress.stored(); }
 */
export class TrainingProgress {
  #details: ProgressDetails;
  /** Of the newest checkpoint of this attempt; what an earlier attempt left is always older. */
  #checkpointAt = -1;
  readonly #storing: Promise<void>[] = [];

  /**
   * @param resumedFrom the checkpoint that this attempt goes on from: it counts until there is a newer one
   * @param keep copies a checkpoint to where the next attempt finds it
   * @param report takes what the next heartbeat carries
   */
  constructor(
    resumedFrom: ArtifactRef | undefined,
    private readonly keep: (path: string) => Promise<ArtifactRef>,
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

  #now(details: ProgressDetails): void {
    this.#details = details;
    this.report(details);
  }
}
