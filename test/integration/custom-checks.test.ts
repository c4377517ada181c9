import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleModule } from '../../client/bundle-module.ts';
import { expectationResult } from '../../contracts/reports.ts';
import { type BundledModule, customCheckRule } from '../../contracts/spec/custom-check.ts';
import { configFromEnv } from '../../lib/config.ts';
import { digestOf } from '../../lib/custom-checks/modules.ts';
import { type CustomCheckRun, runCustomCheck } from '../../lib/custom-checks/run-check.ts';
import { DataFixture } from '../support/integration-data.ts';

const ROWS = 1_000;
const TABLE = `SELECT i AS id, i % 7 AS amount, CASE WHEN i % 10 = 0 THEN NULL ELSE 'Ann-' || i END AS name,
  TIMESTAMP '2025-01-01' + to_hours(i) AS at, i % 2 = 0 AS flag, CAST(i AS DECIMAL(10, 2)) / 4 AS money
  FROM range(${ROWS}) r(i)`;

let data: DataFixture;
let path: string;
beforeAll(async () => {
  data = await DataFixture.create();
  path = await data.writeParquet('table.parquet', TABLE);
});
afterAll(() => data.close());

let files = 0;
const bundle = async (source: string): Promise<BundledModule> =>
  bundleModule(await data.write(`check-${files++}.ts`, source), 'expectations[0].module');

const run = async (source: string, rule: object = {}, options: Partial<CustomCheckRun> = {}) => {
  const result = await runCustomCheck({
    rule: customCheckRule.parse({ expect: 'custom', module: await bundle(source), ...rule }),
    where: 'expectations[0]',
    table: {
      path,
      rows: ROWS,
      columns: ['id', 'amount', 'name', 'at', 'flag', 'money'].map((name) => ({ name })),
    },
    allowed: ['any'],
    scratchDir: await data.scratch(),
    ...options,
  });
  return expectationResult.parse(result);
};

describe.concurrent('a custom check', () => {
  it('sees a danfojs DataFrame of the columns that it asks for', async () => {
    const result = await run(
      `import type { DataFrame } from 'danfojs-node';
       export default (frame: DataFrame, context: { tableRows: number; firstRow: number | null }) => ({
         passed: frame['amount'].max() === 6 && frame.shape[0] === 1000 && frame.columns.join() === 'id,amount',
         message: \`sum \${frame['id'].sum()} of \${context.tableRows}, first \${context.firstRow}\`,
       });`,
      { columns: ['id', 'amount'] },
    );
    expect(result).toMatchObject({
      expectation: 'custom',
      kind: 'custom',
      passed: true,
      violations: 0,
      rows: ROWS,
      observed: `sum ${(ROWS * (ROWS - 1)) / 2} of ${ROWS}, first null`,
    });
    expect(result.note).toBeUndefined();
  });

  it('gets values as plain JavaScript', async () => {
    const result = await run(
      `export default (frame: { values: unknown[][] }) => ({ passed: false, message: JSON.stringify(frame.values[1]) });`,
    );
    expect(result).toMatchObject({ passed: false, violations: 1 });
    expect(result.observed).toBe('[1,1,"Ann-1","2025-01-01T01:00:00.000Z",false,0.25]');
  });

  it('may use danfojs itself, import files beside it, and be asynchronous', async () => {
    await data.write('limits.ts', 'export const LIMIT: number = 5;');
    const result = await run(
      `import { Series } from 'danfojs-node';
       import { LIMIT } from './limits.ts';
       export async function small(frame) {
         await new Promise((resolve) => setTimeout(resolve, 1));
         const bad = frame['amount'].values.filter((value: number) => value > LIMIT);
         return { passed: false, violations: new Series(bad).count() };
       }`,
      { export: 'small', name: 'amounts are small' },
    );
    const violations = Array.from({ length: ROWS }, (_, i) => i % 7).filter((value) => value > 5).length;
    expect(result).toMatchObject({
      expectation: 'amounts are small',
      violations,
      share: violations / ROWS,
    });
  });

  it('sees a sample, the same every time, and says so', async () => {
    const source = `export default (frame) => ({ passed: true, message: String(frame['id'].sum()) });`;
    const [first, second] = [
      await run(source, { rows: { sample: 100 } }),
      await run(source, { rows: { sample: 100 } }),
    ];
    expect(first).toMatchObject({ rows: 100, note: 'on a sample of 100 of 1000 rows' });
    expect(second.observed).toBe(first.observed);
  });

  it('sees every row in chunks, in order, and all must pass', async () => {
    const source = `export default (frame, { firstRow, chunk }) => ({
      passed: frame['id'].values[0] === firstRow && chunk !== 2, violations: chunk, message: 'chunk ' + chunk + ' of ' + frame.shape[0] });`;
    expect(await run(source, { rows: { chunks: 300 } })).toMatchObject({
      passed: false,
      rows: ROWS,
      violations: 0 + 1 + 2 + 3,
      observed: 'chunk 2 of 300',
    });
  });

  it('sees nothing of the environment of the worker, and its own folder only as the working one', async () => {
    process.env.PERENNIAL_SECRET_TEST = 'hush';
    try {
      const { observed } = await run(
        `export default () => ({ passed: true, message: Object.keys(process.env).sort().join() + ' ' + process.cwd().includes('check-') });`,
      );
      expect(observed).toMatch(/^HOME,(NODE_CHANNEL_FD,NODE_CHANNEL_SERIALIZATION_MODE,)?TMPDIR,TZ true$/);
    } finally {
      delete process.env.PERENNIAL_SECRET_TEST;
    }
  });
});

