import type { ObservedWindow } from '../../contracts/monitoring.ts';

/** A model that came into production. */
export interface DeployedModel {
  model: string;
  /** The moment as of which it was trained, and from which on it may answer. */
  since: string;
}

/** A stretch of labelled rows that one model answered. */
export interface LabelledPart {
  model: string;
  from: string;
  before: string;
  /** From when on this model has answered. */
  since: string;
}

/** Models in the order in which they came; there is one at least. */
type Deployed = readonly DeployedModel[];

/** The one in production. */
export function newest(deployed: Deployed): DeployedModel {
  const last = deployed.at(-1);
  if (!last) throw new RangeError('no model was ever deployed');
  return last;
}

/** The model that answers a window: the latest that was there when it began. The first one was always there. */
export function servingIn(deployed: Deployed, { from }: Pick<ObservedWindow, 'from'>): string {
  const at = Date.parse(from);
  const there = deployed.findLast(({ since }, i) => i === 0 || Date.parse(since) <= at);
  return (there ?? newest(deployed)).model;
}

/**
 * Who answered a stretch of the past, in the order of time: each row belongs to one part, and that to the model of its
 * window.
 *
 * @param windows all of them, the earliest first; the stretch begins and ends with one
 */
export function partsOf(
  deployed: Deployed,
  windows: readonly ObservedWindow[],
  stretch: ObservedWindow,
): LabelledPart[] {
  const parts: LabelledPart[] = [];
  const since = new Map<string, string>();
  const [begin, end] = [Date.parse(stretch.from), Date.parse(stretch.before)];
  for (const window of windows) {
    if (Date.parse(window.before) > end) break;
    const model = servingIn(deployed, window);
    const first = since.get(model) ?? window.from;
    since.set(model, first);
    if (Date.parse(window.from) < begin) continue;
    const last = parts.at(-1);
    if (last?.model === model) last.before = window.before;
    else parts.push({ model, from: window.from, before: window.before, since: first });
  }
  return parts;
}
