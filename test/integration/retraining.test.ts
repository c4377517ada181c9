import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Cron } from 'croner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureSchedules } from '../../activities/retraining-schedules.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import { PipelineRetraining, retrainedPipelines } from '../../client/retraining.ts';
import { Schedules } from '../../client/schedules.ts';
import { HOUSEKEEPING_SCHEDULE, retrainingScheduleId, retrainingWorkflowId } from '../../contracts/names.ts';
import { type RetrainingSettings, retrainingSettings, type Trigger } from '../../contracts/retraining.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { ensureHousekeeping } from '../../workers/housekeeping.ts';
import { answerOf } from '../../workers/monitor.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { watchedState } from '../support/monitoring-samples.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { SourceServer } from '../support/source-server.ts';
import { TestBucket } from '../support/stores.ts';

const SECRET = 'PERENNIAL_SECRET_RETRAINING';

let platform: TestPlatform;
let web: SourceServer;
let database: PostgresServer;
let bucket: TestBucket;
let schedules: Schedules;

beforeAll(async () => {
  [bucket, database, web] = await Promise.all([
    TestBucket.start('trips'),
    PostgresServer.start(),
    SourceServer.start(),
  ]);
  process.env[SECRET] = PostgresServer.password;
  platform = await TestPlatform.start({ sourceHosts: ['127.0.0.1'], sourcePrivateHosts: ['127.0.0.1'] });
  schedules = new Schedules(platform.client);
}, 300_000);
afterAll(async () => {
  delete process.env[SECRET];
  await platform?.close();
  await Promise.all([web?.close(), database?.close(), bucket?.close()]);
}, 60_000);

