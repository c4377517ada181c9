import { type Chart, renderChart } from './render.ts';

/** A chart under the name of its file. */
export interface NamedChart {
  /** For example `roc`: `plots/roc.svg`. */
  name: string;
  title: string;
  chart: Chart;
}

/** A chart that is drawn. */
export interface Plot {
  name: string;
  title: string;
  svg: string;
}

/** Draws charts one after the other; other work of the process goes on between two. */
export async function drawn(charts: readonly NamedChart[]): Promise<Plot[]> {
  const plots: Plot[] = [];
  for (const { name, title, chart } of charts) plots.push({ name, title, svg: await renderChart(chart) });
  return plots;
}
