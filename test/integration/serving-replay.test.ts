import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { configFromEnv } from '../../lib/config.ts';
import { rollSegments } from '../../lib/predictions/roll.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { startServing } from '../../serving/process/supervisor.ts';
import { servingFromEnv } from '../../workers/serving-options.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { churnServed } from './serving-models.ts';

let dataDir = '';
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'serving-replay-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

it('a server of several processes puts recorded traffic at its time, as its environment says', {
  timeout: 120_000,
}, async () => {
  const env = {
    PERENNIAL_DATA_DIR: dataDir,
    PERENNIAL_REPLAY: '1',
    PERENNIAL_SERVER_PROCESSES: '2',
    PERENNIAL_LOG_LEVEL: 'silent',
  };
  const config = configFromEnv(env);
  const store = await openStore(config);
  const server = await startServing({
    ...servingFromEnv(env, config),
    serverId: 'replay',
    routesFile: join(dataDir, 'routes.json'),
    logger: pino({ level: 'silent' }),
  });
  try {
    await server.applyRoutes({
      endpoint: 'churn',
      generation: 1,
      routes: [{ model: await churnServed(store, '3'), weight: 100 }],
    });
    const post = async (path: string, time: string, payload: unknown, headers = {}) => {
      const answer = await fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          connection: 'close',
          'perennial-time': time,
          ...headers,
        },
        body: JSON.stringify(payload),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    for (let day = 1; day <= 9; day++) {
      const id = { 'x-request-id': `r-${day}` };
      expect(await post('/invocations', `2009-06-0${day}`, { instances: [{ age: day }] }, id)).toBe(200);
      const truth = [{ requestId: `r-${day}`, label: 'yes' }];
      expect(await post('/v1/endpoints/churn/feedback', `2009-06-1${day}`, truth)).toBe(202);
    }
  } finally {
    await server.close();
  }
  const result = await rollSegments(config);
  expect(result).toMatchObject({ rows: 18, unreadable: [] });
  const fixture = PredictionLogFixture.over(config, store);
  const rows = await fixture.rows(
    `SELECT request_id, strftime(time, '%Y-%m-%d') AS at, strftime(truth_received_at, '%Y-%m-%d') AS told
     FROM labelled WHERE truth_label = 'yes' ORDER BY time`,
  );
  expect(rows).toEqual(
    Array.from({ length: 9 }, (_, i) => ({
      request_id: `r-${i + 1}`,
      at: `2009-06-0${i + 1}`,
      told: `2009-06-1${i + 1}`,
    })),
  );
  // Of years ago, and yet not expired.
  expect(config.predictions?.keepMs).toBeNull();
});

it('what the environment says of recorded traffic', () => {
  const of = (env: Record<string, string>) => configFromEnv(env).predictions;
  expect(of({})).not.toHaveProperty('replay');
  expect(of({ PERENNIAL_REPLAY: '0' })).not.toHaveProperty('keepMs');
  expect(of({ PERENNIAL_REPLAY: 'true', PERENNIAL_PREDICTIONS_KEEP: '30d' })).toMatchObject({
    replay: true,
    keepMs: 30 * 86_400_000,
  });
  expect(() => of({ PERENNIAL_REPLAY: 'yes' })).toThrow(
    expect.objectContaining({ code: 'InputInvalid', message: expect.stringContaining('PERENNIAL_REPLAY') }),
  );
});
