import { html, type Markup } from '../report/html.ts';

/** A point of a line: a moment in milliseconds, a value, and where the value lies. */
export interface TimePoint {
  at: number;
  value: number | null;
  low?: number | undefined;
  high?: number | undefined;
}

/** A line over time. */
export interface TimeLine {
  name: string;
  tone: keyof Pick<Tones, 'first' | 'second' | 'third'>;
  dashed?: boolean;
  /** In the order of time. */
  points: readonly TimePoint[];
}

/** Lines over time. */
export interface TimeChart {
  title: string;
  lines: readonly TimeLine[];
  /** A value to compare with, such as a limit. */
  levels?: readonly { value: number; name: string; bad?: boolean }[];
  /** Moments that something happened at. */
  marks?: readonly { at: number; name: string }[];
  /** Writes a value; by default with four digits. */
  format?: (value: number) => string;
}

/** Colours, as CSS has them. */
export interface Tones {
  ink: string;
  soft: string;
  grid: string;
  paper: string;
  first: string;
  second: string;
  third: string;
  bad: string;
}

/** Those of the pages about data (`data-page.ts`), which follow light and dark. */
export const PAGE_TONES: Tones = {
  ink: 'var(--ink)',
  soft: 'var(--soft)',
  grid: 'var(--line)',
  paper: 'var(--paper)',
  first: 'var(--blue)',
  second: 'var(--second)',
  third: 'var(--good)',
  bad: 'var(--bad)',
};

const WIDTH = 520;
const HEIGHT = 240;
const PLOT = { left: 58, right: 14, top: 34, bottom: 46 };
/** Room of a moment on the axis; those at the ends begin and end there. */
const LABEL = 105;
const DAY = 86_400_000;

/**
 * Lines over time as inline SVG, with bands where a value is uncertain; missing values leave a gap. Drawn by hand: a
 * monitor draws some for each window of each endpoint, and Vega takes a hundred times as long.
 */
export function timeChartSvg(chart: TimeChart, tones: Tones = PAGE_TONES): Markup {
  const points = chart.lines.flatMap(({ points }) => points);
  const scale = scaleOf(points, chart.levels ?? []);
  const format = chart.format ?? ((value: number) => String(Number(value.toPrecision(4))));
  const latest = chart.lines.map(({ name, points }) => {
    const last = points.findLast(({ value }) => value !== null)?.value;
    return `${name} ${last === undefined || last === null ? 'unknown' : format(last)}`;
  });
  const description = `${chart.title}, last: ${latest.join(', ')}.`;
  return html`<svg class="lines" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${description}" font-family="system-ui, sans-serif" font-size="11">
<text x="${PLOT.left}" y="16" font-size="13" font-weight="600" style="fill:${tones.ink}">${chart.title}</text>
${grid(scale, tones, format)}${timeAxis(points, scale, tones)}
${(chart.marks ?? []).map((mark) => markSvg(mark, scale, tones))}
${(chart.levels ?? []).map((level) => levelSvg(level, scale, tones))}
${chart.lines.map((line) => bandSvg(line, scale, tones))}${chart.lines.map((line) => lineSvg(line, scale, tones, format))}
${legend(chart, tones)}</svg>`;
}

interface Scale {
  x: (at: number) => number;
  y: (value: number) => number;
  ticks: number[];
}

const round = (value: number): number => Math.round(value * 10) / 10;

function scaleOf(points: readonly TimePoint[], levels: NonNullable<TimeChart['levels']>): Scale {
  const moments = points.map(({ at }) => at);
  const values = [
    ...points.flatMap(({ value, low, high }) => [value, low, high]),
    ...levels.map(({ value }) => value),
  ].filter((value) => typeof value === 'number');
  const [first, last] = [Math.min(...moments), Math.max(...moments)];
  const ticks = ticksOf(
    values.length > 0 ? Math.min(...values) : 0,
    values.length > 0 ? Math.max(...values) : 1,
  );
  const [bottom, top] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  const width = WIDTH - PLOT.left - PLOT.right;
  const height = HEIGHT - PLOT.top - PLOT.bottom;
  return {
    // One window alone stands in the middle.
    x: (at) => round(PLOT.left + (last > first ? (at - first) / (last - first) : 0.5) * width),
    y: (value) => round(PLOT.top + (1 - (value - bottom) / (top - bottom)) * height),
    ticks,
  };
}

/** Four to seven round numbers that hold both. */
function ticksOf(least: number, greatest: number): number[] {
  const span = greatest - least || Math.abs(greatest) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = power * ([1, 2, 5, 10].find((factor) => span / (power * factor) <= 5) ?? 10);
  const from = Math.floor(least / step + 1e-9);
  const to = Math.max(from + 1, Math.ceil(greatest / step - 1e-9));
  return Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}

const grid = (scale: Scale, tones: Tones, format: (value: number) => string): Markup[] =>
  scale.ticks.map(
    (tick) =>
      html`<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${scale.y(tick)}" y2="${scale.y(tick)}" style="stroke:${tones.grid}"></line><text x="${PLOT.left - 8}" y="${scale.y(tick) + 4}" text-anchor="end" style="fill:${tones.soft}">${format(tick)}</text>`,
  );

