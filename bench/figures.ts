import { cpus, loadavg, totalmem } from 'node:os';

/** Least, middle and greatest of some numbers. */
export interface Figures {
  min: number;
  median: number;
  max: number;
}

export function figures(values: readonly number[]): Figures {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = sorted.length >> 1;
  return {
    min: at(0),
    median: sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2,
    max: at(sorted.length - 1),
  };
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Three cells of a table. */
export const cells = ({ min, median, max }: Figures, digits: number): string[] =>
  [min, median, max].map((value) => value.toFixed(digits));

/** What the figures were measured on. */
export function machine(): string {
  const [cpu] = cpus();
  const model = cpu?.model.trim() || 'unknown processor';
  const load = loadavg()[0]?.toFixed(1);
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, load ${load}`;
}
