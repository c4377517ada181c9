import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { KnownView, ValuesAnswer, ViewsAnswer } from '../../contracts/feature-questions.ts';
import type { MaterializationResult } from '../../contracts/feature-store.ts';
import { type CliOptions, cli, cliJson } from '../support/e2e-cli.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PAYMENTS = 3_000;
const CARDS = 50;

const folder = ownFolder('features');
const dataDir = join(folder, 'data');
const options: CliOptions = { dataDir };
let serverUrl: string;

/** Payments of the last twenty days, whose cards are misused where they are used often. */
function payments(): string {
  const now = Date.now();
  const rows = Array.from({ length: PAYMENTS }, (_, i) => {
    const paid = new Date(now - 20 * 24 * HOUR + (i * 20 * 24 * HOUR) / PAYMENTS).toISOString();
    const card = i % 7 === 0 ? 3 : (i * 37) % CARDS;
    return `c${card},${paid},${(i % 90) + 1},${card === 3 && i % 3 > 0 ? 1 : 0}`;
  });
  return `card,paid,amount,fraud\n${rows.join('\n')}\n`;
}

const SPEC = {
  name: 'card-fraud',
  task: 'binary',
  data: { sources: { payments: 'payments.csv' } },
  columns: { target: 'fraud', positive: '1', timestamp: 'paid', ignored: ['card'] },
  split: { method: 'random' },
  featureViews: {
    spending: {
      events: 'events.sql',
      entity: 'card',
      timestamp: 'paid',
      windows: ['1d', '7d'],
      features: { payments: 'count(*)', mean: 'avg(amount)' },
    },
  },
  candidates: [{ trainer: 'lightgbm', maxIterations: 20, search: false }],
  approval: { required: false },
};

beforeAll(async () => {
  writeFileSync(join(folder, 'payments.csv'), payments());
  writeFileSync(join(folder, 'events.sql'), 'SELECT card, paid, amount FROM payments');
  writeFileSync(join(folder, 'pipeline.json'), JSON.stringify(SPEC));
  const { status } = await UpPlatform.up(dataDir, [folder], { PERENNIAL_OUTPUT_ROOTS: folder });
  serverUrl = status.parts.find(({ name }) => name === 'server')?.url ?? '';
}, 3 * MINUTE);
afterAll(() => removePlatform(dataDir, folder), MINUTE);

