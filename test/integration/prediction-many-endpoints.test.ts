import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPredictions } from '../../lib/predictions/prediction-log.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { RecordedLog } from '../support/recorded-log.ts';

const [ENDPOINTS, DAYS, ROWS] = [200, 3, 2];
const SINCE = Date.parse('2026-03-01');
const DAY_MS = 86_400_000;

let fixture: PredictionLogFixture;
beforeAll(async () => {
  fixture = await PredictionLogFixture.create();
});
afterAll(() => fixture.close());

it('a segment of more endpoints than are put into tables at once is rolled whole, each row once', {
  timeout: 120_000,
}, async () => {
  const log = await RecordedLog.begin(fixture.config, fixture.store);
  const layouts = new Map<string, ReturnType<typeof RecordedLog.layout>>();
  // Day by day, as a server sees them: each endpoint comes again.
  for (let day = 0; day < DAYS; day++)
    for (let n = 0; n < ENDPOINTS; n++) {
      const endpoint = `many-${n}`;
      const at = SINCE + day * DAY_MS;
      const request = {
        at,
        requestId: `${n}-${day}`,
        inputs: { age: [n, day], city: ['Ulm', 'Bonn'] },
        outputs: { probability: [0.25, 0.75] },
        truth: { labels: ['no', 'yes'], at },
      };
      const layout =
        layouts.get(endpoint) ??
        RecordedLog.layout({ endpoint, version: '1', digest: 'd', texts: ['city'] }, request);
      layouts.set(endpoint, layout);
      await log.add(layout, request);
    }
  await log.close();
  for (const n of [0, 57, ENDPOINTS - 1]) {
    const scratchDir = join(fixture.config.dataDir, `scratch-${n}`);
    const opened = await openPredictions(fixture.config, `many-${n}`, { scratchDir });
    try {
      const rows = await opened.database.rows(
        'SELECT request_id, row, input_age, input_city, truth_label FROM labelled ORDER BY time, row',
      );
      expect(rows).toEqual(
        Array.from({ length: DAYS * ROWS }, (_, i) => ({
          request_id: `${n}-${Math.floor(i / ROWS)}`,
          row: i % ROWS,
          input_age: i % ROWS === 0 ? n : Math.floor(i / ROWS),
          input_city: i % ROWS === 0 ? 'Ulm' : 'Bonn',
          truth_label: i % ROWS === 0 ? 'no' : 'yes',
        })),
      );
    } finally {
      await opened.close();
    }
  }
});
