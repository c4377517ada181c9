import { createHash } from 'node:crypto';
import { parse, textMetrics, View } from 'vega';
import { expressionInterpreter } from 'vega-interpreter';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';
import { html } from '../report/html.ts';
import { BLUE, COLORS, ORANGE } from './colors.ts';

declare module 'vega' {
  /** How wide texts are where there is no canvas; meant to be replaced, and left out of the package's types. */
  export const textMetrics: { width: (item: { fontSize?: number }, text: unknown) => number };
}

export { BLUE, COLORS, ORANGE };

/** From little to much; legible under black and white text. */
export const BLUES = ['#eef4fa', '#0072B2'] as const;
/** The colour of the text around the chart: in a page its own, light or dark. */
export const INK = 'currentColor';

/** Inner size of a chart in CSS pixels: two stand side by side on a page. */
export const SIZE = { width: 400, height: 270 } as const;

/** A chart: its Vega-Lite specification, and what it shows in words, for people who cannot see it. */
export interface Chart {
  description: string;
  spec: Spec;
}
/** Marks, data and encodings; size and style are the house's unless it has its own. */
export type Spec = TopLevelSpec;

const FONT = 'system-ui, sans-serif';
const CONFIG: Config = {
  // The picture as a whole has a description; one for each mark would be a table read aloud.
  aria: false,
  font: FONT,
  background: 'transparent',
  padding: { left: 4, right: 12, top: 4, bottom: 4 },
  range: { category: [...COLORS], heatmap: [...BLUES], ramp: [...BLUES] },
  title: {
    anchor: 'start',
    color: INK,
    subtitleColor: INK,
    fontSize: 14,
    fontWeight: 600,
    subtitleFontSize: 12,
    offset: 12,
  },
  axis: {
    labelColor: INK,
    titleColor: INK,
    domainColor: INK,
    tickColor: INK,
    gridColor: INK,
    domainOpacity: 0.35,
    tickOpacity: 0.35,
    gridOpacity: 0.1,
    labelFontSize: 11.5,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 8,
    labelLimit: 170,
    titleLimit: 320,
  },
  legend: {
    labelColor: INK,
    titleColor: INK,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    orient: 'bottom',
    direction: 'horizontal',
    labelLimit: 200,
    symbolStrokeWidth: 2.5,
  },
  view: { stroke: null },
  line: { strokeWidth: 2 },
  bar: { color: BLUE },
  point: { filled: true, size: 60, color: BLUE },
  rule: { color: INK },
  text: { color: INK, fontSize: 11.5 },
};

/**
 * Draws a chart as SVG, on the server, without a browser: the same chart is the same text each time. Nothing is
 * loaded, and no text of the specification is run as code (`vega-interpreter`).
 *
 * @example
 * await renderChart({ description: 'Two points', spec: { data: { values: [{ x: 1, y: 2 }] }, mark: 'point', encoding: { x: { field: 'x', type: 'quantitative' } } } });
 */
export async function renderChart({ description, spec }: Chart): Promise<string> {
  const compiled = compile({ ...SIZE, ...spec } as TopLevelSpec, { config: CONFIG, logger: SILENT }).spec;
  const view = new View(parse(compiled, undefined, { ast: true }), {
    renderer: 'none',
    expr: expressionInterpreter,
  });
  try {
    const svg = await view.toSVG();
    return withOwnNames(
      svg
        .replaceAll("'", '&#39;')
        .replace(/ (?:aria-hidden|aria-roledescription|aria-label|role|pointer-events)="[^"]*"/g, '')
        .replace(/<path class="(?:background|foreground)" d="[^"]*"(?: display="none")?\/>/g, '')
        .replace(/ (?:d|transform|[xy][12]?)="[^"]*"/g, (attribute) =>
          attribute.replace(/(\d+\.\d{2})\d+/g, '$1'),
        )
        .replace(/^<svg /, html`<svg role="img" aria-label="${description}" color="#1d2733" `.text),
    );
  } finally {
    view.finalize();
  }
}

/**
 * Without a canvas Vega takes each character for 0.8 of its height, which cuts names off and leaves holes. These are
 * about the widths of sans-serif fonts.
 */
textMetrics.width = (item: { fontSize?: number }, text: unknown): number => {
  let ems = 0;
  for (const char of String(text))
    ems += /[iljtfr.,:;'|!()[\] ]/.test(char)
      ? 0.36
      : /[mwMW@%]/.test(char)
        ? 0.9
        : /[A-Z]/.test(char)
          ? 0.68
          : char > '\u2e7f'
            ? 1
            : 0.62;
  return ems * (item.fontSize ?? 11);
};

/** Warnings would go to standard output. */
const SILENT = {
  level: () => SILENT,
  error: () => SILENT,
  warn: () => SILENT,
  info: () => SILENT,
  debug: () => SILENT,
};

/** Names of clips and gradients are counted through the life of the process; on one page they would meet. */
function withOwnNames(svg: string): string {
  const numbers = new Map<string, number>();
  const counted = svg.replace(/(?<=id="|url\(#)(?:clip|gradient_?)\d+/g, (name) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `name-${numbers.get(name)}`;
  });
  const digest = createHash('sha256').update(counted).digest('hex').slice(0, 8);
  return counted.replace(/(?<=id="|url\(#)name-(\d+)/g, `chart-${digest}-$1`);
}

/** A name as a chart has room for. */
export const shortName = (name: string): string => (name.length > 32 ? `${name.slice(0, 31)}…` : name);

/** At most `limit` of `count` points of a curve, evenly chosen, the first and the last among them. */
export function thin<T>(count: number, point: (index: number) => T, limit = 300): T[] {
  if (count <= limit) return Array.from({ length: count }, (_, i) => point(i));
  const step = (count - 1) / (limit - 1);
  return Array.from({ length: limit }, (_, i) => point(Math.round(i * step)));
}
