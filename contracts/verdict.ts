import type { GateResult } from './reports.ts';

/** One row of the verdict, in words. */
export interface VerdictRow {
  gate: string;
  required: string;
  got: string;
  interval: string;
  verdict: GateResult['verdict'];
  note: string;
}

/** Numbers of any size, with about four digits that count. */
const number = (value: number | null): string =>
  value === null
    ? ''
    : Number.isInteger(value)
      ? value.toLocaleString('en-US')
      : Math.abs(value) < 0.001 || Math.abs(value) >= 100_000
        ? value.toPrecision(4)
        : value.toFixed(4);

/** The verdict as people read it: gate, required, got, interval, pass. */
export const verdictRows = (results: readonly GateResult[]): VerdictRow[] =>
  results.map((result) => {
    const { condition, required, observed, interval, verdict, note, group, feature } = result;
    const subject = required === '' ? condition : condition.slice(0, -required.length).trim();
    return {
      gate: subject,
      required,
      got: number(observed),
      interval: interval ? `${number(interval.low)} to ${number(interval.high)}` : '',
      verdict,
      note: [group, feature, note].filter((part) => part !== undefined).join('; '),
    };
  });

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The verdict as a table in Markdown. */
export function verdictMarkdown(results: readonly GateResult[]): string {
  const rows = verdictRows(results).map(({ gate, required, got, interval, verdict, note }) =>
    [gate, required, got, interval, verdict, note].map(cell),
  );
  const header = ['gate', 'required', 'got', 'interval', 'verdict', 'note'];
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
