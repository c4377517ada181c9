import type { NumberSketch, VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { IncidentKind, RouteRole } from '../../contracts/serving.ts';
import { boundedLabels } from '../../domain/rollout/label-counts.ts';
import { addNumber, boundedSketch, emptySketch } from '../../domain/rollout/sketch.ts';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';

/** Rows of one request whose answers are counted; of larger ones as many are drawn, one from each part of equal size. */
export const COUNTED_ROWS = 64;
/** Numeric outputs that are counted, the first of the signature: a report has to fit into a message. */
export const COUNTED_OUTPUTS = 20;

/** What one version did under one generation. Plain numbers and small objects: a request adds to them and waits for nothing. */
export class VersionCounts {
  #requests = 0;
  #rows = 0;
  readonly #failures: Partial<Record<IncidentKind, number>> = {};
  readonly #latency = emptySketch();
  readonly #numbers = new Map<string, NumberSketch>();
  readonly #labels = new Map<string, Map<string, number>>();

  constructor(
    private readonly version: string,
    private readonly role: RouteRole,
  ) {}

  /**
   * Counts an answer that can be used.
   *
   * @param random chooses rows of a large request; from 0 up to, not including, 1
   */
  answered({ rows, columns }: OutputColumns, milliseconds: number, random = Math.random): void {
    this.#requests += 1;
    this.#rows += rows;
    addNumber(this.#latency, milliseconds);
    const counted = Math.min(rows, COUNTED_ROWS);
    const drawn = counted < rows ? drawnRows(rows, random) : undefined;
    let numbers = 0;
    for (const { name, kind, data } of columns)
      if (kind === 'string') {
        const labels = this.#labels.get(name) ?? new Map<string, number>();
        this.#labels.set(name, labels);
        for (let i = 0; i < counted; i++) countLabel(labels, data[drawn?.[i] ?? i] ?? '');
      } else if (numbers++ < COUNTED_OUTPUTS) {
        const sketch = this.#numbers.get(name) ?? emptySketch();
        this.#numbers.set(name, sketch);
        for (let i = 0; i < counted; i++) addNumber(sketch, data[drawn?.[i] ?? i] ?? 0);
      }
  }

  /**
   * Counts a failure.
   *
   * @param milliseconds to the failure; `undefined` where nothing was begun
   */
  failed(kind: IncidentKind, rows: number, milliseconds: number | undefined): void {
    this.#requests += 1;
    this.#rows += rows;
    this.#failures[kind] = (this.#failures[kind] ?? 0) + 1;
    if (milliseconds !== undefined) addNumber(this.#latency, milliseconds);
  }

  /** A copy, of bounded size. */
  traffic(): VersionTraffic {
    const named = <T, U>(of: ReadonlyMap<string, T>, to: (value: T) => U): Record<string, U> =>
      Object.fromEntries([...of].map(([name, value]) => [name, to(value)]));
    return {
      version: this.version,
      role: this.role,
      requests: this.#requests,
      rows: this.#rows,
      failures: { ...this.#failures },
      latency: copyOf(this.#latency),
      numbers: named(this.#numbers, copyOf),
      labels: named(this.#labels, (labels) => boundedLabels(Object.fromEntries(labels))),
    };
  }
}

/** A model has at most a thousand classes; one that makes up its labels must not fill the memory. */
const KNOWN_LABELS = 1_000;

function countLabel(labels: Map<string, number>, label: string): void {
  const name = labels.has(label) || labels.size < KNOWN_LABELS ? label : '';
  labels.set(name, (labels.get(name) ?? 0) + 1);
}

/** At random within each part: rows that come in a pattern must not hide in it. */
function drawnRows(rows: number, random: () => number): number[] {
  return Array.from({ length: COUNTED_ROWS }, (_, i) => Math.floor(((i + random()) * rows) / COUNTED_ROWS));
}

const copyOf = (sketch: NumberSketch): NumberSketch => {
  const { zero, positive, negative } = boundedSketch(sketch);
  return { zero, positive: { ...positive }, negative: { ...negative } };
};
