import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { churnModel, churnServed } from './serving-models.ts';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
const SCRIPT = fileURLToPath(new URL('./serving-mlflow.py', import.meta.url));

const ROW = { age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 };
const OTHER = { age: 61.5, city: 'Bonn', active: 0, joined: 1_600_000_000.5 };
const COLUMNS = Object.keys(ROW);

const ANSWERED: object[] = [
  { dataframe_split: { columns: COLUMNS, data: [Object.values(ROW), Object.values(OTHER)] } },
  { dataframe_split: { columns: ['city', 'joined', 'active', 'age'], data: [['Ulm', 0, 1, 17]] } },
  { dataframe_split: { columns: COLUMNS, index: [7], data: [Object.values(OTHER)] } },
  { dataframe_records: [ROW, OTHER] },
  { dataframe_records: [{ ...ROW, age: null }] },
  { dataframe_records: [{ ...ROW, city: null }, OTHER] },
  { dataframe_records: [ROW], params: { ignored: 1 } },
  { instances: [ROW, OTHER] },
  { inputs: { age: [30, 61], city: ['Ulm', 'Bonn'], active: [1, 0], joined: [0, 1.5] } },
  { inputs: ROW },
  { inputs: [ROW, OTHER] },
];
const REFUSED: object[] = [
  { dataframe_records: [{ ...ROW, age: 'x' }] },
  { dataframe_records: [] },
  { dataframe_records: ROW },
  { dataframe_split: { columns: COLUMNS, data: [[1, 'a']] } },
  { dataframe_split: { data: [Object.values(ROW)] } },
  { dataframe_split: { columns: [...COLUMNS, 'age'], data: [[...Object.values(ROW), 1]] } },
  { dataframe_records: [ROW], instances: [ROW] },
  { something: [] },
];
const answer = z.object({ status: z.number(), body: z.record(z.string(), z.unknown()) });

it('a client of MLflow scoring sees the same answers', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serving-mlflow-'));
  const path = (name: string): string => join(folder, name);
  const store = await ArtifactStore.create(path('store'));
  const logger = pino({ level: 'silent' });
  const host = await ModelHost.create({ serverId: 's1', store, routesFile: path('routes.json'), logger });
  const app = createApp({ dataPlane: new DataPlane(host), logger, version: '0' });
  try {
    const churn = await churnServed(store, '1');
    // MLflow requires no column here, so ours does not either.
    const inputs = churn.signature.inputs.map((input) => ({ ...input, optional: true }));
    const model = { ...churn, signature: { ...churn.signature, inputs } };
    await host.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
    await writeFile(path('model.onnx'), churnModel());
    await writeFile(path('requests.json'), JSON.stringify([...ANSWERED, ...REFUSED]));
    await promisify(execFile)(
      PYTHON,
      [SCRIPT, path('model.onnx'), path('requests.json'), path('answers.json')],
      {
        cwd: folder,
        env: { ...process.env, MLFLOW_TRACKING_URI: `sqlite:///${path('mlflow.db')}` },
      },
    );
    const theirs = z.array(answer).parse(JSON.parse(await readFile(path('answers.json'), 'utf8')));
    for (const [index, request] of [...ANSWERED, ...REFUSED].entries()) {
      const { statusCode, body } = await app.inject({
        method: 'POST',
        url: '/invocations',
        payload: request,
      });
      const ours = {
        request,
        status: statusCode,
        body: z.record(z.string(), z.unknown()).parse(JSON.parse(body)),
      };
      const expected = theirs[index];
      expect(ours.status, JSON.stringify(request)).toBe(expected?.status);
      if (index < ANSWERED.length) {
        expect(ours.status).toBe(200);
        expect(ours).toEqual({ request, ...expected });
      } else {
        expect(ours.status).toBe(400);
        // Both have a code and a message; the words differ, and ours have no stack trace.
        expect(Object.keys(ours.body)).toEqual(['error_code', 'message']);
        expect(Object.keys(expected?.body ?? {})).toEqual(expect.arrayContaining(['error_code', 'message']));
      }
    }
  } finally {
    await app.close();
    await host.close();
    await rm(folder, { recursive: true, force: true });
  }
});
