import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Appended, EventBatch, EventLogStatus } from '../../contracts/events.ts';
import { type CliOptions, cli, cliJson, UserShell } from '../support/e2e-cli.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';
import { BANK, bankSpecFile } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
const TOKEN = 'the token of the test';
const folder = ownFolder('e2e-events');
const dataDir = join(folder, 'data');
const options: CliOptions = { dataDir };
const shell = new UserShell(folder);
let serverUrl = '';
let temporalAddress = '';

beforeAll(async () => {
  const { status } = await UpPlatform.up(dataDir, [BANK], { PERENNIAL_SECRET_EVENTS_TOKEN: TOKEN });
  serverUrl = status.parts.find(({ name }) => name === 'server')?.url ?? '';
  temporalAddress = status.temporalAddress;
}, 3 * MINUTE);
afterAll(() => removePlatform(dataDir, folder), MINUTE);

const ROWS = '{"call":1,"seconds":30}\n{"call":2,"seconds":12.5}\n';
const status = (log: string): Promise<EventLogStatus> => cliJson(['events', log], options);

describe.sequential('rows that are pushed to a running platform', () => {
  it('by the command line, once however often', { timeout: MINUTE }, async () => {
    const push = ['ingest', 'calls', '--stdin'];
    expect(await cliJson<Appended>(push, { ...options, input: ROWS })).toMatchObject({
      log: 'calls',
      offset: 0,
      rows: 2,
      duplicate: false,
    });
    const again = await cli(push, { ...options, input: ROWS });
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/calls: the batch is there already/),
    });
    const file = join(folder, 'more.jsonl');
    writeFileSync(file, '{"call":3}\n');
    expect(
      await cliJson<Appended>(['ingest', 'calls', '--file', file, '--batch-id', 'day-1'], options),
    ).toMatchObject({ batchId: 'day-1', offset: 1 });
    expect((await status('calls')).head).toMatchObject({ batches: 2, rows: 3, format: 'jsonl' });
  });

  it('by HTTP', { timeout: MINUTE }, async () => {
    const headers = { 'content-type': 'text/csv', authorization: `Bearer ${TOKEN}` };
    const url = `${serverUrl}/v1/events/trips`;
    const post = (body: string, more: Record<string, string> = {}) =>
      fetch(url, { method: 'POST', headers: { ...headers, ...more }, body });
    const first = await post('id,km\n1,2.5\n');
    expect([first.status, await first.json()]).toMatchObject([201, { offset: 0, rows: 1, duplicate: false }]);
    const again = await post('id,km\n1,2.5\n');
    expect([again.status, await again.json()]).toMatchObject([200, { offset: 0, duplicate: true }]);
    const soon = await post('id,km\n2,3\n', { prefer: 'respond-async' });
    expect(soon.status).toBe(202);
    await expect.poll(async () => (await status('trips')).head.batches, { timeout: 20_000 }).toBe(2);
    const other = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-ndjson' },
      body: ROWS,
    });
    expect([other.status, await other.json()]).toMatchObject([
      400,
      { error: expect.stringMatching(/the log holds csv, this batch is jsonl/) },
    ]);
    expect(
      (await fetch(url, { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'a\n1\n' })).status,
    ).toBe(401);
  });

  it('by the Temporal CLI, with a reference to stored rows', { timeout: 2 * MINUTE }, async () => {
    const stored = await cli(['ingest', 'calls', '--stdin', '--no-append'], {
      ...options,
      input: '{"call":4}\n',
    });
    const batch = JSON.parse(stored.stdout) as EventBatch;
    const signal = (argument: object) =>
      shell.run(
        `temporal workflow signal --address ${temporalAddress} --workflow-id eventLog/calls --name append --input '${JSON.stringify(argument)}'`,
      );
    expect(await signal(batch)).toMatchObject({ code: 0 });
    expect(await signal({ ...batch, batchId: 'a-lie', rows: 2 })).toMatchObject({ code: 0 });
    await expect.poll(async () => (await status('calls')).refused.length, { timeout: 20_000 }).toBe(1);
    const { head, refused } = await status('calls');
    expect(head).toMatchObject({ batches: 3, rows: 4 });
    expect(refused[0]).toMatchObject({ batchId: 'a-lie', reason: 'it has 1 rows and not 2' });
  });

  it('and start a run', { timeout: 2 * MINUTE }, async () => {
    const spec = await bankSpecFile(folder, 'started', { candidates: ['logistic'] });
    const { run } = await cliJson<{ run: { workflowId: string } }>(
      ['ingest', 'calls', '--stdin', '--start', spec],
      { ...options, input: '{"call":5}\n' },
    );
    expect(run.workflowId).toMatch(/^bank-subscription-/);
    expect(await cli(['cancel', run.workflowId], options)).toMatchObject({ code: 0 });
  });

  it.each([
    ['a name that is none', ['ingest', '9-lives', '--stdin'], /"9-lives" is no name of an event log/],
    ['nothing to read', ['ingest', 'calls'], /either --stdin or --file/],
    ['a file that is not there', ['ingest', 'calls', '--file', '/none.csv'], /there is no file \/none.csv/],
    ['a format that is none', ['ingest', 'calls', '--stdin', '--format', 'jsnl'], /did you mean jsonl/],
    ['a batch id with a blank', ['ingest', 'calls', '--stdin', '--batch-id', 'a b'], /--batch-id: letters/],
    ['rows that are none', ['ingest', 'calls', '--stdin'], /line 1 is not one JSON object/],
    ['a log that is not there', ['events', 'none'], /there is no event log none; push rows to it/],
    [
      'a run that cannot start',
      ['ingest', 'calls', '--stdin', '--start', '/none.yaml'],
      /none.yaml: no such file/,
    ],
  ])('refuses %s', { timeout: MINUTE }, async (_, args, words) => {
    const answer = await cli(args, { ...options, input: 'not a row\n' });
    expect(answer).toMatchObject({ code: 2, stdout: '' });
    expect(answer.stderr).toMatch(words);
    expect(answer.stderr).not.toMatch(/^\s+at .*[(:]\d+/m);
  });
});
