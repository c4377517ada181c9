import type { ColumnProfile, TableProfile } from '../../contracts/profile.ts';
import { barsSvg } from '../charts/bars.ts';
import { count, figure, percent, shareBar } from './data-page.ts';
import { html, type Markup } from './html.ts';

/** Columns that get a picture; a page with thousands of them would help nobody. */
const MAX_CARDS = 200;
const MAX_TOP = 6;
/** Longest text of a value that is shown. */
const MAX_TEXT = 60;

/** Every column of a table as a card: a picture of its values and its figures. */
export function columnCards(profile: TableProfile): Markup {
  const shown = profile.columns.slice(0, MAX_CARDS);
  const left = profile.columns.length - shown.length;
  return html`<div class="columns">${shown.map((column) => card(column, profile.rows))}</div>${
    left > 0 ? html`<p class="soft">${count(left)} more columns are not shown.</p>` : ''
  }`;
}

function card(column: ColumnProfile, rows: number): Markup {
  const { name, type, kind, missing, distinct, lengths, quantiles } = column;
  const traits = [
    column.unique ? 'all different' : '',
    column.constant ? 'constant' : '',
    column.order ?? '',
  ].filter(Boolean);
  const lines: [string, string][] = [
    ['missing', missing === 0 ? 'none' : `${count(missing)} (${percent(missing / Math.max(1, rows))})`],
    ...(distinct
      ? [['different', `${distinct.exact ? '' : '≈ '}${count(distinct.count)}`] as [string, string]]
      : []),
    ...(column.min === null ? [] : [['from', figure(column.min)] as [string, string]]),
    ...(quantiles?.['0.5'] === undefined ? [] : [['median', figure(quantiles['0.5'])] as [string, string]]),
    ...(kind === 'number' && column.mean !== null
      ? [['mean', `${figure(column.mean)} ± ${figure(column.std)}`] as [string, string]]
      : []),
    ...(column.max === null ? [] : [['to', figure(column.max)] as [string, string]]),
    ...(lengths ? [['characters', `${lengths.min} to ${lengths.max}`] as [string, string]] : []),
    ...(column.pattern ? [['format', column.pattern] as [string, string]] : []),
    ...(column.infinite > 0 ? [['infinite', count(column.infinite)] as [string, string]] : []),
  ];
  return html`<section class="column"><h3>${name}</h3><p class="soft">${[type.toLowerCase(), ...traits].join(', ')}</p>${picture(column)}<dl>${lines.map(
    ([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`,
  )}</dl></section>`;
}

function picture(column: ColumnProfile): Markup {
  const { name, histogram, top, values } = column;
  const first = histogram[0];
  const last = histogram.at(-1);
  if (histogram.length > 1 && first && last) {
    const bars = histogram.map((bin) => ({
      label: `${figure(bin.from)} to ${figure(bin.to)}: ${count(bin.rows)} rows`,
      value: bin.rows,
    }));
    const fullest = histogram.reduce((most, bin) => (bin.rows > most.rows ? bin : most), first);
    return html`${barsSvg(bars, `Distribution of ${name} from ${figure(first.from)} to ${figure(last.to)}; most rows from ${figure(fullest.from)} to ${figure(fullest.to)}`)}<div class="ends" aria-hidden="true"><span>${figure(first.from)}</span><span>${figure(last.to)}</span></div>`;
  }
  if (top.length === 0) return html``;
  const others = values - top.slice(0, MAX_TOP).reduce((total, item) => total + item.rows, 0);
  const items = [...top.slice(0, MAX_TOP), ...(others > 0 ? [{ value: 'others', rows: others }] : [])];
  return html`<ol class="top">${items.map(
    ({ value, rows }) =>
      html`<li><span>${value === '' ? '(empty text)' : value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value}</span>${shareBar(rows / Math.max(1, values), false)}<span class="rows">${percent(rows / Math.max(1, values))}</span></li>`,
  )}</ol>`;
}
