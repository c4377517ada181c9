import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { exportModel } from '../../client/export/model-export.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { VERSION_TAGS } from '../../contracts/registered-version.ts';
import { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { buildBySteps } from '../support/docker-steps.ts';
import { digests, ExportFixture, post, withServer } from '../support/export-fixture.ts';
import { ended } from '../support/exported-server.ts';
import { ManifestChecks } from '../support/manifest-checks.ts';

const run = promisify(execFile);
const PREDICT = fileURLToPath(new URL('./python/mlflow-predict.py', import.meta.url));
const NAME = 'late-calls';

let fixture: ExportFixture;
/** The export. */
let moved: string;
/** A folder for what tests write. */
let scratch: string;
let mlflow: MlflowClient;

beforeAll(async () => {
  fixture = await ExportFixture.create(NAME);
  ({ moved, mlflow } = fixture);
  scratch = fixture.platform.folder;
}, 300_000);
afterAll(() => fixture?.close());

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PerennialError) return `${error.code}: ${error.message}`;
  throw new Error(`expected a refusal, found ${String(error)}`);
};

describe('the folder', () => {
  it('starts with one command and nothing but Node in PATH, and answers as the evaluated model', async () => {
    await fixture.serving(async ({ url }) => {
      expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
      const ours = await fixture.answers(url);
      expect(ours).toHaveLength(4);
      expect(new Set(ours.map(({ probability }) => probability)).size).toBeGreaterThan(1);
      expect(ours).toEqual(await fixture.evaluated());
      expect(await (await fetch(`${url}/version`)).text()).toMatch(/^\d+\.\d+\.\d+/);
      const model = await (await fetch(`${url}/v2/models/${NAME}`)).json();
      expect(JSON.stringify(model)).toContain(fixture.run.model.onnx.sha256);
    });
  });

  it('answers its V2 example with the same numbers', async () => {
    await fixture.serving(async ({ url }) => {
      const body = await fixture.text('examples', 'v2-request.json');
      const { outputs } = z
        .object({ outputs: z.array(z.object({ name: z.string(), data: z.array(z.unknown()) })) })
        .parse(await post(`${url}/v2/models/${NAME}/infer`, body));
      const expected = await fixture.evaluated();
      expect(outputs.find(({ name }) => name === 'probability')?.data).toEqual(
        expected.map(({ probability }) => probability),
      );
    });
  });

  it('reads nothing outside of itself, writes nothing, and starts no process', async () => {
    const before = await digests(moved);
    // Node's permission model refuses every other file, each write, and each child process.
    const args = [
      process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission',
      '--allow-addons',
      `--allow-fs-read=${moved}/*`,
      join(moved, 'server', 'server.js'),
    ];
    const command = { program: process.execPath, args, cwd: moved, env: { NODE_NO_WARNINGS: '1' } };
    await withServer(command, async ({ url }) => {
      expect(await fixture.answers(url)).toEqual(await fixture.evaluated());
    });
    expect(await digests(moved)).toEqual(before);
  });

  it('has a model directory that mlflow.pyfunc loads', async () => {
    const body = z
      .object({ dataframe_split: z.unknown() })
      .parse(JSON.parse(await fixture.text('model', 'serving_input_example.json')));
    const [rows, found] = ['rows.json', 'answers.json'].map((name) => join(scratch, name));
    await writeFile(rows ?? '', JSON.stringify(body.dataframe_split));
    await run(fixture.platform.config.python, [PREDICT, join(moved, 'model'), rows ?? '', found ?? ''], {
      env: { ...process.env, MLFLOW_TRACKING_URI: fixture.platform.config.mlflowTrackingUri },
    });
    const theirs = z
      .object({ answers: z.object({ label: z.array(z.string()), probability: z.array(z.number()) }) })
      .parse(JSON.parse(await readFile(found ?? '', 'utf8'))).answers;
    const expected = await fixture.evaluated();
    expect(theirs.label).toEqual(expected.map(({ label }) => label));
    for (const [at, { probability }] of expected.entries())
      expect(theirs.probability[at]).toBeCloseTo(probability, 6);
  });

  it('names each of its files with its digest', async () => {
    await run('sha256sum', ['--check', '--quiet', '--strict', 'SHA256SUMS'], { cwd: moved });
    const lines = (await fixture.text('SHA256SUMS')).trimEnd().split('\n');
    expect(lines).toHaveLength(fixture.exported.files - 1);
    expect(Object.keys(await digests(moved))).toHaveLength(fixture.exported.files);
  });

  it('names the version and its digest, and no secret', async () => {
    const server = JSON.parse(await fixture.text('server.json'));
    expect(server).toEqual({
      formatVersion: 1,
      perennial: expect.any(String),
      endpoint: NAME,
      model: {
        name: NAME,
        version: fixture.run.register.version,
        file: 'model/model.onnx',
        sha256: fixture.run.model.onnx.sha256,
        bytes: fixture.run.model.onnx.bytes,
      },
    });
    const readme = await fixture.text('README.md');
    expect(readme).toContain(fixture.run.model.onnx.sha256);
    expect(readme).toContain('/v2/models/late-calls/infer');
  });

  it('holds the licence of every package in the server', async () => {
    const licenses = await fixture.text('THIRD-PARTY-LICENSES.txt');
    for (const name of ['fastify', 'pino', 'zod', 'prom-client', 'onnxruntime-node', 'onnxruntime-common'])
      expect(licenses).toMatch(new RegExp(`^${name} \\d`, 'm'));
    expect(licenses).not.toMatch(/\bA?GPL-/);
  });
});

