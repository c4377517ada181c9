import { html, Markup } from './html.ts';

/** Style of the pages about data: calm, light and dark, fit for paper. */
const STYLE = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5c6b7a; --line: #e2e8ee; --paper: #ffffff; --card: #f7f9fb; --blue: #2f6fab; --pale: #b9d0e6;
  --good: #10714f; --good-pale: #e3f3ec; --bad: #b3391c; --bad-pale: #fbe9e4; --warn: #8a5a00; --warn-pale: #fbf1dc; font: 15px/1.55 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa8b6; --line: #2c3744; --paper: #12181f; --card: #1a222b; --blue: #6aa9e0; --pale: #38536d;
  --good: #66c7a0; --good-pale: #15342a; --bad: #f0896c; --bad-pale: #3f2019; --warn: #e0b04c; --warn-pale: #392d12; } }
* { box-sizing: border-box; } body { margin: 0 auto; max-width: 1120px; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .8rem; } h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.date { white-space: nowrap; } figure { margin: 1.4rem 0; } figure svg { max-width: 100%; height: auto; color: var(--ink); } p { margin: .3rem 0; } .soft { color: var(--soft); } code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: .25rem .8rem; border-radius: 99px; font-weight: 600; margin: .6rem 0 .2rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.verdict.good { background: var(--good-pale); } .verdict.bad { background: var(--bad-pale); } .verdict.warn { background: var(--warn-pale); }
.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 0; padding: 0; } .facts > div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .6rem 1rem; min-width: 8rem; }
.facts dt { color: var(--soft); font-size: .85rem; } .facts dd { margin: 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
article { border: 1px solid var(--line); border-left: 4px solid var(--line); border-radius: 8px; padding: .9rem 1.1rem; margin: .8rem 0; break-inside: avoid; }
article.bad { border-left-color: var(--bad); color: inherit; } article.warn { border-left-color: var(--warn); color: inherit; }
.badge { font-size: .78rem; font-weight: 600; border-radius: 99px; padding: .05rem .6rem; margin-left: .5rem; white-space: nowrap; } .badge.bad { background: var(--bad-pale); } .badge.warn { background: var(--warn-pale); } .badge.good { background: var(--good-pale); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .92rem; } caption { text-align: left; color: var(--soft); padding: .2rem 0; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; color: var(--soft); font-size: .85rem; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.share { display: block; position: relative; height: 8px; width: 100%; min-width: 90px; background: var(--line); border-radius: 4px; margin-top: .45rem; } .share > span { position: absolute; left: 0; top: 0; bottom: 0; min-width: 2px; border-radius: 4px; background: var(--bad); } .share.ok > span { background: var(--blue); }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 1rem; } .column { border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; break-inside: avoid; min-width: 0; }
.column dl { display: grid; grid-template-columns: auto 1fr; gap: .05rem .8rem; margin: .5rem 0 0; font-size: .88rem; } .column dt { color: var(--soft); } .column dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
svg.bars { display: block; width: 100%; height: 72px; margin-top: .6rem; border-bottom: 1px solid var(--line); } .bars .bar { fill: var(--blue); } .bars .before { fill: var(--pale); } .bars .before + .bar { fill: none; stroke: var(--blue); stroke-width: 1.5; vector-effect: non-scaling-stroke; } .bars .hit { fill: transparent; } .ends { display: flex; justify-content: space-between; color: var(--soft); font-size: .78rem; gap: 1rem; }
ol.top { list-style: none; margin: .6rem 0 0; padding: 0; font-size: .88rem; } .top li { display: grid; grid-template-columns: 42% 1fr auto; gap: .6rem; align-items: center; } .top li > :first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .top .share { margin: 0; min-width: 30px; } .top .rows { color: var(--soft); font-variant-numeric: tabular-nums; }
ul.notes { padding-left: 1.1rem; margin: .4rem 0; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #ccc; --paper: #fff; --card: #fff; --blue: #2f6fab; --pale: #b9d0e6; --good: #10714f; --bad: #b3391c; --warn: #8a5a00; --good-pale: #fff; --bad-pale: #fff; --warn-pale: #fff; font-size: 11px; } body { padding: 0; max-width: none; } * { print-color-adjust: exact; } }`;

/** A whole page about data, with nothing loaded from anywhere. */
export const dataPage = (title: string, body: Markup): string =>
  `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${new Markup(STYLE)}</style></head><body><main>${body}</main></body></html>`.text}\n`;

/** A count with thousands separated. */
export const count = (value: number): string => value.toLocaleString('en-US');

/** A share as a percentage with three digits; what is not nothing is not shown as nothing. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0001) return '< 0.01 %';
  if (share < 1 && share > 0.9999) return '> 99.99 %';
  return `${Number((100 * share).toPrecision(3))} %`;
}

/** A number with five digits, or a text as it is. */
export const figure = (value: number | string | null | undefined): string =>
  value === null || value === undefined
    ? '–'
    : typeof value === 'string'
      ? value
      : Math.abs(value) >= 1e15 || (value !== 0 && Math.abs(value) < 1e-4)
        ? value.toExponential(3)
        : value.toLocaleString('en-US', { maximumSignificantDigits: Number.isInteger(value) ? 15 : 5 });

/** A horizontal bar. */
export const shareBar = (share: number, isFailure: boolean): Markup =>
  html`<span class="${isFailure ? 'share' : 'share ok'}" role="img" aria-label="${percent(share)}"><span style="width:${Math.min(100, Math.round(share * 10_000) / 100)}%"></span></span>`;

/** Figures in boxes. */
export const facts = (items: readonly (readonly [string, string])[]): Markup =>
  html`<dl class="facts">${items.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A table with a caption; the columns named in `numbers` are aligned to the right. */
export const dataTable = (
  caption: string,
  headers: readonly string[],
  rows: readonly (readonly (string | Markup)[])[],
  numbers: readonly number[] = [],
): Markup => {
  const cell = (index: number): string => (numbers.includes(index) ? 'number' : 'text');
  return html`<div class="scroll"><table><caption>${caption}</caption><thead><tr>${headers.map((header, i) => html`<th scope="col" class="${cell(i)}">${header}</th>`)}</tr></thead><tbody>${rows.map(
    (row) => html`<tr>${row.map((value, i) => html`<td class="${cell(i)}">${value}</td>`)}</tr>`,
  )}</tbody></table></div>`;
};
