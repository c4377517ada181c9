/** `2,281` */
export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',');

/** A share as `31 %`, `1.3 %`, `0.1 %` or `0.04 %`. */
export function shareText(share: number): string {
  const percent = share * 100;
  if (percent >= 10) return `${Math.round(percent)} %`;
  return `${Number(percent >= 0.05 ? percent.toFixed(1) : percent.toPrecision(1))} %`;
}

/** A number as people read it: four digits, fewer of what is small. */
export const figure = (value: number): string =>
  String(Number(value.toPrecision(Math.abs(value) < 0.1 ? 3 : 4)));

/** Milliseconds as `8.1 ms` or `1.2 s`. */
export const latencyText = (milliseconds: number): string =>
  milliseconds >= 1_000
    ? `${Number((milliseconds / 1_000).toPrecision(3))} s`
    : `${Number(milliseconds.toPrecision(3))} ms`;