const predicted = async (row: object) => {
  const response = await fetch(`${serverUrl}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_records: [row] }),
  });
  return {
    status: response.status,
    source: response.headers.get('perennial-features'),
    body: await response.json(),
  };
};

describe.sequential('feature views by the command line', () => {
  it('are checked against the data', async () => {
    const { columns } = await cliJson<{ columns: { name: string; role: string }[] }>(
      ['check', join(folder, 'pipeline.json')],
      { ...options, env: { PERENNIAL_SOURCE_ROOTS: folder } },
    );
    expect(columns.filter(({ name }) => name.startsWith('spending_'))).toMatchObject(
      ['payments_1d', 'payments_7d', 'mean_1d', 'mean_7d'].map((name) => ({
        name: `spending_${name}`,
        role: 'feature (numeric)',
      })),
    );
    const wrong = { ...SPEC.featureViews.spending, features: { typical: 'median(amount)' } };
    const file = join(folder, 'wrong.json');
    writeFileSync(file, JSON.stringify({ ...SPEC, featureViews: { spending: wrong } }));
    const refused = await cli(['check', file], { ...options, env: { PERENNIAL_SOURCE_ROOTS: folder } });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('featureViews.spending.features.typical: expected one of count, sum');
    expect(refused.stderr).not.toContain('    at ');
  });

  it('are trained on, kept online, and shown', { timeout: 3 * MINUTE }, async () => {
    const ran = await cli(['run', join(folder, 'pipeline.json')], options);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('deployed: version 1 serves endpoint card-fraud');
    const { views, place } = await cliJson<ViewsAnswer>(['features', 'ls'], options);
    expect(place).toContain('features');
    expect(views).toMatchObject([
      { pipeline: 'card-fraud', view: 'spending', entity: ['card'], current: true },
    ]);
    expect(views[0]?.online?.events).toBeGreaterThan(PAYMENTS / 4);
    const [shown] = await cliJson<KnownView[]>(['features', 'show', 'card-fraud', 'spending'], options);
    expect(shown?.columns).toContainEqual({
      name: 'spending_mean_7d',
      aggregate: 'avg',
      windowSeconds: 604_800,
    });
    expect((await cli(['features', 'ls'], options)).stdout).toMatch(/card-fraud +spending +card/);
  });

  it('are looked up by the server as by hand, and a request that brings them gets the same answer', async () => {
    const key = ['features', 'get', 'card-fraud', 'spending'];
    const { values } = await cliJson<ValuesAnswer>([...key, 'c3'], options);
    const found = Object.fromEntries(values.map(({ name, value }) => [name, value]));
    expect(found.spending_payments_7d).toBeGreaterThan(100);
    const byKey = await predicted({ amount: 20, card: 'c3' });
    expect(byKey).toMatchObject({ status: 200, source: null });
    // Minutes may have gone by; the counts of a week hardly change the answer of a tree.
    const given = await predicted({ amount: 20, ...found });
    expect(given.body).toEqual(byKey.body);
    const nobody = await predicted({ amount: 20, card: 'nobody' });
    expect(nobody.body).not.toEqual(byKey.body);
    const text = (await cli([...key, 'nobody'], options)).stdout;
    expect(text).toMatch(/spending_payments_1d +0/);
    expect(text).toMatch(/spending_mean_7d +missing/);
    const wrong = await cli(['features', 'get', 'card-fraud', 'spendings', 'c3'], options);
    expect(wrong.stderr).toContain('did you mean card-fraud spending');
  });

  it('are joined with the rows of a batch by their keys, as a server looks them up', async () => {
    const rows = join(folder, 'rows.csv');
    const scores = join(folder, 'scores.jsonl');
    writeFileSync(rows, 'card,amount\nc3,20\nnobody,20\n');
    const ran = await cli(['score', 'card-fraud', '--source', rows, '--output', scores], options);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/features of spending as of 20\d\d-/);
    const answers = readFileSync(scores, 'utf8')
      .trim()
      .split('\n')
      .map((line) => z.object({ card: z.string(), output_probability: z.number() }).parse(JSON.parse(line)));
    for (const { card, output_probability } of answers)
      expect([card, (await predicted({ amount: 20, card })).body]).toEqual([
        card,
        { predictions: [expect.objectContaining({ probability: output_probability })] },
      ]);
    expect(answers[0]?.output_probability).not.toBe(answers[1]?.output_probability);
  });

  it('take new events in when they are told to', async () => {
    const before = await cliJson<ValuesAnswer>(['features', 'get', 'card-fraud', 'spending', 'new'], options);
    expect(before.values[0]).toEqual({ name: 'spending_payments_1d', value: 0 });
    const late = new Date(Date.now() - HOUR).toISOString();
    writeFileSync(join(folder, 'payments.csv'), `${payments()}new,${late},10,0\n`);
    const { views } = await cliJson<MaterializationResult>(
      ['features', 'materialize', 'card-fraud'],
      options,
    );
    expect(views).toMatchObject([{ view: 'spending' }]);
    const after = await cliJson<ValuesAnswer>(['features', 'get', 'card-fraud', 'spending', 'new'], options);
    expect(after.values).toMatchObject([{ value: 1 }, { value: 1 }, { value: 10 }, { value: 10 }]);
    const unknown = await cli(['features', 'materialize', 'other'], options);
    expect(unknown.code).not.toBe(0);
    expect(unknown.stderr).toContain('no feature views of pipeline other');
  });
});
