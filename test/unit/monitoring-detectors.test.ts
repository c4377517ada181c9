import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { detectorState } from '../../contracts/detectors.ts';
import { type ConceptSpec, conceptSpec } from '../../contracts/spec/monitoring.ts';
import { createDetector } from '../../domain/monitoring/detectors/create-detector.ts';
import type { ConceptChange } from '../../domain/monitoring/detectors/detector.ts';
import { linearCongruential } from '../support/integration-random.ts';

// Written by test/fixtures/detectors.py with river; the streams are made again here.
const FIXTURE = new URL('../fixtures/detectors.json', import.meta.url);
const { cases } = z
  .object({
    cases: z.array(
      z.object({
        seed: z.number(),
        kind: z.enum(['wrong', 'loss']),
        segments: z.array(z.tuple([z.number(), z.number()])),
        answers: z.array(
          z.object({
            spec: conceptSpec,
            drifts: z.array(z.number()),
            warnings: z.number(),
            firstWarnings: z.array(z.number()),
            window: z.object({ width: z.number(), total: z.number(), variance: z.number() }).optional(),
          }),
        ),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(FIXTURE, 'utf8')));

function streamOf({ seed, kind, segments }: Pick<(typeof cases)[number], 'seed' | 'kind' | 'segments'>) {
  const levels = segments.flatMap(([count, level]) => Array.from({ length: count }, () => level));
  return linearCongruential(levels.length, seed).map((number, i) => {
    const level = levels[i] ?? 0;
    return kind === 'wrong' ? Number(number < level) : number * level;
  });
}

/** Goes through a stream, and from JSON to JSON now and then, as windows do. */
function watched(spec: ConceptSpec, errors: readonly number[], every = Number.POSITIVE_INFINITY) {
  let detector = createDetector(spec);
  const drifts: number[] = [];
  const warnings: number[] = [];
  const changes: (ConceptChange | null)[] = [];
  for (const [index, error] of errors.entries()) {
    const signal = detector.update(error);
    if (signal === 'warning') warnings.push(index);
    if (signal === 'drift') {
      drifts.push(index);
      changes.push(detector.change);
    } else if (detector.change !== null) throw new Error('a change without a drift');
    if (index % every === every - 1)
      detector = createDetector(spec, JSON.parse(JSON.stringify(detector.state)));
  }
  return { drifts, warnings, changes, state: detector.state };
}

const ADWIN: ConceptSpec = { detector: 'adwin', delta: 0.002 };
const DDM: ConceptSpec = { detector: 'ddm', warning: 2, drift: 3 };
const PAGE_HINKLEY: ConceptSpec = { detector: 'page-hinkley', delta: 0.005, threshold: 10 };

describe('the detectors say what river says', () => {
  const asked = cases.flatMap((stream) =>
    stream.answers.map((answer) => ({
      stream,
      answer,
      name: `${JSON.stringify(answer.spec)} of ${stream.kind} ${JSON.stringify(stream.segments)}`,
    })),
  );

  it('at enough streams, with and without changes', () => {
    expect(asked.length).toBeGreaterThan(40);
    expect(asked.filter(({ answer }) => answer.drifts.length > 0).length).toBeGreaterThan(20);
    expect(asked.filter(({ answer }) => answer.drifts.length === 0).length).toBeGreaterThan(5);
    expect(asked.some(({ answer }) => answer.warnings > 0)).toBe(true);
  });

  it.each(asked)('$name', ({ stream, answer }) => {
    const { drifts, warnings, state } = watched(answer.spec, streamOf(stream), 777);
    expect(drifts).toEqual(answer.drifts);
    expect(warnings).toHaveLength(answer.warnings);
    expect(warnings.slice(0, 20)).toEqual(answer.firstWarnings);
    if (!answer.window || state.detector !== 'adwin') return;
    const width = state.rows.reduce((sum, row, i) => sum + row.length * 2 ** i, 0);
    expect(width).toBe(answer.window.width);
    expect(state.total).toBeCloseTo(answer.window.total, 9);
    expect(state.deviations).toBeCloseTo(answer.window.variance, 9);
  });
});

describe('a change', () => {
  const errors = streamOf({
    seed: 7,
    kind: 'wrong',
    segments: [
      [3_000, 0.1],
      [1_000, 0.4],
    ],
  });

  it.each([ADWIN, DDM, PAGE_HINKLEY])('is told with the means before and after it: %j', (spec) => {
    const { drifts, changes } = watched(spec, errors);
    const [at = 0] = drifts.filter((index) => index >= 3_000);
    const change = changes[drifts.indexOf(at)];
    expect(at).toBeLessThan(3_400);
    expect(change?.before).toBeCloseTo(0.1, 1);
    expect(change?.after).toBeGreaterThan(0.25);
    // About where it began.
    expect(Math.abs(at - (change?.since ?? 0) - 3_000)).toBeLessThan(250);
  });

  it('for the better is found by ADWIN alone', () => {
    const better = [...errors].reverse();
    expect(watched(ADWIN, better).changes[0]?.after).toBeLessThan(0.25);
    for (const spec of [DDM, PAGE_HINKLEY])
      expect(watched(spec, better).drifts.filter((at) => at >= 1_000 && at < 1_500)).toEqual([]);
  });
});

describe('the state of a detector', () => {
  it.each([ADWIN, DDM, PAGE_HINKLEY])('carries on as if nothing had been between: %j', (spec) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.integer({ min: 1, max: 400 }),
        fc.constantFrom(0.02, 0.2, 0.9),
        (seed, every, level) => {
          const errors = streamOf({
            seed,
            kind: 'wrong',
            segments: [
              [700, 0.2],
              [700, level],
            ],
          });
          expect(watched(spec, errors, every)).toEqual(watched(spec, errors));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is bounded: after a million errors it has a few kilobytes', () => {
    const detector = createDetector(ADWIN);
    for (const error of linearCongruential(1_000_000, 3)) detector.update(error);
    const text = JSON.stringify(detector.state);
    expect(text.length).toBeLessThan(16_000);
    expect(detectorState.parse(JSON.parse(text))).toEqual(detector.state);
  });

  it('of another detector is forgotten, and one that is none is refused with the remedy', () => {
    const { state } = watched(DDM, [0, 1, 1]);
    expect(createDetector(ADWIN, state).state).toEqual(createDetector(ADWIN).state);
    expect(createDetector(ADWIN, null).state).toEqual(createDetector(ADWIN).state);
    for (const wrong of [{}, 'adwin', { detector: 'adwin', rows: [] }, { ...state, mean: 7 }])
      expect(() => createDetector(DDM, wrong)).toThrow('take it away');
  });

  it('is not touched by later errors, nor by errors that are no numbers', () => {
    for (const spec of [ADWIN, DDM, PAGE_HINKLEY]) {
      const detector = createDetector(spec);
      for (let i = 0; i < 100; i++) detector.update(i % 2);
      const saved = detector.state;
      const copy = JSON.parse(JSON.stringify(saved));
      detector.update(1);
      const other = createDetector(spec, saved);
      other.update(1);
      expect(saved).toEqual(copy);
      expect(other.state).toEqual(detector.state);
      for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => other.update(wrong)).toThrow(RangeError);
        expect(other.state).toEqual(detector.state);
      }
    }
    expect(() => createDetector(DDM).update(1.5)).toThrow('take adwin or page-hinkley');
  });
});
