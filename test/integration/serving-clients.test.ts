import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ClientPrograms, servingClients } from '../support/serving-clients.ts';
import { churnProbability } from './serving-models.ts';
import { WholeApp } from './serving-whole-app.ts';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('./serving-clients.py', import.meta.url));
const CONFIG = fileURLToPath(new URL('../support/schemathesis.toml', import.meta.url));
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'response_headers_conformance',
  'negative_data_rejection',
];
const MINUTE = 60_000;

const PROBABILITIES = [
  churnProbability({ age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 }),
  churnProbability({ age: 61.5, city: 'Bonn', active: 0, joined: 1_600_000_000 }),
];
const ROWS = PROBABILITIES.map((probability) => ({
  label: probability > 0.5 ? 'yes' : 'no',
  probability: expect.closeTo(probability, 5),
}));
const COLUMNS = {
  label: ROWS.map(({ label }) => label),
  probability: ROWS.map(({ probability }) => probability),
};
const REFUSED = "the endpoint's routes say which versions are loaded";

let folder: string;
let whole: WholeApp;
let url: string;
let programs: ClientPrograms;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-clients-'));
  whole = await WholeApp.create();
  await whole.serve();
  url = await whole.listen();
  programs = await servingClients();
}, 5 * MINUTE);
afterAll(async () => {
  await whole.close();
  await rm(folder, { recursive: true, force: true });
});

describe('unmodified clients', () => {
  it('of Triton, KServe and MLflow get the answers', { timeout: 3 * MINUTE }, async () => {
    const { stdout } = await run(programs.python, ['-W', 'ignore', SCRIPT, url], {
      cwd: folder,
      maxBuffer: 2 ** 24,
      env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: 'true', DO_NOT_TRACK: '1' },
    });
    const lastLine = stdout.trim().split('\n').at(-1) ?? '';
    const { triton, kserve, mlflow } = z
      .object({ triton: z.json(), kserve: z.json(), mlflow: z.json() })
      .parse(JSON.parse(lastLine));
    expect(triton).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      versionReady: true,
      unknownReady: false,
      server: { name: 'perennial', extensions: expect.arrayContaining(['binary_tensor_data']) },
      model: { name: 'churn', versions: ['3'], platform: 'onnx_onnxv1' },
      index: [{ name: 'churn', version: '3', state: 'READY', reason: '' }],
      binary: { ...COLUMNS, version: '3' },
      version: { ...COLUMNS, version: '3', id: 'r-1' },
      json: { ...COLUMNS, version: '3' },
      mixed: { ...COLUMNS, version: '3' },
      gzip: { ...COLUMNS, version: '3' },
      deflate: { ...COLUMNS, version: '3' },
      refusals: {
        load: ['400', expect.stringContaining(REFUSED)],
        unload: ['400', expect.stringContaining(REFUSED)],
        unknown: ['404', 'no such model is served; GET /v2/models lists those that are'],
        output: ['400', 'outputs[0]: the model has no such output; it has label, probability'],
        classes: ['400', 'outputs[0]: the parameter classification is not supported; leave it out'],
      },
    });
    expect(kserve).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      json: { ...COLUMNS, id: 'k-1' },
      binary: { ...COLUMNS, id: 'k-1' },
      refusal: expect.stringContaining('400 Bad Request'),
    });
    expect(mlflow).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      scoring: ROWS,
      deployments: { predictions: ROWS },
    });
  });

  it('made of its own OpenAPI document find nothing', { timeout: 4 * MINUTE }, async () => {
    // A first explanation waits for its process.
    const patient = ['--request-timeout', '120'];
    const fixed = [...patient, '--seed', '7', '--no-color', '--suppress-health-check', 'all', '-n', '5'];
    const args = ['--config-file', CONFIG, 'run', `${url}/openapi.json`, ...fixed];
    const { stdout } = await run(
      programs.schemathesis,
      [...args, '--phases', 'coverage,fuzzing', '--checks', CHECKS.join(',')],
      { cwd: folder, maxBuffer: 2 ** 24 },
    ).catch((error: { stdout?: string }) => {
      throw new Error(`schemathesis found:\n${(error.stdout ?? String(error)).slice(-6_000)}`);
    });
    expect(stdout).toContain('24 selected / 24 total');
  });
});
