import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureView } from '../../contracts/spec/feature-views.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';

const VIEW = {
  events: 'SELECT card, shop, paid, booked, amount FROM payments',
  entity: 'card',
  timestamp: 'paid',
  windows: ['1h', '1d'],
  features: { total: 'sum(amount)', payments: 'count(*)' },
};

let database: Database;
beforeAll(async () => {
  database = await Database.create({ tempDir: tmpdir() });
  await database.run(
    'CREATE TABLE payments (card VARCHAR, shop VARCHAR, paid TIMESTAMP, booked TIMESTAMP, amount DOUBLE)',
  );
});
afterAll(() => database?.close());

/** What each column is, by its name. */
async function definitions(changes: object = {}): Promise<Record<string, string | undefined>> {
  const { columns } = await planView(database, 'spending', featureView.parse({ ...VIEW, ...changes }));
  return Object.fromEntries(columns.map(({ name, definition }) => [name, definition]));
}

describe('the definition of a column', () => {
  it.each([
    ['its window stands among others', { windows: ['7d', '1d', '1h'] }],
    ['there are more features', { features: { most: 'max(amount + 1)', ...VIEW.features } }],
    ['the view is kept otherwise', { online: { every: '1m', ttl: '1d', unavailable: 'refuse' } }],
  ])('is the same where %s', async (_what, changes) => {
    expect(await definitions(changes)).toMatchObject(await definitions());
  });

  it.each([
    ['events', { events: `${VIEW.events} WHERE amount > 5` }],
    ['entity', { entity: 'shop' }],
    ['timestamp', { timestamp: 'booked' }],
    ['aggregates', { features: { total: 'avg(amount)', payments: 'count(amount)' } }],
    ['expressions', { features: { total: 'sum(amount + 1)', payments: 'count(shop)' } }],
    [
      'filters',
      {
        features: {
          total: 'sum(amount) FILTER (WHERE amount > 5)',
          payments: 'count(*) FILTER (WHERE amount > 5)',
        },
      },
    ],
  ])('is another one with other %s', async (_what, changes) => {
    const [was, is] = [await definitions(), await definitions(changes)];
    expect(Object.keys(is)).toEqual(Object.keys(was));
    for (const name of Object.keys(was)) expect(is[name]).not.toBe(was[name]);
  });

  it('is its own', async () => {
    const all = Object.values(await definitions());
    expect(new Set(all).size).toBe(4);
  });
});
