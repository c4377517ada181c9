import type { TableProfile } from '../../contracts/profile.ts';
import { columnCards } from './column-cards.ts';
import { count, dataPage, dataTable, facts, percent } from './data-page.ts';
import { html } from './html.ts';

const MAX_PAIRS = 10;

/**
 * The page of `perennial profile`: what to look at, then every column. It shows values of the data.
 *
 * @param name what the data are called
 */
export function profilePage(name: string, profile: TableProfile): string {
  const { warnings, rows, columns, duplicates, correlations } = profile;
  const missing = columns.reduce((total, column) => total + column.missing, 0);
  const pairs = correlations.filter(({ value }) => Math.abs(value) >= 0.3).slice(0, MAX_PAIRS);
  return dataPage(
    `Profile of ${name}`,
    html`<h1>${name}</h1><p class="soft">What the table looks like, column by column.</p>
${facts([
  ['rows', count(rows)],
  ['columns', count(columns.length)],
  ['missing cells', percent(missing / Math.max(1, rows * columns.length))],
  ['repeated rows', duplicates === null ? 'not looked for' : count(duplicates)],
])}
<h2>Worth a look</h2>${
      warnings.length === 0
        ? html`<p>Nothing stands out.</p>`
        : html`<ul class="notes">${warnings.map(({ message }) => html`<li>${message}</li>`)}</ul>`
    }
<h2>Columns</h2>${columnCards(profile)}
${
  pairs.length === 0
    ? ''
    : html`<h2>Correlations</h2>${dataTable(
        "Pearson's correlation of number columns, strongest first",
        ['columns', 'correlation'],
        pairs.map((pair) => [pair.columns.join(' and '), pair.value.toFixed(3)]),
        [1],
      )}`
}
<p class="soft">Counts, extremes, means and bars are exact. Quantiles and correlations come from ${count(profile.sampledRows)} of ${count(rows)} rows; numbers with ≈ are estimates.</p>`,
  );
}
