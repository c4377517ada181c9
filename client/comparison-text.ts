import pc from 'picocolors';
import { lowerIsBetter, metricName } from '../contracts/spec/evaluation.ts';
import { short } from './lineage-tree.ts';
import { columns } from './output.ts';
import { cut, terminalWidth, wrapped } from './tree.ts';
import type { ComparedGate, ComparedMetric, ComparedValue, VersionComparison } from './version-comparison.ts';

const DIGEST = /^[0-9a-f]{64}$/;

/** Two versions side by side, for a terminal. */
export function comparisonText(found: VersionComparison, width = terminalWidth()): string {
  const { model, a, b } = found;
  const title = ({ version, aliases }: VersionComparison['a']): string =>
    `version ${version}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}`;
  const heads: [string, string] = [title(a), title(b)];
  const sections: [string, ComparedValue[]][] = [
    ['spec', found.spec],
    ['data', found.data],
    ['features', found.features],
    ['training', found.training],
    ['environment', found.environment],
  ];
  const same = sections.filter(([, values]) => values.length === 0).map(([name]) => name);
  return [
    pc.bold(`${model}: ${heads[0]} and ${heads[1]}`),
    ...(a.version === b.version ? ['This is one version: nothing differs.'] : []),
    metricsText(found.metrics, heads, width),
    ...(found.sameTestRows
      ? []
      : [
          wrapped(
            'The test rows are not the same, so a difference between the metrics may be one of the rows.',
            width - 2,
          )
            .map((line, i) => `${i === 0 ? pc.yellow('!') : ' '} ${line}`)
            .join('\n'),
        ]),
    ...(found.gates.length > 0 ? [gatesText(found.gates, heads, width)] : []),
    ...sections.flatMap(([name, values]) =>
      values.length > 0 ? [valuesText(name, values, heads, width)] : [],
    ),
    ...(same.length > 0 ? [pc.dim(`the same: ${same.join(', ')}`)] : []),
  ].join('\n\n');
}

/** A number below 1 with so many digits after the point, where they say anything; a larger one with the first five. */
function number(value: number | null, decimals = 4): string {
  if (value === null) return '-';
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  if (size >= 1) return String(Number(value.toPrecision(5)));
  return size >= 10 ** -decimals ? String(Number(value.toFixed(decimals))) : value.toPrecision(2);
}

/** Columns from which on there is room for words about a difference. */
const WIDE = 100;

function difference({ name, difference: value }: ComparedMetric, width: number): string {
  if (value === null) return '-';
  if (value === 0) return '0';
  const text = `${value > 0 ? '+' : '−'}${number(Math.abs(value))}`;
  const known = metricName.safeParse(name);
  if (width < WIDE || !known.success) return text;
  return `${text} ${value > 0 === lowerIsBetter(known.data) ? 'worse' : 'better'}`;
}

function metricsText(
  metrics: readonly ComparedMetric[],
  heads: readonly [string, string],
  width: number,
): string {
  const cell = (value: number | null, interval: ComparedMetric['intervalA']): string =>
    `${number(value)}${interval ? ` [${number(interval.low, 3)}, ${number(interval.high, 3)}]` : ''}`;
  return (['test', 'validation', 'train'] as const)
    .flatMap((split) => {
      const own = metrics.filter((metric) => metric.split === split);
      if (own.length === 0) return [];
      return fitted(
        [
          [split.toUpperCase(), heads[0].toUpperCase(), heads[1].toUpperCase(), 'DIFFERENCE'],
          ...own.map((metric) => [
            metric.name,
            cell(metric.a, metric.intervalA),
            cell(metric.b, metric.intervalB),
            difference(metric, width),
          ]),
        ],
        width,
      );
    })
    .join('\n\n');
}

function gatesText(gates: readonly ComparedGate[], heads: readonly [string, string], width: number): string {
  const got = (gate: ComparedGate['a']): string =>
    gate === null
      ? '-'
      : `${gate.verdict ?? (gate.passed ? 'passed' : 'failed')}${gate.observed === null ? '' : `, ${number(gate.observed)}`}`;
  return fitted(
    [
      ['GATE', heads[0].toUpperCase(), heads[1].toUpperCase()],
      ...gates.map(({ condition, a, b }) => [condition, got(a), got(b)]),
    ],
    width,
  );
}

function valuesText(
  name: string,
  values: readonly ComparedValue[],
  heads: readonly [string, string],
  width: number,
): string {
  return fitted(
    [
      [name.toUpperCase(), heads[0].toUpperCase(), heads[1].toUpperCase()],
      ...values.map((value) => [value.what, ...sides(value)]),
    ],
    width,
  );
}

/** A digest by its first digits, a long text by where it begins to differ. */
function sides({ a, b }: ComparedValue): [string, string] {
  if (typeof a === 'string' && typeof b === 'string' && (a.includes('\n') || b.includes('\n'))) {
    const [one, two] = [a.split('\n'), b.split('\n')];
    const at = one.findIndex((line, i) => line !== two[i]);
    const line = at === -1 ? one.length : at;
    const told = (lines: readonly string[]): string =>
      line < lines.length ? `line ${line + 1}: ${lines[line]?.trim()}` : `ends after line ${lines.length}`;
    return [told(one), told(two)];
  }
  const shown = (value: ComparedValue['a']): string =>
    value === null ? '-' : typeof value === 'string' && DIGEST.test(value) ? short(value) : String(value);
  return [shown(a), shown(b)];
}

const GAP = 2;
const LEAST = 8;

/** Aligned columns within a width: the widest ones give way. */
export function fitted(rows: readonly (readonly string[])[], width: number): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const total = (): number => widths.reduce((sum, one) => sum + one, 0) + GAP * (widths.length - 1);
  while (total() > width) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= LEAST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return columns(rows.map((row) => row.map((cell, i) => cut(cell, widths[i] ?? cell.length))));
}
