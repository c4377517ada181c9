import type { SliceResult } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { MetricGate } from '../../contracts/spec/gates.ts';
import type { Evidence } from './evidence.ts';
import { type Bound, judge, unjudged, worstOf } from './outcome.ts';

const WHY = { few_rows: 'too few rows', one_class: 'one class alone' } as const;

const count = (value: number): string => value.toLocaleString('en-US');

/** What the gates on a slice that is too small say of it. */
const insufficient = (gate: MetricGate, required: string, slice: SliceResult): GateResult => {
  const why = slice.insufficient ? WHY[slice.insufficient] : '';
  return unjudged(
    gate,
    {
      subject: `${gate.metric} of slice ${slice.name}`,
      required,
      slice: slice.name,
      note: `${why} (${count(slice.rows)} rows)${slice.mandatory ? '; it was declared mandatory' : ', so it is not gated'}`,
    },
    slice.mandatory ? 'failed' : 'insufficient',
  );
};

/** Holds each slice against a fixed limit. */
export function sliceLimit(
  gate: MetricGate,
  evidence: Evidence,
  direction: Bound['direction'],
): GateResult[] {
  const { metric, slices: which } = gate;
  const limit = direction === 'at_least' ? gate.min : gate.max;
  const required = `${direction === 'at_least' ? '>=' : '<='} ${limit}`;
  const { slices } = evidence;
  const declared = which === 'worst' ? [] : (slices?.declared ?? []);
  const found = which === 'declared' ? [] : (slices?.worst ?? []);
  const missing = (note: string): GateResult[] => [
    unjudged(gate, { subject: `${metric} of ${which} slices`, required, note }),
  ];
  if (slices === undefined) return missing('slices were not judged');
  if (which !== 'declared' && slices.search === null) return missing('the worst slices were not looked for');
  const all = [...declared, ...found];
  const judged = all
    .filter((slice) => slice.insufficient === undefined)
    .map((slice) =>
      judge(gate, {
        subject: `${metric} of slice ${slice.name}`,
        required,
        limit: limit ?? Number.NaN,
        direction,
        observed: slice.metrics[metric],
        interval: slice.intervals[metric],
        slice: slice.name,
        note: `${count(slice.rows)} rows`,
        missing: `${metric} could not be computed for the ${count(slice.rows)} rows of the slice`,
      }),
    );
  const small = all
    .filter((slice) => slice.insufficient !== undefined)
    .map((slice) => insufficient(gate, required, slice));
  const mandatory = small.filter(({ verdict }) => verdict === 'failed');
  const failing = [...mandatory, ...judged];
  return [
    ...(failing.length > 0 ? worstOf(failing, 'slices') : []),
    ...aside(gate, required, small.length - mandatory.length, failing.length, which),
  ];
}

/** One line for all slices that are not gated, and one where there is no bad slice at all. */
function aside(
  gate: MetricGate,
  required: string,
  small: number,
  told: number,
  which: MetricGate['slices'],
): GateResult[] {
  const said = { subject: `${gate.metric} of ${which} slices`, required };
  if (small > 0)
    return [
      unjudged(
        gate,
        { ...said, note: `${count(small)} with too few rows or one class are not gated` },
        'insufficient',
      ),
    ];
  if (told > 0) return [];
  return which === 'declared'
    ? [unjudged(gate, { ...said, note: 'no row belongs to a declared slice' })]
    : [unjudged(gate, { ...said, note: 'no slice stands out' }, 'passed')];
}
