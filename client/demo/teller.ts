import type { Output } from '../output.ts';

/** Tells a story line by line; what comes while something else draws on the terminal is told afterwards. */
export class Teller {
  #held: string[] | undefined;

  constructor(private readonly output: Output) {}

  line(...lines: readonly string[]): void {
    if (this.#held) this.#held.push(...lines);
    else for (const line of lines) this.output.line(line);
  }

  /** Runs work while nothing is told, where there is a terminal that it draws on. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    return this.output.interactive ? this.held(work) : work();
  }

  /** Runs work, and then tells what came meanwhile. */
  async held<T>(work: () => Promise<T>): Promise<T> {
    const held: string[] = [];
    this.#held = held;
    try {
      return await work();
    } finally {
      this.#held = undefined;
      this.line(...held);
    }
  }
}
