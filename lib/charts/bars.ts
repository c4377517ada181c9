import { html, type Markup } from '../report/html.ts';

const WIDTH = 300;
const HEIGHT = 72;
const GAP = 1;

/** A bar of {@link barsSvg}: what it stands for, and its height; with `reference`, an outline to compare with. */
export interface Bar {
  label: string;
  value: number;
  reference?: number;
}

/**
 * Small bars without axes, as inline SVG in the colours of the page, so that they follow its light and dark theme
 * and hundreds of them stay light. Large charts are Vega's (`renderChart`).
 *
 * @param description what the picture shows, for people who cannot see it
 */
export function barsSvg(bars: readonly Bar[], description: string): Markup {
  const top = Math.max(1e-300, ...bars.map((bar) => Math.max(bar.value, bar.reference ?? 0)));
  const step = WIDTH / Math.max(1, bars.length);
  const height = (value: number): number =>
    value <= 0 ? 0 : Math.max(1.5, round((value / top) * (HEIGHT - 2)));
  const parts = bars.map((bar, index) => {
    const x = round(index * step);
    const width = round(Math.max(1, step - GAP));
    const h = height(bar.value);
    const r = height(bar.reference ?? 0);
    const outline =
      bar.reference === undefined
        ? ''
        : html`<rect class="before" x="${x}" y="${HEIGHT - r}" width="${width}" height="${r}"></rect>`;
    return html`<g><title>${bar.label}</title><rect class="hit" x="${x}" y="0" width="${width}" height="${HEIGHT}"></rect>${outline}<rect class="bar" x="${x}" y="${HEIGHT - h}" width="${width}" height="${h}"></rect></g>`;
  });
  return html`<svg class="bars" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${description}">${parts}</svg>`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
