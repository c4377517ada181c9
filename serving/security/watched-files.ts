import { stat } from 'node:fs/promises';

const POLL_MS = 2_000;

/**
 * Looks every two seconds whether files have changed. Polled: a folder that an orchestrator mounts changes by a link
 * to another folder, which no notification tells of.
 */
export class WatchedFiles {
  readonly #timer: NodeJS.Timeout;
  #last: string | undefined;
  #looking = false;

  /**
   * @param known the state that was read at the start, see {@link stateOf}
   * @param onChange reads them again; where it fails, it is called again at the next look
   */
  constructor(
    private readonly paths: readonly string[],
    known: string,
    private readonly onChange: () => Promise<void>,
    private readonly onFailure: (error: unknown) => void,
    pollMs: number = POLL_MS,
  ) {
    this.#last = known;
    this.#timer = setInterval(() => void this.#look(), pollMs).unref();
  }

  /** What tells one state of the files from another: taken before they are read. */
  static async stateOf(paths: readonly string[]): Promise<string> {
    const states = await Promise.all(
      paths.map((path) =>
        stat(path).then(
          ({ mtimeMs, ino, size, mode, ctimeMs }) => `${mtimeMs}/${ctimeMs}/${ino}/${size}/${mode}`,
          () => 'none',
        ),
      ),
    );
    return states.join(' ');
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const state = await WatchedFiles.stateOf(this.paths);
      if (state === this.#last) return;
      await this.onChange();
      this.#last = state;
    } catch (error) {
      this.onFailure(error);
    } finally {
      this.#looking = false;
    }
  }
}
