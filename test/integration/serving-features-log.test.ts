import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { Person } from '../../lib/erasure/person.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { PredictedRows } from '../../lib/predictions/predicted-rows.ts';
import type { ModelServerOptions } from '../../serving/server.ts';
import { personalSpec, secrets } from '../support/erasure-fixture.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { BIG, invoke, MINUTE, records, ShopFixture, shopEvents } from '../support/shop-fixture.ts';
import { viewModel } from '../support/view-model.ts';

let shop: ShopFixture;
let fixture: PredictionLogFixture;
beforeEach(async () => {
  shop = await ShopFixture.create();
  fixture = await PredictionLogFixture.create();
});
afterEach(async () => {
  await shop.close();
  await fixture.close();
});

const COLUMNS = `row, input_amount AS amount, input_spending_count_1h AS count, input_spending_total_1d AS total,
  entity_customer AS customer, feature_source_spending AS source, feature_until_spending AS until, time`;
/** A server's log in the fixture's data directory. */
const log = (): Pick<ModelServerOptions, 'predictionLog'> => ({
  predictionLog: (policy) => fixture.log('s1', { policy }),
});
const recorded = () => fixture.rows(`SELECT ${COLUMNS} FROM predictions ORDER BY time, row`, {}, 'shop');

describe('the prediction log', () => {
  it('has looked-up values as inputs, by which key, where they came from, and as of when', async () => {
    const features = shopEvents();
    const until = Math.floor(Date.now() - MINUTE / 2) + 0.25;
    features.until = until;
    const server = await shop.serve(features, undefined, {}, log());
    const rows = `[{"amount":1,"customer":"ann"},{"amount":2,"customer":${BIG}},{"amount":3},
      {"amount":4,"customer":"ann","spending_count_1h":9}]`;
    await invoke(server, `{"dataframe_records":${rows}}`);
    features.down = 'gone';
    await invoke(server, records({ amount: 5, customer: 'ann' }));
    await server.close();
    for (const rolled of [false, true]) {
      if (rolled) await fixture.roll();
      const all = await recorded();
      expect(all.map(({ until: _until, time: _time, ...row }) => row)).toEqual([
        { row: 0, amount: 1, count: 1, total: 5, customer: 'ann', source: 'looked_up' },
        { row: 1, amount: 2, count: 1, total: 6, customer: BIG, source: 'looked_up' },
        { row: 2, amount: 3, count: null, total: null, customer: null, source: 'without_key' },
        { row: 3, amount: 4, count: 9, total: null, customer: 'ann', source: 'given' },
        { row: 0, amount: 5, count: 7, total: null, customer: 'ann', source: 'default' },
      ]);
      const moments = await fixture.rows(
        'SELECT epoch_us(feature_until_spending)::VARCHAR AS until FROM predictions ORDER BY time, row',
        {},
        'shop',
      );
      const moment = String(Math.round(until * 1000));
      expect(moments.map((row) => row.until)).toEqual([moment, moment, null, null, null]);
    }
  });

  it('has no keys where nothing is encrypted', async () => {
    const shared = await mkdtemp(join(tmpdir(), 'perennial-shared-'));
    const plain = await PredictionLogFixture.create({ artifactStore: { kind: 'file', root: shared } });
    const server = await shop.serve(
      shopEvents(),
      undefined,
      {},
      { predictionLog: (policy) => plain.log('s1', { policy }) },
    );
    await invoke(server, records({ amount: 1, customer: 'ann' }));
    await server.close();
    expect(await plain.rows(`SELECT ${COLUMNS} FROM predictions`, {}, 'shop')).toMatchObject([
      { amount: 1, count: 1, customer: null, source: 'looked_up' },
    ]);
    await plain.close();
    await rm(shared, { recursive: true });
  });

  it('leaves all of it out where the inputs are left out', async () => {
    const server = await shop.serve(shopEvents(), undefined, { log: { sample: 1, features: false } }, log());
    await invoke(server, records({ amount: 1, customer: 'ann' }));
    await server.close();
    const columns = await fixture.rows('DESCRIBE predictions', {}, 'shop');
    expect(
      columns
        .map(({ column_name: name }) => String(name))
        .filter((name) => /^(input|entity|feature)_/.test(name)),
    ).toEqual([]);
  });

  it('has versions with and without views side by side', async () => {
    const server = await shop.serve(shopEvents(), await viewModel(shop.store, '1'), {}, log());
    await invoke(server, records({ amount: 1, customer: 'ann' }));
    const { views: _views, ...without } = await viewModel(shop.store, '2');
    await server.applyRoutes({ endpoint: 'shop', generation: 2, routes: [{ model: without, weight: 100 }] });
    await invoke(server, records({ amount: 2, spending_count_1h: 3 }));
    await server.close();
    expect(
      (await recorded()).map(({ amount, count, customer, source }) => ({ amount, count, customer, source })),
    ).toEqual([
      { amount: 1, count: 1, customer: 'ann', source: 'looked_up' },
      { amount: 2, count: 3, customer: null, source: null },
    ]);
  });

  it('gives a person up by the key by which features were looked up', async () => {
    const spec = personalSpec({ subject: 'customer', columns: { customer: 'keep' } });
    const subject = subjectColumns(spec, ['customer'], { state: 'raw' });
    const artifact = await fixture.store.putJson({ a: 1 });
    await new RowCatalogue(fixture.store.documents).record(spec, { artifact, kind: 'snapshot', subject });
    const server = await shop.serve(shopEvents(), undefined, {}, log());
    await invoke(server, records({ amount: 1, customer: 'ann' }, { amount: 2, customer: 17 }));
    await server.close();
    const store = new PredictedRows(fixture.store, fixture.config);
    const tools = await fixture.searchTools();
    const ann = Person.of({ entity: 'ann', column: null, pipelines: null }, secrets);
    const planned = await store.plan(ann, tools);
    const certificate = randomUUID();
    const steps = planned.steps.map((step) => ({ store: 'predictions', step }));
    await takeSteps(
      fixture.store,
      [store],
      { plan: await storePlan(fixture.store, { certificate, steps }), certificate },
      tools,
    );
    expect((await recorded()).map(({ amount, customer }) => ({ amount, customer }))).toEqual([
      { amount: 2, customer: '17' },
    ]);
  });
});