/** Settings of a pipeline whose spec lies in the store. */
async function settingsOf(
  pipeline: string,
  retraining: object,
  sources: Record<string, object> = { trips: { path: 'trips.csv' } },
): Promise<RetrainingSettings> {
  const spec = {
    name: pipeline,
    task: 'binary',
    data: { sources, ...(Object.keys(sources).length > 1 ? { sql: 'SELECT 1 AS y' } : {}) },
    columns: { target: 'y', timestamp: 'at' },
    monitoring: {},
    retraining,
  };
  pipelineSpec.parse(spec);
  const store = await platform.deps.store();
  return retrainingSettings.parse({
    pipeline,
    specRef: await store.putJson(spec),
    retraining: pipelineSpec.parse(spec).retraining,
  });
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 30_000; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('schedules of a pipeline', () => {
  const cron = retrainingScheduleId('monthly', 'schedule');
  const poll = retrainingScheduleId('monthly', 'new-data');
  const on = { schedule: '0 3 1 * *', newData: { poll: '2h' } };

  it('are made with the entity, and once', async () => {
    const settings = await settingsOf('monthly', { on, debounce: '1h' });
    await platform.run('ensureRetraining', { settings });
    await platform.run('ensureRetraining', { settings });
    const one = await schedules.show(cron);
    expect(one).toMatchObject({
      starts: 'retrainingTrigger',
      when: 'cron 0 3 1 * *',
      paused: false,
      overlap: 'SKIP',
      catchupSeconds: 7 * 86_400,
    });
    for (const next of one.upcoming) expect(next).toMatch(/-01T03:00:00\.000Z$/);
    expect(await schedules.show(poll)).toMatchObject({
      starts: 'newData',
      when: 'every 2h',
      overlap: 'SKIP',
    });
    const status = await new PipelineRetraining(platform.client, 'monthly').status();
    expect(status.settings).toEqual(settings);
    await eventually(async () =>
      (await retrainedPipelines(platform.client)).includes('monthly') ? true : undefined,
    );
  });

  it('tell the pipeline when they are triggered, and when a time is filled in', async () => {
    const retraining = new PipelineRetraining(platform.client, 'monthly');
    await schedules.trigger(cron);
    const first = await eventually(async () => (await retraining.status()).state.pending[0]);
    expect(first).toMatchObject({ kind: 'schedule', reason: 'schedule 0 3 1 * * (UTC)', times: 1 });
    // Three months, both ends included.
    await schedules.backfill(cron, new Date('2026-01-01T03:00:00Z'), new Date('2026-03-01T03:00:00Z'));
    await eventually(async () =>
      (await retraining.status()).state.pending[0]?.times === 4 ? true : undefined,
    );
  });

  it('stay paused by whoever paused them, also when the spec changes', async () => {
    await schedules.pause(cron, 'paused by ada: the audit');
    await platform.run('ensureRetraining', {
      settings: await settingsOf('monthly', { on: { ...on, schedule: '30 4 * * 1' } }),
    });
    expect(await schedules.show(cron)).toMatchObject({
      paused: true,
      note: 'paused by ada: the audit',
      when: 'cron 30 4 * * 1',
      next: null,
    });
    expect(await schedules.resume(cron, 'resumed by ada')).toMatchObject({ paused: false });
  });

  it('are among all that Perennial has, and foreign ones are not', async () => {
    await ensureHousekeeping(platform.client, platform.config.taskQueue);
    await platform.client.schedule.create({
      scheduleId: 'somebody-else',
      spec: { intervals: [{ every: '1h' }] },
      action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
    });
    const all = await eventually(async () => {
      const found = await schedules.list();
      return found.length >= 3 ? found : undefined;
    });
    expect(all.map(({ id, when }) => [id, when])).toEqual([
      [HOUSEKEEPING_SCHEDULE, 'every 1d'],
      [poll, 'every 2h'],
      [cron, 'cron 30 4 * * 1'],
    ]);
    await expect(schedules.pause('somebody-else', 'x')).rejects.toMatchObject({ code: 'InputInvalid' });
    await expect(schedules.show('retraining/montly/schedule')).rejects.toMatchObject({
      message: expect.stringContaining(`did you mean ${cron}?`),
    });
  });

  it('are gone when the spec does not ask for them', async () => {
    await platform.run('ensureRetraining', { settings: await settingsOf('monthly', {}) });
    await expect(schedules.show(cron)).rejects.toMatchObject({ code: 'InputInvalid' });
    await expect(schedules.show(poll)).rejects.toMatchObject({ code: 'InputInvalid' });
  });

  it('are refused where the expression is none, with the words that help', async () => {
    await expect(settingsOf('never', { on: { schedule: 'first monday' } })).rejects.toThrow('five fields');
    const settings = await settingsOf('never', { on });
    const unread = { ...settings.retraining, on: { ...settings.retraining.on, schedule: 'first monday' } };
    const ensured = ensureSchedules(platform.client, 'perennial', { pipeline: 'never', retraining: unread });
    await expect(ensured).rejects.toMatchObject({
      code: 'SpecInvalid',
      message: expect.stringMatching(/retraining.on.schedule of never: "first monday" is no cron expression/),
    });
  });

  it.each([
    '0 3 1 * *',
    '*/20 6-18/4 * * 7',
    '30 4 * FEB,jun-aug mon-wed,SAT',
    '5-50/15 0 29 2 *',
    '0 0 1,31 */5 *',
    '0 12 * * 5-7',
  ])('come when the expression %s says so, for the back-test as well', async (schedule) => {
    const settings = await settingsOf('cron', { on: { schedule } });
    await ensureSchedules(platform.client, 'perennial', settings);
    const { upcoming } = await schedules.show(retrainingScheduleId('cron', 'schedule'));
    const cron = new Cron(schedule, { timezone: 'UTC', paused: true });
    expect(upcoming.length).toBeGreaterThan(2);
    expect(upcoming).toEqual(cron.nextRuns(upcoming.length).map((at) => at.toISOString()));
  });

  it('are deleted, and the entity ends, where the spec asks for no retraining any more', async () => {
    const settings = await settingsOf('ended', { on });
    await platform.run('ensureRetraining', { settings });
    const ends = { settings: null, pipeline: 'ended', reason: 'the spec has none' } as const;
    await platform.run('ensureRetraining', ends);
    await platform.run('ensureRetraining', ends);
    const what = ['schedule', 'new-data'] as const;
    for (const id of what.map((one) => retrainingScheduleId('ended', one)))
      await expect(schedules.show(id)).rejects.toMatchObject({ code: 'InputInvalid' });
    const handle = platform.client.workflow.getHandle(retrainingWorkflowId('ended'));
    await eventually(async () => (await handle.describe()).status.name === 'COMPLETED' || undefined);
    // It can be asked why, and it can come again.
    const { decisions } = await new PipelineRetraining(platform.client, 'ended').status();
    expect(decisions.at(-1)?.why).toBe('the retraining ends: the spec has none');
    await platform.run('ensureRetraining', { settings });
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await platform.run('ensureRetraining', { ...ends, pipeline: 'was never there' });
  });

  it('what the monitor says again leaves nothing in the history', async () => {
    await platform.run('ensureRetraining', { settings: await settingsOf('ticks', { on: {} }) });
    const handle = platform.client.workflow.getHandle(retrainingWorkflowId('ticks'));
    const since = '2026-11-01T00:00:00.000Z';
    const ask = (minute: number, version = '1', triggers: Trigger[] = []) =>
      platform.run('askRetraining', {
        pipeline: 'ticks',
        tick: {
          asOf: new Date(Date.parse(since) + minute * 60_000).toISOString(),
          champion: { version, since },
        },
        triggers,
      });
    expect(await ask(1)).toEqual({ decision: null });
    const { state } = await new PipelineRetraining(platform.client, 'ticks').status();
    expect(state.champion).toEqual({ version: '1', since });
    const { historyLength } = await handle.describe();
    for (let minute = 2; minute < 8; minute++) await ask(minute);
    expect((await handle.describe()).historyLength).toBe(historyLength);
    await ask(9, '2');
    expect((await handle.describe()).historyLength).toBeGreaterThan(historyLength);
    // All reasons of a window are decided upon together.
    const told: Trigger[] = [
      { kind: 'degradation', reason: 'Brier 0.29', version: '2' },
      { kind: 'concept-drift', reason: 'ADWIN', version: '2' },
    ];
    const { decision } = await ask(10, '2', told);
    expect(decision).toMatchObject({ reasons: [{ kind: 'degradation' }, { kind: 'concept-drift' }] });
    const gone = { pipeline: 'none', tick: { asOf: since, champion: null }, triggers: told };
    expect(await platform.run('askRetraining', gone)).toEqual({ decision: null });
  });

  it('a pipeline that is not retrained is named, with the one that was meant', async () => {
    await expect(new PipelineRetraining(platform.client, 'montly').status()).rejects.toMatchObject({
      code: 'InputInvalid',
      message: expect.stringContaining('did you mean monthly?'),
    });
  });
});

describe('the watching of an endpoint', () => {
  it('lists what a channel does not take, each by itself, until it is told', async () => {
    const records = new MonitorRecords((await platform.deps.store()).documents);
    await records.changeState('shouts', () => watchedState('shouts'));
    const tell = (id: string, refused: string | null, channel: 'email' | 'slack' = 'email') =>
      platform.run('recordDelivery', {
        endpoint: 'shouts',
        notice: { id, title: `notice ${id}` },
        channel,
        refused,
      });
    const listed = async () =>
      (await records.state('shouts'))?.undelivered.map(({ id, channel, why }) => `${id} ${channel} ${why}`);
    await tell('a', 'no address');
    await tell('b', 'no address');
    await tell('b', 'no secret', 'slack');
    expect(await listed()).toEqual(['a email no address', 'b email no address', 'b slack no secret']);
    const since = (await records.state('shouts'))?.undelivered[0]?.at;
    await tell('b', null);
    await tell('c', null);
    await tell('a', 'not told within 30 days');
    expect(await listed()).toEqual(['b slack no secret', 'a email not told within 30 days']);
    expect((await records.state('shouts'))?.undelivered[1]?.at).toBe(since);
  });

  const since = '2026-11-01T10:30:00Z';
  const specOf = (more: object) =>
    pipelineSpec.parse({
      name: 'shop',
      task: 'binary',
      data: { sources: { trips: { path: 'trips.csv' } } },
      columns: { target: 'y', timestamp: 'at' },
      ...more,
    });

  /** Looks come when the test says so, and not at the full hour. */
  const HOURLY = { window: '1h', every: '30d' };

  it('is paused and resumed by people, and is listed without its trend', async () => {
    const store = await platform.deps.store();
    const records = new MonitorRecords(store.documents);
    await platform.run('watchEndpoint', {
      spec: specOf({ name: 'listed', monitoring: HOURLY }),
      since,
    });
    await records.changeState('listed', () => watchedState('listed'));
    const { endpoints } = await answerOf(store, { ask: 'list' });
    const listed = endpoints.find(({ settings }) => settings.endpoint === 'listed');
    expect(listed?.state).toMatchObject({ trend: [], latest: { rows: 1_000 } });
    const pause = (endpoint: string, paused: boolean, note: string) =>
      answerOf(store, { ask: 'pause', endpoint, paused, note });
    const [view] = (await pause('listed', true, 'paused by ada: closed')).endpoints;
    expect(view?.settings).toMatchObject({ paused: true, note: 'paused by ada: closed' });
    const plan = { endpoint: 'listed', asOf: '2026-11-03T00:00:00Z', again: null };
    expect((await platform.run('planMonitoring', plan)).settings).toBeNull();
    await pause('listed', false, 'resumed by ada');
    expect((await platform.run('planMonitoring', plan)).due.length).toBeGreaterThan(0);
    await platform.run('watchEndpoint', { spec: specOf({ name: 'listed' }), since });
    await expect(pause('listed', false, 'resumed by ada')).rejects.toMatchObject({
      code: 'InputInvalid',
      message: expect.stringContaining('no section monitoring'),
    });
  });

  it('ends with the spec that does not ask for it any more, and begins anew without what lies between', async () => {
    const records = new MonitorRecords((await platform.deps.store()).documents);
    const watch = (more: object, from = since) =>
      platform.run('watchEndpoint', { spec: specOf(more), since: from });
    await watch({});
    expect(await records.settings('shop')).toBeUndefined();
    await watch({ monitoring: HOURLY });
    expect((await schedules.show('monitor/shop')).starts).toBe('monitor');
    await records.changeState('shop', () => ({ ...watchedState('shop'), next: '2026-11-01T12:00:00.000Z' }));
    await watch({});
    await watch({});
    expect(await records.settings('shop')).toMatchObject({ paused: true, endedAt: expect.any(String) });
    await expect(schedules.show('monitor/shop')).rejects.toMatchObject({ code: 'InputInvalid' });
    await watch({ monitoring: HOURLY }, '2026-11-20T10:30:00Z');
    const again = await records.settings('shop');
    expect(again).toMatchObject({ paused: false });
    expect(again?.endedAt).toBeUndefined();
    expect((await records.state('shop'))?.next).toBe('2026-11-20T10:00:00.000Z');
    expect((await schedules.show('monitor/shop')).starts).toBe('monitor');
    // A pause that a person asked for stays.
    await records.changeExistingSettings('shop', (known) => ({ ...known, paused: true }));
    await watch({ monitoring: { ...HOURLY, window: '2h' } });
    expect(await records.settings('shop')).toMatchObject({ paused: true, monitoring: { window: '2h' } });
  });
});

describe('the look for new data', () => {
  let looks = 0;
  const look = (pipeline: string) =>
    platform.run('lookForNewData', { pipeline }, `look-${pipeline}-${looks++}`);
  /** A pipeline of one source, which was looked at once. */
  async function watched(pipeline: string, source: object): Promise<void> {
    const settings = await settingsOf(pipeline, { on: { newData: {} } }, { trips: source });
    await platform.run('ensureRetraining', { settings });
    await schedules.pause(retrainingScheduleId(pipeline, 'new-data'), 'the test looks itself');
    // The first look only remembers.
    const nothing = { found: false, words: 'nothing is new' };
    expect(await look(pipeline)).toEqual(nothing);
    expect(await look(pipeline)).toEqual(nothing);
  }
  const news = { found: true, words: 'trips: new or changed' };

  it('finds new and changed files, but not those that were only touched', async () => {
    const folder = join(platform.folder, 'days');
    await mkdir(folder);
    const day = (name: string, text: string) => writeFile(join(folder, name), text);
    await day('1.csv', 'y,at\n1,2026-01-01\n');
    await watched('files', { path: join(folder, '*.csv') });
    await utimes(join(folder, '1.csv'), new Date(), new Date(0));
    expect(await look('files')).toEqual({ found: false, words: 'nothing is new' });
    await day('2.csv', 'y,at\n0,2026-01-02\n');
    expect(await look('files')).toEqual(news);
    expect(await look('files')).toEqual({ found: false, words: 'nothing is new' });
    await day('1.csv', 'y,at\n0,2026-01-01\n');
    expect(await look('files')).toEqual(news);
  });

  it('is answered again where the answer was lost', async () => {
    const path = join(platform.folder, 'lost.csv');
    await writeFile(path, 'y,at\n1,2026-01-01\n');
    await watched('lost', { path });
    await writeFile(path, 'y,at\n1,2026-01-01\n0,2026-01-02\n');
    const results = await platform.client.workflow.execute('twoLooks', {
      workflowId: 'two-looks',
      taskQueue: platform.config.taskQueue,
      args: ['lost'],
    });
    expect(results).toEqual([news, news]);
    expect(await look('lost')).toEqual({ found: false, words: 'nothing is new' });
  });

  it('asks a web server by HEAD: by ETag, by time of change, else by length', async () => {
    let headers: Record<string, string> = { etag: '"a"', 'content-type': 'text/csv', 'content-length': '10' };
    web.answer((_request, response) => response.writeHead(200, headers).end());
    await watched('web', { url: `${web.url}/trips.csv` });
    expect(new Set(web.asked.map(({ method }) => method))).toEqual(new Set(['HEAD']));
    headers = { ...headers, 'content-length': '11' };
    expect(await look('web')).toMatchObject({ found: false });
    headers = { ...headers, etag: '"b"' };
    expect(await look('web')).toEqual(news);
    headers = { 'content-type': 'text/csv', 'content-length': '12' };
    expect(await look('web')).toEqual(news);
    headers = { ...headers, 'content-length': '13' };
    expect(await look('web')).toEqual(news);
    web.answer((_request, response) => response.writeHead(200, { 'content-type': 'text/csv' }).end());
    expect(await look('web')).toMatchObject({
      found: false,
      words: expect.stringContaining('trips cannot be told about without being read'),
    });
  });

  it('a server that is out is no news; it is asked again', async () => {
    web.answer((_request, response) => response.writeHead(200, { etag: '"a"' }).end());
    await watched('outage', { url: `${web.url}/trips.csv` });
    web.answer((_request, response) => response.writeHead(503).end());
    await look('outage').catch(() => undefined);
    web.answer((_request, response) => response.writeHead(200, { etag: '"a"' }).end());
    expect(await look('outage')).toEqual({ found: false, words: 'nothing is new' });
  });

  it('asks S3 for keys and ETags', async () => {
    const put = (Key: string, Body: string) =>
      bucket.client.send(new PutObjectCommand({ Bucket: 'trips', Key, Body }));
    await put('days/1.csv', 'y,at\n1,2026-01-01\n');
    await watched('objects', { s3: 's3://trips/days/*', format: 'csv', endpoint: bucket.server.endpoint });
    await put('days/2.csv', 'y,at\n0,2026-01-02\n');
    expect(await look('objects')).toEqual(news);
  });

  it('asks PostgreSQL for the largest watermark, and says where there is none', async () => {
    await database.client.query('CREATE TABLE trips (y integer, at timestamptz)');
    const postgres = { url: database.url, password: `\${env:${SECRET}}`, table: 'trips' };
    await watched('rows', { postgres, incremental: { watermark: 'at' } });
    await database.client.query("INSERT INTO trips VALUES (1, '2026-01-01')");
    expect(await look('rows')).toEqual(news);
    await database.client.query("INSERT INTO trips VALUES (1, '2025-01-01')");
    expect(await look('rows')).toEqual({ found: false, words: 'nothing is new' });
    const settings = await settingsOf('mute', { on: { newData: {} } }, { trips: { postgres } });
    await platform.run('ensureRetraining', { settings });
    await look('mute');
    expect((await look('mute')).words).toContain('give incremental.watermark');
    await platform.run('ensureRetraining', {
      settings: await settingsOf(
        'wrong',
        { on: { newData: {} } },
        { trips: { postgres, incremental: { watermark: 'att' } } },
      ),
    });
    await expect(look('wrong')).rejects.toMatchObject({ type: 'ColumnMissing' });
  });

  it('asks an event log how many batches it has', async () => {
    const perennial = new PerennialClient(platform.client, platform.config.taskQueue);
    const store = await platform.deps.store();
    const push = async (text: string) =>
      perennial.append(
        'trips',
        await storeRows(Readable.from([Buffer.from(text)]), 'jsonl', {
          store,
          dataDir: platform.config.dataDir,
        }),
      );
    await push('{"y":1,"at":"2026-01-01"}\n');
    await watched('pushed', { events: 'trips' });
    await push('{"y":0,"at":"2026-01-02"}\n');
    expect(await look('pushed')).toEqual(news);
  });

  it('tells the pipeline by its workflow', async () => {
    const path = join(platform.folder, 'told.csv');
    await writeFile(path, 'y,at\n1,2026-01-01\n');
    await platform.run('ensureRetraining', {
      settings: await settingsOf(
        'told',
        { on: { newData: { poll: '1d' } }, debounce: '1h' },
        { trips: { path } },
      ),
    });
    await look('told');
    await writeFile(path, 'y,at\n1,2026-01-01\n0,2026-01-02\n');
    await schedules.trigger(retrainingScheduleId('told', 'new-data'));
    const retraining = new PipelineRetraining(platform.client, 'told');
    const reason = await eventually(async () => (await retraining.status()).state.pending[0]);
    expect(reason).toMatchObject({ kind: 'new-data', reason: 'trips: new or changed', times: 1 });
  });

  it('its spec is kept as long as the pipeline is retrained', async () => {
    const store = await platform.deps.store();
    const { settings } = await new PipelineRetraining(platform.client, 'told').status();
    await eventually(async () =>
      (await retrainedPipelines(platform.client)).includes('told') ? true : undefined,
    );
    await platform.run('collectGarbage', { keepFailedRuns: '1ms', keepUnnamed: '1ms', keepCache: '30d' });
    expect(await store.json(settings.specRef)).toMatchObject({ name: 'told' });
    await platform.client.workflow.getHandle(retrainingWorkflowId('told')).terminate('test');
    await eventually(async () => {
      await platform.run('collectGarbage', { keepFailedRuns: '1ms', keepUnnamed: '1ms', keepCache: '30d' });
      return store.json(settings.specRef).then(
        () => undefined,
        () => true,
      );
    });
  });
});
