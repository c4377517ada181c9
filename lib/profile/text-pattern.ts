/** A regular expression for a part of a text: what stands for it in a shape, and in RE2. */
const CLASSES: Record<string, string> = { A: '[A-Z]', a: '[a-z]', '9': '[0-9]' };
/** Texts longer than this are prose, not codes. */
const MAX_LENGTH = 60;
const MAX_RUNS = 15;

interface Run {
  symbol: string;
  length: number;
}

/**
 * The RE2 of a fixed format, from the shapes of texts (capitals as `A`, small letters as `a`, digits as `9`, anything
 * else as itself); null where the texts share no format. Runs of letters or digits may differ in length.
 *
 * @example patternOf(['AAA-999', 'AAA-9999']) === '[A-Z]{3}-[0-9]{3,4}'
 */
export function patternOf(shapes: readonly string[]): string | null {
  const [first, ...others] = shapes.map(runsOf);
  if (!first || first.length === 0 || first.length > MAX_RUNS) return null;
  if (shapes.some((shape) => shape.length > MAX_LENGTH)) return null;
  // One word of small letters, or one run of anything that differs in length, is an ordinary text or number.
  if (first.length === 1 && (first[0]?.symbol === 'a' || others.length > 0)) return null;
  if (others.some((runs) => runs.length !== first.length)) return null;
  const parts: string[] = [];
  for (const [index, run] of first.entries()) {
    const same = others.map((runs) => runs[index]);
    if (same.some((other) => other?.symbol !== run.symbol)) return null;
    const lengths = [run.length, ...same.map((other) => other?.length ?? 0)];
    const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
    const known = CLASSES[run.symbol];
    if (known === undefined && least !== most) return null;
    parts.push(
      known === undefined
        ? escaped(run.symbol).repeat(run.length)
        : `${known}${most === 1 ? '' : least === most ? `{${least}}` : `{${least},${most}}`}`,
    );
  }
  return parts.join('');
}

/** Words of ordinary language have spaces and letters beyond ASCII; a format with those is none that lasts. */
function runsOf(shape: string): Run[] {
  if (!/^[\x21-\x7e]+$/.test(shape)) return [];
  return [...shape.matchAll(/(.)\1*/g)].map(([run, symbol = '']) => ({ symbol, length: run.length }));
}

const escaped = (symbol: string): string => symbol.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
