import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SeenFile } from '../../contracts/incremental.ts';
import { advanced, columnDrift, decideFiles, emptyHead, lowerBound } from '../../domain/incremental.ts';

const time = (value: string) => ({ kind: 'time' as const, value });
const file = (path: string, identity: string): SeenFile => ({ path, identity });

describe('the lower bound of an incremental read', () => {
  it.each([
    ['nothing was read', null, 1_000, null],
    ['a row may come as late as it likes', time('5000000'), undefined, null],
    ['no lateness is allowed', time('5000000'), 0, time('5000000')],
    ['two seconds of lateness', time('5000000'), 2_000, time('3000000')],
    ['a time before 1970', time('-5'), 1, time('-1005')],
    ['more digits than a double has', time('9007199254740993'), 1, time('9007199254739993')],
    ['a number', { kind: 'number' as const, value: '17' }, 1_000, null],
  ])('where %s', (_, watermark, latenessMs, bound) => {
    expect(lowerBound(watermark, latenessMs)).toEqual(bound);
  });
});

describe('which files are read', () => {
  it('new ones, in the order in which they were found', () => {
    expect(decideFiles([file('a', '1')], [file('c', '3'), file('a', '1'), file('b', '2')])).toEqual({
      fresh: [file('c', '3'), file('b', '2')],
      changed: [],
    });
  });

  it('none twice by another name', () => {
    expect(decideFiles([file('a', '1')], [file('moved', '1')]).fresh).toEqual([]);
    expect(decideFiles([], [file('a', '1'), file('copy', '1')]).fresh).toEqual([file('a', '1')]);
  });

  it('none that has changed: that is said', () => {
    expect(decideFiles([file('a', '1')], [file('a', '2'), file('b', '3')])).toEqual({
      fresh: [file('b', '3')],
      changed: ['a'],
    });
  });

  it('each content once over any sequence of reads', () => {
    const files = fc.array(
      fc.record({ path: fc.constantFrom('a', 'b', 'c', 'd'), identity: fc.constantFrom('1', '2', '3') }),
    );
    fc.assert(
      fc.property(fc.array(files), (reads) => {
        let seen: SeenFile[] = [];
        for (const found of reads) {
          const { fresh } = decideFiles(seen, found);
          expect(decideFiles([...seen, ...fresh], fresh).fresh).toEqual([]);
          seen = [...seen, ...fresh];
        }
        expect(new Set(seen.map(({ identity }) => identity)).size).toBe(seen.length);
      }),
    );
  });
});

describe('columns of rows that are added', () => {
  const before = [
    { name: 'id', type: 'BIGINT' },
    { name: 'at', type: 'DATE' },
    { name: 'note', type: 'VARCHAR' },
  ];
  it.each([
    ['the same', before, undefined],
    ['in another order', [...before].reverse(), undefined],
    ['with a new one', [...before, { name: 'more', type: 'INTEGER' }], undefined],
    [
      'with a wider number and a finer time',
      [
        { name: 'id', type: 'DOUBLE' },
        { name: 'at', type: 'TIMESTAMP' },
        { name: 'note', type: 'VARCHAR' },
      ],
      undefined,
    ],
    ['without one', before.slice(0, 2), 'the column note, which earlier rows have, is gone'],
    [
      'with a number that became text',
      [{ name: 'id', type: 'VARCHAR' }, ...before.slice(1)],
      'the column id was BIGINT and is VARCHAR now',
    ],
  ])('%s', (_, now, drift) => {
    expect(columnDrift(before, now)).toBe(drift);
  });
});

it('a head remembers the latest runs only', () => {
  const ref = { uri: `cas:${'0'.repeat(64)}`, sha256: '0'.repeat(64), bytes: 1, mediaType: 'x' };
  const report = {
    mode: 'watermark' as const,
    new: 1,
    late: 0,
    tooOld: 0,
    withoutWatermark: 0,
    seenBefore: 0,
    newFiles: 0,
    watermark: time('1'),
    segments: 1,
    rows: 1,
  };
  let head = emptyHead('watermark at');
  for (let run = 0; run < 120; run++)
    head = advanced(head, {
      run: `run ${run}`,
      segment: { artifact: ref, rows: 1 },
      snapshot: { artifact: ref, rows: run + 1, columns: [] },
      report,
      files: [file(`f${run}`, `${run}`)],
    });
  expect(head.segments).toHaveLength(120);
  expect(head.files).toHaveLength(120);
  expect(head.taken.map(({ run }) => run).slice(-1)).toEqual(['run 119']);
  expect(head.taken.length).toBeLessThanOrEqual(50);
});