function timeAxis(points: readonly TimePoint[], scale: Scale, tones: Tones): Markup[] {
  const moments = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  const chosen: number[] = [];
  for (const at of moments) {
    const before = chosen.at(-1);
    const isLast = at === moments.at(-1);
    // The last one is always named; one that stands too near gives way.
    if (isLast && before !== undefined && scale.x(at) - scale.x(before) < LABEL) chosen.pop();
    if (isLast || before === undefined || scale.x(at) - scale.x(before) >= LABEL) chosen.push(at);
  }
  const span = (moments.at(-1) ?? 0) - (moments[0] ?? 0);
  const word = (at: number): string => {
    const text = new Date(at).toISOString();
    return span < 2 * DAY ? text.slice(5, 16).replace('T', ' ') : text.slice(0, 10);
  };
  return chosen.map((at, i) => {
    const anchor =
      chosen.length === 1 ? 'middle' : i === 0 ? 'start' : i === chosen.length - 1 ? 'end' : 'middle';
    return html`<text x="${scale.x(at)}" y="${HEIGHT - PLOT.bottom + 17}" text-anchor="${anchor}" style="fill:${tones.soft}">${word(at)}</text>`;
  });
}

const markSvg = ({ at, name }: { at: number; name: string }, scale: Scale, tones: Tones): Markup =>
  html`<g><title>${name}</title><line x1="${scale.x(at)}" x2="${scale.x(at)}" y1="${PLOT.top}" y2="${HEIGHT - PLOT.bottom}" stroke-width="2" style="stroke:${tones.bad}" opacity="0.7"></line><path d="M${scale.x(at) - 5} ${PLOT.top - 6}h10l-5 8z" style="fill:${tones.bad}"></path></g>`;

const levelSvg = (
  { value, name, bad }: { value: number; name: string; bad?: boolean },
  scale: Scale,
  tones: Tones,
): Markup =>
  html`<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${scale.y(value)}" y2="${scale.y(value)}" stroke-dasharray="2 4" stroke-width="1.5" style="stroke:${bad ? tones.bad : tones.soft}"><title>${name}</title></line>`;

/** Neighbours that have a value. */
function runsOf<T extends TimePoint>(points: readonly T[], isThere: (point: T) => boolean): T[][] {
  const runs: T[][] = [[]];
  for (const point of points) {
    if (isThere(point)) runs.at(-1)?.push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function bandSvg({ points, tone }: TimeLine, scale: Scale, tones: Tones): Markup[] {
  return runsOf(points, ({ low, high }) => low !== undefined && high !== undefined).map((run) => {
    const ends = [
      ...run.map(({ at, high = 0 }) => `${scale.x(at)} ${scale.y(high)}`),
      ...[...run].reverse().map(({ at, low = 0 }) => `${scale.x(at)} ${scale.y(low)}`),
    ];
    // An interval of one window alone has no width.
    return run.length === 1
      ? html`<path d="M${ends.join('L')}" stroke-width="6" opacity="0.25" style="stroke:${tones[tone]}"></path>`
      : html`<path d="M${ends.join('L')}Z" opacity="0.16" style="fill:${tones[tone]}"></path>`;
  });
}

function lineSvg(
  { points, tone, dashed, name }: TimeLine,
  scale: Scale,
  tones: Tones,
  format: (value: number) => string,
): Markup {
  const paths = runsOf(points, ({ value }) => value !== null)
    .filter((run) => run.length > 1)
    .map(
      (run) =>
        html`<path d="M${run.map(({ at, value }) => `${scale.x(at)} ${scale.y(value ?? 0)}`).join('L')}" fill="none" stroke-width="2" stroke-linejoin="round"${dashed ? html` stroke-dasharray="6 4"` : ''} style="stroke:${tones[tone]}"></path>`,
    );
  const known = points.filter(({ value }) => value !== null);
  // Many points would hide the line.
  const dots = known.filter((_, i) => known.length <= 40 || i === known.length - 1);
  return html`${paths}${dots.map(
    ({ at, value, low, high }) =>
      html`<circle cx="${scale.x(at)}" cy="${scale.y(value ?? 0)}" r="3" style="fill:${dashed ? tones.paper : tones[tone]};stroke:${tones[tone]}"><title>${name} ${format(value ?? 0)}${low === undefined || high === undefined ? '' : ` (${format(low)} to ${format(high)})`}, ${new Date(at).toISOString().slice(0, 16)}</title></circle>`,
  )}`;
}

function legend({ lines, levels = [], marks = [] }: TimeChart, tones: Tones): Markup[] {
  const items = [
    ...lines.map(({ name, tone, dashed }) => ({ name, color: tones[tone], dash: dashed ? '6 4' : '' })),
    ...levels.map(({ name, bad }) => ({ name, color: bad ? tones.bad : tones.soft, dash: '2 4' })),
    ...marks.slice(0, 1).map(({ name }) => ({ name, color: tones.bad, dash: '' })),
  ];
  let x = PLOT.left;
  return items.map(({ name, color, dash }) => {
    const at = x;
    x += 34 + name.length * 6.2;
    return html`<line x1="${at}" x2="${at + 18}" y1="${HEIGHT - 11}" y2="${HEIGHT - 11}" stroke-width="2" stroke-dasharray="${dash}" style="stroke:${color}"></line><text x="${at + 23}" y="${HEIGHT - 7}" style="fill:${tones.soft}">${name}</text>`;
  });
}
