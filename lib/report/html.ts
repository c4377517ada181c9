const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Markup that is safe to put into a page as it is. */
export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Part = string | number | null | undefined | Markup | readonly Part[];

const render = (part: Part): string => {
  if (part === null || part === undefined) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'string' || typeof part === 'number')
    return String(part).replace(/[&<>"']/g, (char) => ESCAPES[char] ?? char);
  return part.map(render).join('');
};

/**
 * HTML in which every value is escaped unless it is {@link Markup}.
 *
 * @example html`<p>${'a < b'}</p>`.text === '<p>a &lt; b</p>'
 */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(strings.reduce((text, string, i) => text + render(parts[i - 1]) + string));
}

const STYLE = `
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #1c2733; background: #ffffff; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #d7dee6; }
table { border-collapse: collapse; margin: .8rem 0; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #e6ebf0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .pass { color: #00684a; font-weight: 600; } .fail { color: #b3401c; font-weight: 600; }
.muted { color: #5b6b7b; } code { background: #f2f5f8; padding: .1rem .3rem; border-radius: 3px; } pre { background: #f2f5f8; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }`;

/** A whole page, with nothing loaded from anywhere. */
export const page = (title: string, body: Markup): string =>
  `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${new Markup(STYLE)}</style></head><body>${body}</body></html>`.text}\n`;

/** A table; numbers are aligned to the right. */
export const table = (headers: readonly string[], rows: readonly (readonly Part[])[]): Markup =>
  html`<table><thead><tr>${headers.map((header) => html`<th>${header}</th>`)}</tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((cell) => (typeof cell === 'number' ? html`<td class="number">${cell.toLocaleString('en-US', { maximumFractionDigits: 4 })}</td>` : html`<td>${cell}</td>`))}</tr>`,
  )}</tbody></table>`;
