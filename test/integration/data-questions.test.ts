import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { inferAnswer, profileAnswer } from '../../contracts/data-questions.ts';
import { expectation } from '../../contracts/spec/expectations.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** Asks the process that the CLI asks. */
function ask(role: string, question: unknown): Promise<unknown> {
  const main = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main, role], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(JSON.stringify(question));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
  });
}

const refusal = z.object({ ok: z.literal(false), code: z.string(), message: z.string() });

it('a CSV is profiled, with a page where one is wanted', async () => {
  const path = await data.write('people.csv', 'id,town\n1,Bonn\n2,Ulm\n3,\n');
  const question = { name: 'people.csv', source: { path } };
  const { profile, html } = profileAnswer.parse(await ask('profile', { ...question, html: true }));
  expect(profile).toMatchObject({
    rows: 3,
    columns: [
      { name: 'id', unique: true },
      { name: 'town', missing: 1 },
    ],
  });
  expect(html).toContain('<h1>people.csv</h1>');
  expect(profileAnswer.parse(await ask('profile', { ...question, html: false })).html).toBeNull();
});

it('expectations are proposed in the syntax of the spec', async () => {
  const rows = Array.from({ length: 200 }, (_, i) => `${i},${['Bonn', 'Ulm'][i % 2]}`);
  const path = await data.write('towns.csv', `id,town\n${rows.join('\n')}\n`);
  const question = { name: 'towns.csv', source: { path } };
  const answer = inferAnswer.parse(await ask('infer', { ...question, on: 'towns' }));
  const suite = z.object({ expectations: z.array(expectation) }).parse(parse(answer.yaml));
  expect(suite.expectations).toHaveLength(answer.rules);
  expect(suite.expectations.map((rule) => 'on' in rule && rule.on)).toEqual(Array(6).fill('towns'));
  expect(suite.expectations.map((rule) => rule.expect)).toEqual([
    'row_count',
    'not_null',
    'unique',
    'range',
    'not_null',
    'in_set',
  ]);
});

it('what cannot be read is a refusal with its code', async () => {
  const source = { path: `${data.root}/missing.csv` };
  expect(refusal.parse(await ask('profile', { name: 'missing.csv', source, html: false }))).toMatchObject({
    code: 'SourceNotFound',
    message: expect.stringContaining('missing.csv'),
  });
});
