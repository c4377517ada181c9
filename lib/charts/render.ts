import { createHash } from 'node:crypto';
import { type EChartsCoreOption, init } from 'echarts';

/** Size of every chart, in CSS pixels. */
const SIZE = { width: 540, height: 380 };

/** Colours that people with colour-vision deficiencies can tell apart (Okabe and Ito 2008). */
export const COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'];

/**
 * Renders a chart as SVG, on the server, without a browser.
 *
 * @example renderChart({ title: { text: 'ROC' }, series: [{ type: 'line', data: [[0, 0], [1, 1]] }] })
 */
export function renderChart(option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      color: COLORS,
      textStyle: { fontFamily: 'system-ui, sans-serif' },
      grid: { left: 64, right: 24, top: 56, bottom: 56 },
      ...option,
    });
    return withOwnNames(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/**
 * ECharts counts ids and classes through the life of the process: the same chart would be another file each time,
 * and charts of two processes would take each other's styles on one page. Here they are counted within the chart and
 * carry its digest.
 */
function withOwnNames(svg: string): string {
  const numbers = new Map<string, number>();
  const counted = svg.replace(/\bzr\d+-(?:cls-|[a-z])\d+\b/g, (name) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `zr-${numbers.get(name)}`;
  });
  const digest = createHash('sha256').update(counted).digest('hex').slice(0, 8);
  return counted.replace(/\bzr-(\d+)\b/g, `chart-${digest}-$1`);
}

/** At most `limit` of `count` points of a curve, evenly chosen, the first and the last among them. */
export function thin<T>(count: number, point: (index: number) => T, limit = 400): T[] {
  if (count <= limit) return Array.from({ length: count }, (_, i) => point(i));
  const step = (count - 1) / (limit - 1);
  return Array.from({ length: limit }, (_, i) => point(Math.round(i * step)));
}
