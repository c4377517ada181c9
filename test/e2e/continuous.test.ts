import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoryTold } from '../../client/demo/continuous.ts';
import { packageRoot } from '../../client/platform/programs.ts';
import type { EndpointState } from '../../contracts/endpoint.ts';
import type { Hindsight } from '../../contracts/hindsight.ts';
import { type CliOptions, cli, cliJson, startCli } from '../support/e2e-cli.ts';
import { ownFolder, partOf, removePlatform } from '../support/e2e-platform.ts';
import { BANK_ROW } from '../support/e2e-spec.ts';
import { HookReceiver, verifyWebhook } from '../support/notice-receivers.ts';

const MINUTE = 60_000;
const KEY = randomBytes(32).toString('base64');
const folder = ownFolder('e2e-continuous');
const dataDir = join(folder, 'data');
const options: CliOptions = { dataDir };

type Told = StoryTold & { hindsight: Hindsight; report: string };

let hook: HookReceiver;
let told: Told;

/** Three months: the model holds, it breaks, and the truth about that comes; then one more, with the next version. */
beforeAll(async () => {
  hook = await HookReceiver.start();
  const demo = startCli(['--json', 'demo', 'continuous', '--months', '3', '--keep'], {
    dataDir,
    env: { PERENNIAL_NOTIFY_URL: hook.url, PERENNIAL_SECRET_NOTIFY_KEY: KEY },
  });
  told = await demo.find((stdout) => (stdout.endsWith('}\n') ? (JSON.parse(stdout) as Told) : undefined));
}, 6 * MINUTE);
afterAll(async () => {
  await removePlatform(dataDir, folder);
  await hook.close();
}, MINUTE);

/** The Brier score of the window whose truth a look at the end of a month knew. */
const knownIn = (month: number): number => told.months[month]?.measures['quality.brier_score'] ?? Number.NaN;

describe('a model that stays good by itself', () => {
  it('holds, breaks, and is trained anew when the truth has come', () => {
    expect(told.months.map(({ window, rows }) => [window.from.slice(0, 7), rows])).toEqual([
      ['2009-05', 5_575],
      ['2009-06', 642],
      ['2009-07', 207],
      ['2009-08', 772],
    ]);
    expect(told.months[0]?.labels).toBe(0);
    expect(knownIn(1)).toBeLessThan(0.1);
    expect(knownIn(2)).toBeGreaterThan(0.25);
    expect(told.runs).toMatchObject([{ kinds: ['degradation'], outcome: 'deployed', version: '2' }]);
    const decided = told.decisions.map(({ at, decision, reasons }) => [
      at.slice(0, 10),
      decision,
      ...reasons.map(({ kind }) => kind),
    ]);
    // What drifts is no reason by itself.
    expect(decided).toContainEqual(['2009-06-01', 'skip', 'data-drift']);
    expect(decided).toContainEqual(['2009-08-01', 'start', 'degradation']);
    expect(decided.filter(([, decision]) => decision === 'start')).toHaveLength(1);
  });

  it('is served in its new version', async () => {
    const { current } = await cliJson<EndpointState>(['endpoint', told.endpoint], options);
    expect(current?.version).toBe('2');
    const { day: _, month: __, ...row } = BANK_ROW;
    const answer = await fetch(
      `${partOf(dataDir, 'server')?.url ?? ''}/endpoints/${told.endpoint}/invocations`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'perennial-time': '2009-09-01' },
        body: JSON.stringify({ dataframe_records: [row] }),
      },
    );
    expect([answer.status, answer.headers.get('perennial-model-version')]).toEqual([200, '2']);
  });

  it('has told a channel, signed, what is wrong and what is done about it', () => {
    const notices = hook.posted.map((posted) => verifyWebhook(KEY, posted));
    expect(notices).toContainEqual(
      expect.objectContaining({
        kind: 'alert',
        severity: 'critical',
        events: expect.arrayContaining([expect.objectContaining({ check: 'quality', kind: 'raised' })]),
        next: expect.stringMatching(/trained anew, run /),
        plot: expect.stringMatching(/^<svg/),
      }),
    );
    expect(notices).toContainEqual(expect.objectContaining({ kind: 'rollout.promoted', version: '2' }));
  });

  it('can be asked why', async () => {
    const { code, stdout } = await cli(['why', told.endpoint], options);
    expect(code).toBe(0);
    expect(stdout).toMatch(/start .*no rule holds it back/);
    expect(stdout).toMatch(/degradation: quality brier_score/);
    expect(stdout).toMatch(/skip .*retraining\.on\.dataDrift is not set/);
  });

  it('shows its trend on a terminal', async () => {
    const { stdout } = await cli(['monitor', told.endpoint], options);
    expect(stdout).toMatch(/LAST 4/);
    expect(stdout).toMatch(/ quality .*[▁▂▃▄▅▆▇█]/);
  });

  it('was better in the last month than the first version would have been', async () => {
    const last = told.hindsight.windows.at(-1);
    expect(last?.window.from.slice(0, 7)).toBe('2009-08');
    const { answered, asked } = last ?? {};
    expect(answered?.labels).toBe(772);
    expect(answered?.metrics.brier_score).toBeLessThan(0.95 * (asked?.metrics.brier_score ?? 0));
    expect(readFileSync(told.report, 'utf8')).toContain('<svg');

    const report = join(folder, 'with-and-without.html');
    const { code, stdout } = await cli(
      ['monitor', told.endpoint, '--against', '1', '--report', report],
      options,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/2009-08-01 +772 +version/);
    expect(existsSync(report)).toBe(true);
    const wrong = await cli(['monitor', told.endpoint, '--against', '99'], options);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('version 99 of bank-continuous was never registered; there are 1, 2');
  });
});

describe('a back-test of the same months', () => {
  const backtest = (policies: string, ...more: string[]) =>
    cli(
      [
        'backtest',
        join(packageRoot(), 'examples', 'bank', 'continuous.yaml'),
        ...['--policies', policies, '--from', '2009-05-01', '--to', '2009-07-01', ...more],
      ],
      options,
    );

  it('says what would have become of the first version, as a table and a page', {
    timeout: 3 * MINUTE,
  }, async () => {
    const page = join(folder, 'backtest.html');
    const { code, stdout } = await backtest('never', '--out', page);
    expect(code).toBe(0);
    expect(stdout).toMatch(/POLICY +MEAN brier_score +BAD WINDOWS/);
    expect(stdout).toMatch(/never +0\.\d+ +1 of 2 +0 /);
    expect(stdout).toMatch(/Advice +never: mean brier_score/);
    expect(readFileSync(page, 'utf8')).toContain('<svg');
    const taken = await backtest('never', '--out', page);
    expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('backtest.html') });
  });

  it('refuses what is no policy', async () => {
    const { code, stderr } = await backtest('nevr');
    expect(code).toBe(2);
    expect(stderr).toContain('there is no policy nevr; did you mean never?');
  });
});