describe.concurrent('a check that misbehaves is a clear error', () => {
  it.each([
    [
      'throws',
      `export default (frame) => { throw new TypeError(frame['name'].values[1]); };`,
      /threw TypeError at check-\d+\.ts:1:\d+/,
    ],
    ['answers nonsense', `export default () => 'fine';`, /answered something else than/],
    [
      'answers a broken count',
      `export default () => ({ passed: true, violations: -1 });`,
      /answered something else than/,
    ],
    [
      'has another export',
      `export const other = () => ({ passed: true });`,
      /has no exported function default/,
    ],
    ['leaves', `export default () => process.exit(0);`, /ended without an answer \(code 0\)/],
    ['rejects', `export default () => Promise.reject('Ann-1');`, /threw something that is no Error/],
  ])('%s', async (_name, source, words) => {
    const refusal: unknown = await run(source).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'CustomCheckFailed', retryable: false });
    expect(String(refusal)).toMatch(words);
    expect(String(refusal)).not.toContain('Ann-1');
  });

  it('hangs', async () => {
    await expect(run(`export default () => { for (;;); };`, { timeout: '3s' })).rejects.toMatchObject({
      code: 'CustomCheckFailed',
      message: expect.stringMatching(/within 3s/),
    });
  });

  it('takes all memory', async () => {
    await expect(
      run(
        `export default () => { const all: unknown[] = []; for (;;) all.push(new Array(1000).fill(all.length)); };`,
        { memory: 64 },
      ),
    ).rejects.toMatchObject({
      code: 'CustomCheckFailed',
      message: expect.stringMatching(/64 MiB of memory/),
    });
  });

  it('prints megabytes: nobody reads them, and the verdict counts', async () => {
    const result = await run(
      `export default () => { for (let i = 0; i < 200; i++) { console.log('x'.repeat(100000)); console.error('y'.repeat(100000)); } return { passed: true, message: 'z'.repeat(1000000) }; };`,
    );
    expect(result.passed).toBe(true);
    expect(result.observed).toHaveLength(300);
  });

  it.each([
    ['before it began', 0],
    ['while it runs', 500],
  ])('is killed when the run is cancelled %s', async (_, afterMs) => {
    const abort = new AbortController();
    const running = run(`export default () => { for (;;); };`, {}, { signal: abort.signal });
    setTimeout(() => abort.abort(new Error('cancelled')), afterMs);
    await expect(running).rejects.toThrow('cancelled');
  });

  it('names a column that is not there', async () => {
    await expect(run('export default () => ({ passed: true });', { columns: ['amuont'] })).rejects.toThrow(
      /did you mean amount/,
    );
  });
});

describe('what a worker runs', () => {
  const SOURCE = 'export default () => ({ passed: true });';

  it('is nothing by default', async () => {
    const { sha256 } = await bundle(SOURCE);
    expect(configFromEnv({}).modules).toEqual([]);
    // Each file has a name of its own in its source map, and so a digest of its own.
    await expect(run(SOURCE, {}, { allowed: [] })).rejects.toMatchObject({
      code: 'SourceDenied',
      message: expect.stringMatching(/PERENNIAL_MODULES/),
    });
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is what its setting names by digest, or holds in a folder', async () => {
    const module = await bundle(SOURCE);
    const folder = join(data.root, 'reviewed');
    const { modules } = configFromEnv({ PERENNIAL_MODULES: `${'0'.repeat(64)}, ${module.sha256}` });
    expect(await run('', { module }, { allowed: modules ?? [] })).toMatchObject({ passed: true });
    await data.write('reviewed/one.mjs', module.source);
    expect(await run('', { module }, { allowed: [folder] })).toMatchObject({ passed: true });
    await data.write('reviewed/one.mjs', `${module.source} `);
    await expect(run('', { module }, { allowed: [folder] })).rejects.toMatchObject({ code: 'SourceDenied' });
  });

  it('is never a module under the digest of another, nor a path', async () => {
    const module = await bundle(SOURCE);
    const forged = { source: 'export default () => ({ passed: false });', sha256: module.sha256 };
    await expect(run('', { module: forged }, { allowed: [module.sha256] })).rejects.toMatchObject({
      code: 'SpecInvalid',
    });
    await expect(run('', { module: '/etc/x.mjs' })).rejects.toMatchObject({ code: 'SpecInvalid' });
  });
});

describe('bundling', () => {
  it('gives the same bytes for the same source, and its digest', async () => {
    const file = await data.write('same.ts', 'export default () => ({ passed: true });');
    const [first, second] = [await bundleModule(file, 'x'), await bundleModule(file, 'x')];
    expect(second).toEqual(first);
    expect(first.sha256).toBe(digestOf(first.source));
    expect(first.source).not.toContain(data.root);
    expect(await readFile(file, 'utf8')).toContain('passed');
  });

  it.each([
    ['no such file', null, /missing\.ts cannot be bundled/],
    ['no JavaScript', 'export default (', /broken.*cannot be bundled: .*:1: /],
    ['too much', `export default '${'x'.repeat(200_000)}';`, /at most 100000 travel with a spec/],
    ['an import that is not there', `import 'no-such-package'; export default 1;`, /no-such-package/],
  ])('refuses %s', async (_name, source, words) => {
    const file = source === null ? join(data.root, 'missing.ts') : await data.write('broken.ts', source);
    const refusal: unknown = await bundleModule(file, 'expectations[2].module').catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'SpecInvalid' });
    expect(String(refusal)).toMatch(words);
    expect(String(refusal)).toContain('expectations[2].module');
  });
});
