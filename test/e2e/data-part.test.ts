import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { findPython, findTemporalCli } from '../../client/platform/programs.ts';
import type { ErasureResult } from '../../contracts/erasure.ts';
import type { RunStatus } from '../../contracts/lifecycle.ts';
import type { TableProfile } from '../../contracts/profile.ts';
import { type CliOptions, cli, cliJson } from '../support/e2e-cli.ts';
import { installIn } from '../support/e2e-package.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';

const MINUTE = 60_000;
const folder = ownFolder('e2e-data');
const work = join(folder, 'work');
const options: CliOptions = { dataDir: join(folder, 'data'), cwd: work };

const PERSON = 'c17';
const customers = Array.from({ length: 600 }, (_, i) =>
  [`c${i}`, `user${i}@example.org`, 18 + (i % 60), ['basic', 'plus', 'pro'][i % 3], i % 4 === 0].join(','),
);
const calls = Array.from({ length: 600 }, (_, i) => JSON.stringify({ customer: `c${i}`, seconds: i % 90 }));

const SPEC = {
  name: 'customers',
  task: 'binary',
  data: {
    sources: { customers: { path: 'customers.csv' }, calls: { events: 'calls' } },
    sql: 'SELECT customers.*, seconds FROM customers JOIN calls ON customer = id',
  },
  columns: { target: 'left', entity: 'id' },
  privacy: {
    subject: 'id',
    subjectIn: { calls: { id: 'customer' } },
    columns: { id: 'keep', email: 'mask' },
  },
  candidates: ['logistic'],
  training: { budget: { trials: 1 } },
  evaluation: { gates: [{ metric: 'roc_auc', min: 0 }] },
};
const write = (name: string, more: object): string => {
  writeFileSync(join(work, name), stringify({ ...SPEC, ...more }));
  return name;
};
/** What `expectations infer` proposed, as a person would paste it. */
const proposed = (): object[] => parse(readFileSync(join(work, 'rules.yaml'), 'utf8')).expectations;

beforeAll(async () => {
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'customers.csv'), `id,email,age,plan,left\n${customers.join('\n')}\n`);
  options.program = await installIn(join(folder, 'project'));
  const programs = { PERENNIAL_PYTHON: findPython(undefined), TEMPORAL_CLI_PATH: findTemporalCli(undefined) };
  await UpPlatform.up(options.dataDir, [work], programs, { program: options.program, cwd: work });
}, 5 * MINUTE);
afterAll(() => removePlatform(options.dataDir, folder), MINUTE);

