import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

/** What is kept of a program's standard error; the file ends there. */
const MAX_STDERR_BYTES = 10 * 1024 * 1024;
const TAIL_LINES = 20;
const TAIL_BYTES = 16 * 1024;

/** A program's standard error: the beginning in a file, the end in memory for messages. */
export class ErrorOutput {
  readonly #file: WriteStream;
  readonly #closed: Promise<void>;
  #written = 0;
  #tail = Buffer.alloc(0);

  constructor(readonly path: string) {
    this.#file = createWriteStream(path, { mode: 0o600 });
    // Kept for close(); a full disk must not be an unhandled rejection before.
    this.#closed = finished(this.#file);
    this.#closed.catch(() => undefined);
  }

  push(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    const room = MAX_STDERR_BYTES - this.#written;
    if (room <= 0) return;
    const kept = chunk.subarray(0, room);
    this.#written += kept.length;
    this.#file.write(kept);
  }

  /** The last 20 lines. */
  get lastLines(): string {
    return this.#tail.toString('utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  }

  async close(): Promise<void> {
    this.#file.end();
    await this.#closed.catch(() => undefined);
  }
}
