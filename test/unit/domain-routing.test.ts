import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RouteTable, type RouteTableInput, routeTable } from '../../contracts/serving.ts';
import { championOf, chooseRoute, tableProblem } from '../../domain/routing.ts';
import { servedModel } from '../support/samples.ts';

type Share = [version: string, weight: number, role: 'champion' | 'challenger' | 'shadow'];

const tableOf = (shares: Share[], more: Partial<RouteTableInput> = {}): RouteTable =>
  routeTable.parse({
    endpoint: 'e',
    generation: 1,
    routes: shares.map(([version, weight, role]) => ({ model: servedModel(version), weight, role })),
    ...more,
  });

/** Where a point of a table lies, without headers. */
const at = (table: RouteTable, point: number, sticky = false): string | undefined =>
  chooseRoute(table, { header: () => undefined, place: () => ({ point, sticky }) })?.route.model.version;

const withHeader = (table: RouteTable, headers: Record<string, string>) =>
  chooseRoute(table, { header: (name) => headers[name], place: () => ({ point: 0.999, sticky: false }) });

/** A champion with up to four challengers; weights are whole percents that add up to 100. */
const shares = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 4 }).map((raw) => {
  let left = 100;
  const challengers = raw.map((wanted, index): Share => {
    const weight = Math.min(wanted, left);
    left -= weight;
    return [`c${index}`, weight, 'challenger'];
  });
  return { champion: ['champion', left, 'champion'] satisfies Share as Share, challengers };
});

describe('chooseRoute', () => {
  it('gives each route its weight, whatever the order of the table', () => {
    fc.assert(
      fc.property(shares, fc.nat(4), ({ champion, challengers }, place) => {
        const all = [...challengers.slice(0, place), champion, ...challengers.slice(place)];
        const table = tableOf(all);
        const counts = new Map<string | undefined, number>();
        const points = 1_000;
        for (let i = 0; i < points; i++) {
          const version = at(table, i / points);
          counts.set(version, (counts.get(version) ?? 0) + 1);
        }
        for (const [version, weight] of all)
          expect(Math.abs((counts.get(version) ?? 0) - weight * 10)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 50 },
    );
  });

  it('lets nobody leave a challenger whose share grows at the cost of the champion', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 100 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (one, other, point) => {
          const [small, large] = [Math.min(one, other), Math.max(one, other)];
          const share = (weight: number): RouteTable =>
            tableOf([
              ['1', 100 - weight, 'champion'],
              ['2', weight, 'challenger'],
            ]);
          if (at(share(small), point, true) === '2') expect(at(share(large), point, true)).toBe('2');
        },
      ),
    );
  });

  it('keeps the entities of the first challenger when another one comes behind it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 50 }),
        fc.integer({ min: 0, max: 50 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (first, second, point) => {
          const before = tableOf([
            ['1', 100 - first, 'champion'],
            ['2', first, 'challenger'],
          ]);
          const after = tableOf([
            ['1', 100 - first - second, 'champion'],
            ['2', first, 'challenger'],
            ['3', second, 'challenger'],
          ]);
          if (at(before, point) === '2') expect(at(after, point)).toBe('2');
        },
      ),
    );
  });

  it('never answers by a shadow, and says why it answers as it does', () => {
    const table = tableOf([
      ['1', 90, 'champion'],
      ['2', 10, 'challenger'],
      ['3', 100, 'shadow'],
    ]);
    const choose = (point: number, sticky: boolean) =>
      chooseRoute(table, { header: () => undefined, place: () => ({ point, sticky }) });
    expect(choose(0.05, false)).toMatchObject({ reason: 'weight', route: { role: 'challenger' } });
    expect(choose(0.05, true)).toMatchObject({ reason: 'entity', route: { role: 'challenger' } });
    expect(choose(0.999999, true)).toMatchObject({ reason: 'entity', route: { role: 'champion' } });
    for (let i = 0; i < 1_000; i++) expect(at(table, i / 1_000)).not.toBe('3');
  });

  it('does not ask where the request stands if only one route takes traffic', () => {
    const table = tableOf([
      ['1', 100, 'champion'],
      ['2', 0, 'challenger'],
      ['3', 50, 'shadow'],
    ]);
    const choice = chooseRoute(table, {
      header: () => undefined,
      place: () => {
        throw new Error('asked');
      },
    });
    expect(choice).toMatchObject({ reason: 'sole', route: { model: { version: '1' } } });
  });

  it('follows a header before the weights, the first in the table that fits', () => {
    const table = tableOf(
      [
        ['1', 100, 'champion'],
        ['2', 0, 'challenger'],
      ],
      {
        headerRoutes: [
          { header: 'x-tester', value: 'yes', version: '2' },
          { header: 'x-tester', value: 'yes', version: '1' },
          { header: 'x-group', value: 'old', version: '1' },
        ],
      },
    );
    expect(withHeader(table, { 'x-tester': 'yes' })).toMatchObject({
      reason: 'header',
      route: { model: { version: '2' } },
    });
    expect(withHeader(table, { 'x-tester': 'yes', 'x-group': 'old' })?.route.model.version).toBe('2');
    expect(withHeader(table, { 'x-group': 'old' })).toMatchObject({ reason: 'header' });
    expect(withHeader(table, { 'x-tester': 'no' })).toMatchObject({ reason: 'sole' });
  });

  it('has the last route for weights that lack a hair of 100', () => {
    const third = 100 / 3;
    const table = tableOf([
      ['1', third, 'challenger'],
      ['2', third, 'challenger'],
      ['3', third, 'champion'],
    ]);
    expect(tableProblem(table)).toBeUndefined();
    expect(at(table, 1 - Number.EPSILON)).toBe('3');
  });

  it('chooses nothing where nothing takes traffic', () => {
    expect(at(tableOf([]), 0.5)).toBeUndefined();
    expect(championOf(tableOf([]))).toBeUndefined();
  });
});

describe('tableProblem', () => {
  it.each<[string, Share[], Partial<RouteTableInput>, string]>([
    ['no champion', [['1', 100, 'challenger']], {}, '0 routes have the role champion'],
    [
      'two champions',
      [
        ['1', 50, 'champion'],
        ['2', 50, 'champion'],
      ],
      {},
      '2 routes have the role champion',
    ],
    [
      'shares that leave a rest',
      [
        ['1', 80, 'champion'],
        ['2', 10, 'challenger'],
      ],
      {},
      'add up to 90',
    ],
    [
      'a version twice',
      [
        ['1', 50, 'champion'],
        ['1', 50, 'shadow'],
      ],
      {},
      'a version is there twice',
    ],
    [
      'a header that leads to a shadow',
      [
        ['1', 100, 'champion'],
        ['2', 50, 'shadow'],
      ],
      { headerRoutes: [{ header: 'x', value: 'y', version: '2' }] },
      'leads to version 2, which answers nobody',
    ],
    [
      'a header that leads nowhere',
      [['1', 100, 'champion']],
      { headerRoutes: [{ header: 'x', value: 'y', version: '9' }] },
      'leads to version 9',
    ],
  ])('names %s', (_name, all, more, problem) => {
    expect(tableProblem(tableOf(all, more))).toContain(problem);
  });

  it('lets a shadow take copies beside a whole 100', () => {
    expect(
      tableProblem(
        tableOf([
          ['1', 100, 'champion'],
          ['2', 100, 'shadow'],
        ]),
      ),
    ).toBeUndefined();
    expect(tableProblem(tableOf([]))).toBeUndefined();
  });
});
