import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RouteTableInput } from '../../contracts/serving.ts';
import { AppFixture } from './serving-fixture.ts';
import { churnServed } from './serving-models.ts';

let fixture: AppFixture;
beforeEach(async () => {
  fixture = await AppFixture.create();
});
afterEach(() => fixture.close());

const apply = async (share: number, generation: number, more: Partial<RouteTableInput> = {}) =>
  fixture.host.applyRoutes({
    endpoint: 'churn',
    generation,
    routes: [
      { model: await churnServed(fixture.store, '3'), weight: 100 - share },
      { model: await churnServed(fixture.store, '4', 2), weight: share, role: 'challenger' },
    ],
    ...more,
  });

/** Version and reason of the answer. */
async function ask(
  row: Record<string, unknown> | Record<string, unknown>[],
  headers: Record<string, string> = {},
): Promise<[unknown, unknown]> {
  const answer = await fixture.post('/invocations', { dataframe_records: [row].flat() }, headers);
  expect(answer.text).toContain('predictions');
  return [answer.headers['perennial-model-version'], answer.headers['perennial-reason']];
}

const entity = (key: string): Record<string, string> => ({ 'perennial-entity': encodeURIComponent(key) });
const customers = Array.from({ length: 60 }, (_, i) => `Kundin ${i} ä`);

describe('a sticky endpoint', () => {
  it('sends an entity to one version, and to no other while the share of the challenger grows', async () => {
    let before = new Set<string>();
    for (const [step, share] of [20, 50, 80].entries()) {
      await apply(share, step + 1, { sticky: true });
      const now = new Set<string>();
      for (const customer of customers) {
        const [version, reason] = await ask({ age: 30 }, entity(customer));
        expect(reason).toBe('entity');
        expect(await ask({ age: 60 }, entity(customer))).toEqual([version, reason]);
        if (version === '4') now.add(customer);
      }
      for (const customer of before) expect(now).toContain(customer);
      expect(now.size).toBeGreaterThan(before.size);
      before = now;
    }
  });

  it('finds the entity in a column where nobody names it, and the header counts before it', async () => {
    await apply(50, 1, { sticky: true, entityColumn: 'city' });
    const cities = Array.from({ length: 30 }, (_, i) => `city ${i}`);
    const versions = new Set<unknown>();
    for (const city of cities) {
      const [version, reason] = await ask({ age: 30, city });
      expect(reason).toBe('entity');
      versions.add(version);
      expect(
        await ask([
          { age: 1, city },
          { age: 2, city },
        ]),
      ).toEqual([version, 'entity']);
      // The same key means the same place, however it comes.
      expect(await ask({ age: 30 }, entity(city))).toEqual([version, 'entity']);
      expect(await ask({ age: 30, city: 'Ulm' }, entity(city))).toEqual([version, 'entity']);
    }
    expect(versions).toEqual(new Set(['3', '4']));
  });

  it('takes rows of several entities, or of none, by weight', async () => {
    await apply(50, 1, { sticky: true, entityColumn: 'city' });
    expect(
      (
        await ask([
          { age: 1, city: 'Ulm' },
          { age: 2, city: 'Bonn' },
        ])
      )[1],
    ).toBe('weight');
    expect((await ask({ age: 1 }))[1]).toBe('weight');
    expect((await ask({ age: 1, city: null }))[1]).toBe('weight');
  });

  it('refuses rows in which the column cannot be read', async () => {
    await apply(50, 1, { sticky: true, entityColumn: 'city' });
    const answer = await fixture.post('/invocations', { dataframe_records: [{ age: 1, city: 7 }] });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('expected a string');
  });
});

describe('an endpoint that is not sticky', () => {
  it('takes entities by weight', async () => {
    await apply(50, 1);
    expect((await ask({ age: 1 }, entity('a')))[1]).toBe('weight');
  });

  it('lets a header decide, and ignores one that the table does not name', async () => {
    await apply(0, 1, { headerRoutes: [{ header: 'x-tester', value: 'yes', version: '4' }] });
    expect(await ask({ age: 1 }, { 'x-tester': 'yes' })).toEqual(['4', 'header']);
    expect(await ask({ age: 1 }, { 'x-tester': 'no' })).toEqual(['3', 'sole']);
    expect(await ask({ age: 1 }, { 'x-other': 'yes' })).toEqual(['3', 'sole']);
  });
});
