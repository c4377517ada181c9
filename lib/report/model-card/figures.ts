import type { Plot } from '../../charts/plot.ts';
import { html, Markup } from '../html.ts';
import type { ReportFacts } from './facts.ts';

/** Charts whose names are given, or begin so (`dependence-`), side by side. */
export function charts({ plots }: Pick<ReportFacts, 'plots'>, names: readonly string[], size = ''): Markup {
  const shown = names.flatMap((name) =>
    plots.filter((plot) => (name.endsWith('-') ? plot.name.startsWith(name) : plot.name === name)),
  );
  return shown.length === 0 ? html`` : html`<div class="charts ${size}">${shown.map(figure)}</div>`;
}

/** Drawn by our own renderer, which escapes every text. */
const figure = ({ svg }: Plot): Markup => html`<figure class="chart">${new Markup(svg)}</figure>`;
