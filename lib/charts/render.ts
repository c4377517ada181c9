import { type EChartsCoreOption, init } from 'echarts';

/** Size of every chart, in CSS pixels. */
const SIZE = { width: 560, height: 400 };

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
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** At most `limit` points of a curve, evenly chosen, the first and the last among them. */
export function thin<T>(points: readonly T[], limit = 400): T[] {
  if (points.length <= limit) return [...points];
  const step = (points.length - 1) / (limit - 1);
  return Array.from({ length: limit }, (_, i) => points[Math.round(i * step)] as T);
}
