import type { ColumnComparison } from '../../contracts/distribution-report.ts';
import { barsSvg } from '../charts/bars.ts';
import { count, dataTable, percent } from './data-page.ts';
import { html, type Markup } from './html.ts';

/** Columns that get a picture: those that moved most. */
const MAX_PICTURES = 24;

const digits = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toFixed(3);

/** How the columns differ from a reference: a table, and pictures of those that moved most. */
export function comparisonSection(comparisons: readonly ColumnComparison[]): Markup {
  const moved = [...comparisons].sort((a, b) => (b.psi ?? 0) - (a.psi ?? 0));
  const pictured = moved.filter(({ bins }) => bins.length > 0).slice(0, MAX_PICTURES);
  return html`${dataTable(
    'Largest change first. PSI: below 0.1 stable, above 0.2 a large change',
    [
      'column',
      'PSI',
      'Jensen-Shannon',
      'KS',
      'Cramér’s V',
      'new categories',
      'missing, before',
      'missing, now',
    ],
    moved.map((column) => [
      column.name,
      digits(column.psi),
      digits(column.jensenShannon),
      digits(column.ks?.statistic),
      digits(column.chiSquare?.cramersV),
      column.newCategories && column.newCategories.count > 0
        ? `${count(column.newCategories.count)} (${percent(column.newCategories.share)} of rows)`
        : '–',
      percent(column.missing.reference),
      percent(column.missing.current),
    ]),
    [1, 2, 3, 4, 5, 6, 7],
  )}<p class="soft">Filled: the champion’s training data. Outlined: this table. Each bar is a share of the rows with a value.</p>
<div class="columns">${pictured.map(picture)}</div>`;
}

/** A column’s distribution in two tables, as bars. */
export function picture({ name, bins, values, psi }: ColumnComparison): Markup {
  const bars = bins.map((bin) => {
    const [before, now] = [bin.reference / values.reference, bin.current / values.current];
    return {
      label: `${bin.label}: ${percent(before)} before, ${percent(now)} now`,
      value: now,
      reference: before,
    };
  });
  return html`<section class="column"><h3>${name}</h3><p class="soft">PSI ${digits(psi)}</p>${barsSvg(bars, `Shares of ${name} by bin, before and now`)}<div class="ends" aria-hidden="true"><span>${bins[0]?.label}</span><span>${bins.at(-1)?.label}</span></div></section>`;
}
