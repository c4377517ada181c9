import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { randomNumbers } from '../support/feature-world.ts';
import { runToRegistration } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const NAME = 'fraud';
const NO_CODE = { commit: null, dirty: false };

let platform: TestPlatform;
let file: string;

/** Who paid much within a day commits fraud. */
function payments(): string {
  const next = randomNumbers(7);
  const rows = Array.from({ length: 1_000 }, (_, i) => {
    const card = `c${Math.floor(next() * 20)}`;
    const amount = Math.round(next() * 90);
    const paid = new Date(Date.UTC(2026, 9, 1) + i * 600_000).toISOString();
    return `${card},${paid},${amount},${amount + next() * 40 > 80 ? 1 : 0}`;
  });
  return `card,paid,amount,fraud\n${rows.join('\n')}\n`;
}

const specOf = (windows: readonly string[], total: string): PipelineSpec =>
  pipelineSpec.parse({
    name: NAME,
    task: 'binary',
    data: { sources: { payments: { path: file } } },
    columns: { target: 'fraud', positive: '1', timestamp: 'paid', ignored: ['card'] },
    split: { method: 'random' },
    featureViews: {
      spending: {
        events: 'SELECT card, paid, amount FROM payments',
        entity: 'card',
        timestamp: 'paid',
        windows,
        features: { payments: 'count(*)', total },
      },
    },
    candidates: [{ trainer: 'logistic', search: false }],
  });

beforeAll(async () => {
  platform = await TestPlatform.start();
  file = join(platform.folder, 'payments.csv');
  await writeFile(file, payments());
}, 180_000);
afterAll(() => platform?.close(), 60_000);

it('a champion is judged beside views that have more than its own, and not on values that are defined otherwise', async () => {
  const champion = await runToRegistration(platform, specOf(['1h', '1d'], 'sum(amount)'), NO_CODE);
  await platform.run('setChampion', { modelName: NAME, version: champion.register.version });
  const judgedBeside = async (windows: readonly string[], total: string) => {
    const { evaluate } = await runToRegistration(platform, specOf(windows, total), NO_CODE, {
      workflowId: `${NAME}-${windows.length}`,
    });
    return evaluate.champion;
  };
  const beside = await judgedBeside(['7d', '1d', '1h'], 'sum(amount)');
  expect(beside).toMatchObject({ test: { roc_auc: expect.any(Number) } });
  expect(beside?.notComparable).toBeUndefined();
  expect(await judgedBeside(['1h', '1d', '2d', '7d'], 'avg(amount)')).toMatchObject({
    test: {},
    notComparable:
      'its input columns spending_total_1h, spending_total_1d are of feature views that are defined otherwise now',
  });
});
