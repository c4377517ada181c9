import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EndpointState, PromoteUpdate } from '../../contracts/endpoint.ts';
import { endpointWorkflowId, QUERIES } from '../../contracts/names.ts';
import { type ServedModel, servingPolicy } from '../../contracts/serving.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { DEFAULTS, invoke, records, type ShopAnswer } from '../support/shop-fixture.ts';
import { plainModel, viewModel } from '../support/view-model.ts';

const NAME = 'shop';

let platform: TestPlatform;
let plain: ServedModel;
let keyed: ServedModel;
beforeAll(async () => {
  platform = await TestPlatform.start();
  await platform.takeLease();
  const store = await platform.deps.store();
  plain = await plainModel(store, '1');
  keyed = await viewModel(store, '2');
  const { registeredModels, modelVersions } = platform.deps.mlflow();
  await registeredModels.create({ name: NAME });
  // Only their names matter there.
  for (const { version } of [plain, keyed])
    await modelVersions.create({ name: NAME, source: `s3://models/${version}` });
}, 120_000);
afterAll(() => platform?.close(), 60_000);

let asked = 0;
/** A roll-out of a version, up to its share; or all of it. */
async function rollOut(
  model: ServedModel,
  judgedAgainst: string | null,
  share: number,
): Promise<PromoteUpdate> {
  const rollout = `rollout ${++asked}`;
  const ask = { rollout, requestId: `${asked}/admit` };
  await platform.run('askEndpoint', {
    endpoint: NAME,
    ask: {
      update: 'admit',
      request: {
        ...{ ...ask, model, judgedAgainst, busy: 'queue', requestedBy: 'test' },
        policy: servingPolicy.parse({}),
      },
    },
  });
  const request = { rollout, requestId: `${asked}/end`, by: 'test', named: false, reason: '' };
  if (share === 100)
    await platform.run('askEndpoint', { endpoint: NAME, ask: { update: 'promote', request } });
  else
    await platform.run('askEndpoint', {
      endpoint: NAME,
      ask: {
        update: 'shift',
        request: { rollout, requestId: `${asked}/shift`, share, role: 'challenger' },
      },
    });
  return request;
}

const ask = (): Promise<ShopAnswer> => invoke(platform.server, records({ amount: 1, customer: 'ann' }));

it('an endpoint takes the key of a candidate from its first share on, and for good', {
  timeout: 120_000,
}, async () => {
  await rollOut(plain, null, 100);
  expect((await ask()).status).toBe(400);
  const canary = await rollOut(keyed, '1', 50);
  const answers = await Promise.all(Array.from({ length: 40 }, ask));
  expect(new Set(answers.map(({ predictions }) => predictions[0]))).toEqual(new Set([1, DEFAULTS]));
  await platform.run('askEndpoint', {
    endpoint: NAME,
    ask: { update: 'withdraw', request: { ...canary, outcome: 'rolled_back' } },
  });
  expect((await ask()).predictions).toEqual([1]);

  // And from views to none.
  await rollOut(keyed, '1', 100);
  expect((await ask()).predictions).toEqual([DEFAULTS]);
  await rollOut(plain, '2', 100);
  expect((await ask()).predictions).toEqual([1]);
  const { table } = await platform.client.workflow
    .getHandle(endpointWorkflowId(NAME))
    .query<EndpointState>(QUERIES.endpoint);
  expect(table.keyColumns).toEqual(['customer']);
});
