import { type TrainerEvent, trainerEvent } from '../../contracts/trainer.ts';

/** Longest line that is parsed; the rest of a longer one is dropped. */
export const MAX_LINE_BYTES = 64 * 1024;
/** A trainer that prints more than this is stopped: reading it would take its caller's time from everything else. */
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
export const MAX_LINES = 100_000;
const MAX_QUOTED_CHARACTERS = 500;

/**
 * Turns a trainer's standard output into events. What is no event of the contract becomes a `log` event, so that
 * a library that prints cannot break a training.
 *
 * @example
 * const output = new TrainerOutput((event) => console.log(event));
 * child.stdout.on('data', (chunk) => output.push(chunk));
 * child.stdout.on('end', () => output.end());
 */
export class TrainerOutput {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #total = 0;
  #lines = 0;

  constructor(private readonly onEvent: (event: TrainerEvent) => void) {}

  /** True once more than {@link MAX_OUTPUT_BYTES} or {@link MAX_LINES} came; nothing is parsed from then on. */
  get overflowed(): boolean {
    return this.#total > MAX_OUTPUT_BYTES || this.#lines > MAX_LINES;
  }

  push(chunk: Buffer): void {
    this.#total += chunk.length;
    if (this.overflowed) return;
    let start = 0;
    for (
      let newline = chunk.indexOf(10);
      newline !== -1 && !this.overflowed;
      newline = chunk.indexOf(10, start)
    ) {
      this.#keep(chunk.subarray(start, newline));
      this.#flush();
      start = newline + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** Parses a last line without a newline. */
  end(): void {
    if (!this.overflowed) this.#flush();
  }

  #keep(part: Buffer): void {
    const room = MAX_LINE_BYTES + 1 - this.#pendingBytes;
    if (part.length === 0 || room <= 0) return;
    const kept = part.subarray(0, room);
    this.#pending.push(kept);
    this.#pendingBytes += kept.length;
  }

  #flush(): void {
    this.#lines++;
    const tooLong = this.#pendingBytes > MAX_LINE_BYTES;
    const line = Buffer.concat(this.#pending).toString('utf8').trim();
    this.#pending = [];
    this.#pendingBytes = 0;
    if (line === '') return;
    if (tooLong) {
      this.#log('warning', `A line of more than ${MAX_LINE_BYTES} bytes was cut: ${quoted(line)}`);
      return;
    }
    const parsed = parseJson(line);
    const { value, dropped } = withoutNonFiniteMetrics(parsed);
    const event = parsed === undefined ? undefined : trainerEvent.safeParse(value);
    if (!event?.success) {
      this.#log('info', quoted(line));
      return;
    }
    if (dropped.length > 0) this.#log('warning', `Not finite, therefore left out: ${dropped.join(', ')}.`);
    this.onEvent(event.data);
  }

  #log(level: 'info' | 'warning', message: string): void {
    this.onEvent({ event: 'log', level, message });
  }
}

function quoted(line: string): string {
  return line.length > MAX_QUOTED_CHARACTERS ? `${line.slice(0, MAX_QUOTED_CHARACTERS)}…` : line;
}

/** JSON, and the `NaN` and `Infinity` that Python prints into it, as null. */
function parseJson(line: string): unknown {
  if (!line.startsWith('{')) return undefined;
  for (const text of [line, line.replace(/(?<=[:[,]\s*)(NaN|-?Infinity)(?=\s*[,\]}])/g, 'null')]) {
    try {
      return JSON.parse(text);
    } catch {
      // The second text, or no event at all.
    }
  }
  return undefined;
}

function withoutNonFiniteMetrics(value: unknown): { value: unknown; dropped: string[] } {
  if (typeof value !== 'object' || value === null || !('metrics' in value)) return { value, dropped: [] };
  const { metrics } = value;
  if (typeof metrics !== 'object' || metrics === null) return { value, dropped: [] };
  const entries = Object.entries(metrics);
  const bad = ([, metric]: [string, unknown]) =>
    metric === null || (typeof metric === 'number' && !Number.isFinite(metric));
  return {
    value: { ...value, metrics: Object.fromEntries(entries.filter((entry) => !bad(entry))) },
    dropped: entries.filter(bad).map(([name]) => name),
  };
}
