import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { exportModel } from '../../client/export/model-export.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { bundleStandalone } from '../../scripts/bundle-standalone.ts';
import { withServer } from '../support/export-fixture.ts';
import { nodeAlone } from '../support/exported-server.ts';
import { runToRegistration } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const ROWS = 600;
const answers = z.object({ predictions: z.array(z.object({ probability: z.number() })) });

let platform: TestPlatform;
let folder: string;

beforeAll(async () => {
  platform = await TestPlatform.start();
  const program = join(platform.folder, 'standalone');
  await bundleStandalone(program);
  const payments = join(platform.folder, 'payments.csv');
  const rows = Array.from({ length: ROWS }, (_, i) => {
    const paid = new Date(Date.UTC(2026, 0, 1) + i * 600_000).toISOString();
    return `c${(i * 7) % 13},s${(i * 3) % 5},${paid},${(i * 37) % 90},${(i * 37) % 90 > 50 === i % 6 > 0 ? 1 : 0}`;
  });
  await writeFile(payments, `card,shop,paid,amount,fraud\n${rows.join('\n')}\n`);
  const spec = specOf(payments);
  await runToRegistration(platform, spec, { commit: null, dirty: false });
  const to = join(platform.folder, 'export');
  ({ folder } = await exportModel(platform.deps.mlflow(), { model: 'fraud/1', to, server: program }));
}, 300_000);
afterAll(() => platform?.close(), 60_000);

function specOf(payments: string): PipelineSpec {
  const view = (entity: string, online: object) => ({
    events: 'SELECT card, shop, paid, amount FROM payments',
    entity,
    timestamp: 'paid',
    windows: ['1d'],
    features: { total: 'sum(amount)' },
    online,
  });
  return pipelineSpec.parse({
    name: 'fraud',
    task: 'binary',
    data: { sources: { payments } },
    columns: { target: 'fraud', positive: '1', timestamp: 'paid', ignored: ['card', 'shop'] },
    split: { method: 'random' },
    featureViews: { card: view('card', {}), shop: view('shop', { unavailable: 'refuse' }) },
    candidates: [{ trainer: 'lightgbm', maxIterations: 20, search: false }],
  });
}

it('an exported server takes the features of views from requests; without them the policy of each view applies', {
  timeout: 120_000,
}, async () => {
  const command = {
    program: join(folder, 'start.sh'),
    cwd: '/',
    env: { PATH: await nodeAlone(platform.folder) },
  };
  await withServer(command, async ({ url }) => {
    const ask = async (row: object) => {
      const response = await fetch(`${url}/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ dataframe_records: [row] }),
      });
      const body: unknown = await response.json();
      return {
        status: response.status,
        features: response.headers.get('perennial-features'),
        probability: answers.safeParse(body).data?.predictions[0]?.probability,
      };
    };
    const given = await ask({ amount: 60, card_total_1d: 500, shop_total_1d: 900 });
    expect(given).toMatchObject({ status: 200, features: null, probability: expect.any(Number) });
    const median = z
      .object({
        views: z.array(z.object({ name: z.string(), columns: z.array(z.object({ default: z.number() })) })),
      })
      .parse(JSON.parse(await readFile(join(folder, 'model', 'serving.json'), 'utf8')))
      .views.find(({ name }) => name === 'card')?.columns[0]?.default;
    const byKey = await ask({ amount: 60, card: 'c1', shop_total_1d: 900 });
    expect(byKey).toMatchObject({ status: 200, features: 'default' });
    const { probability } = await ask({ amount: 60, card_total_1d: median, shop_total_1d: 900 });
    expect(byKey.probability).toBe(probability);
    expect(await ask({ amount: 60, card_total_1d: 500, shop: 's1' })).toMatchObject({ status: 503 });
  });
  const readme = await readFile(join(folder, 'README.md'), 'utf8');
  expect(readme).toContain('| shop | shop_total_1d | shop | is refused with 503 |');
});
