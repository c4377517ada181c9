import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { type DataWindow, dataWindow } from '../../contracts/spec/retraining.ts';

/** Bounds of the parts of a retraining, milliseconds since 1970. Each part is the rows before its bound. */
export interface WindowBounds {
  /** The first row of the window; `null`: from the beginning. */
  from: number | null;
  train: number;
  validation: number;
  /** Up to here truth is known: rows at or after it belong to no part. */
  test: number;
}

/**
 * The moment up to which truth is known: rows before it are labelled. In whole seconds, downwards.
 *
 * @param asOf ISO 8601
 * @param delay how long after a row its truth is known; `null`: at once
 * @throws PerennialError `InputInvalid` where `asOf` is no moment
 * @example new Date(labelledUntil('2009-06-08T00:00:00Z', '7d')).toISOString() // 2009-06-01T00:00:00.000Z
 */
export function labelledUntil(asOf: string, delay: string | null): number {
  const at = Date.parse(asOf);
  if (Number.isNaN(at))
    throw new PerennialError('InputInvalid', `asOf is ${asOf}, not a moment such as 2009-06-01T00:00:00Z`);
  return wholeSecond(at - (delay === null ? 0 : durationMs(delay)));
}

/** Bounds of a split have no parts of a second. */
const wholeSecond = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

/**
 * The parts of a window, counted back from the moment up to which truth is known. Each has its whole length: a gap lies
 * between the parts, and is taken from the training rows.
 *
 * @param gapMs rows of this time after a bound belong to no part
 */
export function windowBounds(window: DataWindow, until: number, gapMs = 0): WindowBounds {
  const validation = wholeSecond(until - durationMs(window.test) - gapMs);
  return {
    from: window.length === undefined ? null : wholeSecond(until - durationMs(window.length)),
    train: wholeSecond(validation - durationMs(window.validation) - gapMs),
    validation,
    test: until,
  };
}

/** As a moment of a spec. */
const moment = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/**
 * The spec of a retraining: the pipeline's own with the rows of `retraining.window`, counted back from `asOf` minus the
 * delay of the truth. The latest labelled rows are the test part, the ones before them the validation part, all before
 * those (or the last `length`) the training part. Rows outside of the window are set aside before anything looks at the
 * data: no expectation, profile or fit sees a row whose truth is not known yet. Whatever else the spec says stays, its
 * expectations, candidates, gates and the gap of a split by time among them; another method of splitting does not. A
 * window that is weighted sets `training.ageWeights`.
 *
 * Pure: the same arguments give the same spec, so that a workflow and a back-test may use it.
 *
 * @param asOf ISO 8601: the moment of the retraining, in event time
 * @param delay how long after a prediction its truth is known; `null`: at once
 * @throws PerennialError `InputInvalid` where `asOf` is no moment; `SpecInvalid` where the spec names no timestamp, or
 *   the window has no room for its parts
 * @example
 * // { test: '30d', validation: '30d' } of an expanding window, with a delay of 7d
 * retrainingSpecOf(spec, '2009-09-08T00:00:00Z', '7d').split
 * // { method: 'time', train: { before: '2009-07-03T00:00:00Z' }, validation: { before: '2009-08-02T00:00:00Z' },
 * //   test: { before: '2009-09-01T00:00:00Z' } }
 */
export function retrainingSpecOf(spec: PipelineSpec, asOf: string, delay: string | null): PipelineSpec {
  const { timestamp } = spec.columns;
  if (timestamp === undefined)
    throw new PerennialError(
      'SpecInvalid',
      'columns.timestamp: the rows of a retraining are chosen by time; name the column that says when a row is of',
    );
  const window = spec.retraining?.window ?? dataWindow.parse({});
  const gap = spec.split.method === 'time' ? spec.split.gap : undefined;
  const bounds = windowBounds(window, labelledUntil(asOf, delay), gap === undefined ? 0 : durationMs(gap));
  if (bounds.from !== null && bounds.from >= bounds.train)
    throw new PerennialError(
      'SpecInvalid',
      `retraining.window: the length of ${window.length} leaves no training rows beside ${window.validation} of validation, ${window.test} of test${gap === undefined ? '' : ` and two gaps of ${gap}`}; make it longer`,
    );
  const retrained: PipelineSpec = {
    ...spec,
    data: {
      ...spec.data,
      rowFilter: [
        ...outside(timestamp, bounds),
        // A spec that was made here is one of the same pipeline: its bounds are over.
        ...spec.data.rowFilter.filter(({ reason }) => !OWN.some((own) => reason.startsWith(own))),
      ],
    },
    split: {
      method: 'time',
      train: {
        ...(bounds.from === null ? {} : { from: moment(bounds.from) }),
        before: moment(bounds.train),
      },
      validation: { before: moment(bounds.validation) },
      test: { before: moment(bounds.test) },
      ...(gap === undefined ? {} : { gap }),
    },
    training: {
      ...spec.training,
      ...(window.halfLife === undefined ? {} : { ageWeights: { halfLife: window.halfLife } }),
    },
  };
  const checked = pipelineSpec.safeParse(retrained);
  if (checked.success) return checked.data;
  const words = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new PerennialError('SpecInvalid', `The spec of the retraining is none: ${words.join('; ')}`);
}

const UNKNOWN = 'truth not known yet: ';
const TOO_OLD = 'older than the window of the retraining: ';
const OWN = [UNKNOWN, TOO_OLD];

/** Rows that are none of the window. Those without a moment stay: what becomes of them is the spec's own. */
function outside(timestamp: string, { from, test }: WindowBounds): PipelineSpec['data']['rowFilter'] {
  const column = `CAST(${identifier(timestamp)} AS TIMESTAMPTZ)`;
  const at = (ms: number): string => `CAST(${literal(moment(ms))} AS TIMESTAMPTZ)`;
  return [
    {
      where: `${column} >= ${at(test)}`,
      reason: `${UNKNOWN}at or after ${moment(test)}`,
    },
    ...(from === null
      ? []
      : [
          {
            where: `${column} < ${at(from)}`,
            reason: `${TOO_OLD}before ${moment(from)}`,
          },
        ]),
  ];
}