describe('the server refuses', () => {
  it('a graph with another digest', async () => {
    const folder = await fixture.copy('spoilt-model');
    const onnx = join(folder, 'model', 'model.onnx');
    const bytes = await readFile(onnx);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(onnx, bytes);
    const { code, stdout, stderr } = await fixture.ended(folder);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain("do not have the route's digest");
    expect(stderr).toMatch(/^error: version 1 of "late-calls" cannot be served/m);
  });

  it('routes to another model', async () => {
    const folder = await fixture.copy('spoilt-routes');
    const file = join(folder, 'routes.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll(fixture.run.model.onnx.sha256, 'f'.repeat(64)));
    const { code, stderr } = await fixture.ended(folder);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: .*routes\.json must have one route: to version 1 of "late-calls"[^\n]*\n$/,
    );
    await writeFile(file, '{');
    const again = await fixture.ended(folder);
    expect(again.stderr).toMatch(/^error: .*routes\.json is malformed at its root[^\n]*\n$/);
    expect(await readdir(folder)).toContain('routes.json');
  });

  it.each([
    [{ PERENNIAL_SERVER_HOST: '0.0.0.0' }, 'set PERENNIAL_SECRET_SERVER_TOKEN'],
    [{ PERENNIAL_SERVER_PORT: '80800' }, 'PERENNIAL_SERVER_PORT is 80800'],
    [{ PERENNIAL_LOG_LEVEL: 'loud' }, 'PERENNIAL_LOG_LEVEL is loud'],
  ])('settings: %j', async (env, words) => {
    const { code, stderr } = await fixture.ended(moved, env);
    expect([code, stderr.split('\n').length]).toEqual([2, 2]);
    expect(stderr).toContain(words);
  });

  it('a request without the token', async () => {
    const env = { PERENNIAL_SECRET_SERVER_TOKEN: 'open sesame' };
    await fixture.serving(async ({ url }) => {
      const body = await fixture.text('model', 'serving_input_example.json');
      const ask = (headers: Record<string, string>): Promise<Response> =>
        fetch(`${url}/invocations`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body,
        });
      expect((await ask({})).status).toBe(401);
      expect((await ask({ authorization: 'Bearer open sesame' })).status).toBe(200);
      expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    }, env);
  });

  it('a port that is taken', async () => {
    await fixture.serving(async ({ url }) => {
      const { code, stderr } = await fixture.ended(moved, { PERENNIAL_SERVER_PORT: new URL(url).port });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: port \d+ of 127\.0\.0\.1 is taken; [^\n]*\n$/);
    });
  });
});