describe.sequential('the data part of the installed package', () => {
  it('comes without what is optional', () => {
    for (const name of ['esbuild', 'tsx', 'danfojs-node', '@tensorflow/tfjs'])
      expect(existsSync(join(folder, 'project', 'node_modules', name)), name).toBe(false);
  });

  it('profiles a file, with a page', { timeout: MINUTE }, async () => {
    const profile = await cliJson<TableProfile>(['profile', 'customers.csv', '--html', 'page.html'], options);
    expect(profile).toMatchObject({
      rows: 600,
      columns: [
        { name: 'id', unique: true },
        { name: 'email' },
        { name: 'age' },
        { name: 'plan' },
        { name: 'left' },
      ],
    });
    expect(readFileSync(join(work, 'page.html'), 'utf8')).toContain('<h1>customers.csv</h1>');
  });

  it('takes pushed rows', { timeout: MINUTE }, async () => {
    const push = await cliJson(['ingest', 'calls', '--stdin'], { ...options, input: calls.join('\n') });
    expect(push).toMatchObject({ log: 'calls', rows: 600, duplicate: false });
  });

  it('proposes expectations that check and a run accept as they are', { timeout: 2 * MINUTE }, async () => {
    const infer = ['expectations', 'infer', write('plain.yaml', {}), 'customers', '--out', 'rules.yaml'];
    expect(await cliJson(infer, options)).toMatchObject({ file: 'rules.yaml', rules: proposed().length });
    expect(proposed()).toContainEqual({ expect: 'unique', columns: ['id'], on: 'customers' });
    const spec = write('pipeline.yaml', { expectations: proposed() });
    const roots = { PERENNIAL_SOURCE_ROOTS: work };
    expect(await cli(['check', spec], { ...options, env: roots })).toMatchObject({ code: 0, stderr: '' });
    const run = await cli(['run', spec, '--approve', '--by', 'ci'], options);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/✓ ingest .*600 rows × 6 columns from 2 source\(s\)/);
    expect(run.stdout).toContain(`${proposed().length} expectations, 0 with warnings`);
    expect(run.stdout).toContain('deployed: version 1');
  });

  it('works once for the same data, says so, and lists it', { timeout: MINUTE }, async () => {
    const stages = ['ingest', 'validate', 'protect', 'split', 'prepare'];
    const { workflowId } = await cliJson<{ workflowId: string }>(
      ['run', 'pipeline.yaml', '--no-wait', '--refresh', 'split'],
      options,
    );
    const status = (): Promise<RunStatus> => cliJson(['status', workflowId], options);
    await expect
      .poll(async () => (await status()).stages[4]?.endedAt, { timeout: MINUTE })
      .toBeTypeOf('string');
    const said = (await status()).stages
      .slice(0, 5)
      .map(({ name, summary }) => [name, /unchanged/.test(summary ?? '')]);
    expect(said).toEqual(stages.map((name) => [name, name !== 'split']));
    await cliJson(['cancel', workflowId], options);
    const { entries } = await cliJson<{ entries: { stage: string; lastHitAt: string | null }[] }>(
      ['cache', 'ls', '--pipeline', 'customers'],
      options,
    );
    const used = entries.filter(({ lastHitAt }) => lastHitAt !== null).map(({ stage }) => stage);
    expect(new Set(used)).toEqual(new Set(['source', 'ingest', 'validate', 'protect', 'prepare']));
    expect(await cliJson(['cache', 'gc'], options)).toMatchObject({ removed: 0 });
    expect(await cliJson(['cache', 'rm', '--stage', 'prepare'], options)).toMatchObject({ removed: 1 });
  });

  it('stops at bad data, the worst first, and shows no personal value', { timeout: MINUTE }, async () => {
    const spec = write('bad.yaml', {
      name: 'bad',
      expectations: [
        { expect: 'range', column: 'age', min: 19 },
        { expect: 'in_set', column: 'plan', values: ['basic', 'plus'] },
        { expect: 'row_count', min: 1 },
      ],
    });
    const run = await cli(['run', spec, '--approve'], options);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^error: 2 of 3 expectations failed\nin_set plan .*\nrange age/);
    const [, first = ''] = run.stdout.split('✗ in_set plan (2 values): 200 of 600 rows');
    expect(first).toMatch(/row +plan +id +email .*\n +\d+ +pro +••• +•••/);
    expect(first).toContain('✗ range age [19, ∞]: 10 of 600 rows');
    expect(run.stdout + run.stderr).not.toMatch(/@example\.org/);
  });

  it('says what a custom check and a spec in TypeScript need', { timeout: MINUTE }, async () => {
    writeFileSync(join(work, 'checks.js'), 'export default () => ({ passed: true });\n');
    writeFileSync(join(work, 'pipeline.ts'), 'export default {};\n');
    const custom = write('custom.yaml', { expectations: [{ expect: 'custom', module: './checks.js' }] });
    const esbuild = await cli(['check', custom], options);
    expect(esbuild).toMatchObject({ code: 2, stderr: expect.stringContaining('npm install esbuild') });
    const tsx = await cli(['check', 'pipeline.ts'], options);
    expect(tsx).toMatchObject({ code: 2, stderr: expect.stringContaining('tsx') });
  });

  it('erases a person, and names the model that was trained on them', { timeout: 2 * MINUTE }, async () => {
    const erase = (...more: string[]): Promise<ErasureResult> =>
      cliJson(['erase', '--entity', '-', ...more], { ...options, input: PERSON });
    const before = await erase('--dry-run');
    expect(before.found.length).toBeGreaterThan(3);
    const erased = await erase('--by', 'dpo', '--reason', 'request 117');
    expect(erased.complete).toBe(true);
    expect(erased.models.map(({ name, version }) => `${name} ${version}`)).toContain('customers 1');
    expect(erased.certificate).not.toBeNull();
    expect(await erase('--dry-run')).toMatchObject({ found: [] });
  });
});