describe('the command', () => {
  const to = (name: string): string => join(scratch, name);
  const request = (name: string) => ({ model: NAME, to: to(name), server: fixture.program });
  /** Nothing half written: neither the folder nor one beside it. */
  const left = async (): Promise<string[]> =>
    (await readdir(scratch)).filter((name) => /partial|replaced|^refused/.test(name));

  it('gives the same bytes again, for whatever name of the version', async () => {
    const { version } = fixture.run.register;
    await exportModel(mlflow, { ...request('again'), model: `${NAME}@champion` });
    await exportModel(mlflow, { ...request('and-again'), model: `${NAME}/${version}` });
    const expected = await digests(moved);
    expect(await digests(to('again'))).toEqual(expected);
    expect(await digests(to('and-again'))).toEqual(expected);
  });

  it('leaves the runtime out where it is told to; the server then says what is missing', async () => {
    const found = await exportModel(mlflow, { ...request('light'), runtime: false });
    expect(found.platform).toBeNull();
    expect(await readdir(to('light'))).not.toContain('node_modules');
    const { code, stderr } = await fixture.ended(to('light'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: onnxruntime-node cannot be loaded on [^\n]*npm ci[^\n]*\n$/);
  });

  it('overwrites an export with --force alone, and nothing else even then', async () => {
    await exportModel(mlflow, { ...request('twice'), runtime: false });
    const twice = request('twice');
    expect(await refusal(exportModel(mlflow, twice))).toContain('holds an export already');
    expect(await refusal(exportModel(mlflow, { ...twice, model: 'nobody', force: true }))).toContain(
      'there is no model nobody',
    );
    expect(await readdir(to('twice'))).toContain('server.json');
    await exportModel(mlflow, { ...twice, force: true });
    expect(await digests(to('twice'))).toEqual(await digests(moved));

    await mkdir(to('precious'));
    await writeFile(join(to('precious'), 'thesis.txt'), 'all of it');
    expect(await refusal(exportModel(mlflow, request('precious')))).toContain('is not empty');
    const forced = await refusal(exportModel(mlflow, { ...request('precious'), force: true }));
    expect(forced).toContain('something else than an export');
    expect(await readdir(to('precious'))).toEqual(['thesis.txt']);
    expect(await left()).toEqual([]);
  });

  it('refuses what is not there, in words, and leaves nothing behind', async () => {
    const refused = (more: object): Promise<string> =>
      refusal(exportModel(mlflow, { ...request('refused'), ...more }));
    expect(await refused({ model: 'late-cals' })).toContain('did you mean late-calls?');
    expect(await refused({ version: '99' })).toContain('has no version 99. Versions: 1');
    expect(await refused({ version: '@nobody' })).toContain('has no alias nobody');
    expect(await refused({ server: to('no-program') })).toContain('npm run build');
    expect(await refused({ image: 'No Image' })).toContain('--image is not the name of an image');
    expect(await refused({ to: join(scratch, 'calls.csv') })).toContain('not empty');
    expect(await refused({ to: join(scratch, 'calls.csv', 'x') })).toContain('cannot be written');
    expect(await left()).toEqual([]);
  });

  it('says where MLflow is away', async () => {
    const away = new MlflowClient({ trackingUri: 'http://127.0.0.1:9', retry: { maxAttempts: 1 } });
    const words = await refusal(exportModel(away, request('refused')));
    expect(words).toMatch(/^TrackerUnavailable: .*127\.0\.0\.1:9.*perennial up/);
    expect(await left()).toEqual([]);
  });

  it('refuses bytes with another digest than the registered one', async () => {
    const { register, model } = fixture.run;
    const tag = (value: string): Promise<void> =>
      mlflow.modelVersions.setTag({ name: NAME, version: register.version, key: VERSION_TAGS.onnx, value });
    const other = { ...model.onnx, sha256: 'e'.repeat(64), uri: `cas:${'e'.repeat(64)}` };
    await tag(JSON.stringify(other));
    try {
      expect(await refusal(exportModel(mlflow, request('refused')))).toMatch(
        /^ArtifactCorrupt: model\.onnx of version 1 of late-calls in MLflow has the digest [0-9a-f]{64}, not e{64}/,
      );
    } finally {
      await tag(JSON.stringify(model.onnx));
    }
    expect(await left()).toEqual([]);
  });
});

describe('containers', () => {
  it('have manifests and a Dockerfile that the real schemas and a linter accept', async () => {
    const checks = await ManifestChecks.provide();
    const kustomization = z
      .object({ resources: z.array(z.string()) })
      .parse(parse(await readFile(join(moved, 'kubernetes', 'kustomization.yaml'), 'utf8')));
    expect((await readdir(join(moved, 'kubernetes'))).sort()).toEqual(
      [...kustomization.resources, 'kustomization.yaml'].sort(),
    );
    const files = [
      ...kustomization.resources.map((name) => join(moved, 'kubernetes', name)),
      join(moved, 'kserve', 'inference-service.yaml'),
    ];
    expect(await checks.problems(files)).toEqual(Object.fromEntries(files.map((file) => [file, []])));
    expect(await checks.lint(join(moved, 'Dockerfile'))).toEqual([]);

    // The checks themselves can fail: a wrong word in each file, and a careless Dockerfile.
    const wrong = await Promise.all(
      files.map(async (file, at) => {
        const text = await readFile(file, 'utf8');
        const spoilt = join(scratch, `wrong-${at}.yaml`);
        await writeFile(
          spoilt,
          text
            .replace(/^( +)(ports|minReplicas|minAvailable|image): /m, '$1$2s: ')
            .replace('ports:', 'portz:'),
        );
        return spoilt;
      }),
    );
    for (const problems of Object.values(await checks.problems(wrong))) expect(problems).not.toEqual([]);
    const careless = join(scratch, 'Dockerfile.careless');
    await writeFile(careless, 'FROM node\nRUN cd /tmp && sudo npm install x\n');
    expect(await checks.lint(careless)).not.toEqual([]);
  });

  it('build by the Dockerfile: its own install, its files, its environment, its command', {
    timeout: 300_000,
  }, async () => {
    const image = await buildBySteps(moved, join(scratch, 'docker'));
    const { environment, command, healthCheck } = image;
    expect(environment).toMatchObject({ PERENNIAL_SERVER_HOST: '0.0.0.0', PERENNIAL_SERVER_PORT: '8080' });
    expect([command[0], healthCheck[0]]).toEqual(['node', 'node']);
    const inImage = (args: readonly string[], env: Record<string, string>) => ({
      program: process.execPath,
      args: args.slice(1),
      cwd: image.folder,
      env,
    });
    const bare = await ended(inImage(command, environment));
    expect([bare.code, bare.stderr]).toEqual([
      2,
      expect.stringContaining('set PERENNIAL_SECRET_SERVER_TOKEN'),
    ]);
    const local = { ...environment, PERENNIAL_SERVER_HOST: '127.0.0.1', PERENNIAL_SERVER_PORT: '0' };
    await withServer(inImage(command, local), async ({ url }) => {
      expect(await fixture.answers(url)).toEqual(await fixture.evaluated());
      const health = async (port: string) =>
        (await ended(inImage(healthCheck, { PERENNIAL_SERVER_PORT: port }))).code;
      expect(await health(new URL(url).port)).toBe(0);
      expect(await health('9')).toBe(1);
    });
  });
});
