import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { exportModel, type ModelExport } from '../../client/export/model-export.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { VERSION_TAGS } from '../../contracts/registered-version.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { bundleStandalone } from '../../scripts/bundle-standalone.ts';
import { type ExportedServer, ended, nodeAlone, startExported } from '../support/exported-server.ts';
import { type FinishedRun, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { ManifestChecks } from '../support/manifest-checks.ts';

const run = promisify(execFile);
const PREDICT = fileURLToPath(new URL('./python/mlflow-predict.py', import.meta.url));
const NAME = 'late-calls';
const ROWS = 600;

let platform: TestPlatform;
let finished: FinishedRun;
let mlflow: MlflowClient;
/** The built server's program. */
let program: string;
/** PATH with nothing but Node. */
let path: string;
let exported: ModelExport;
/** The export, moved away from where it was written. */
let moved: string;

beforeAll(async () => {
  platform = await TestPlatform.start();
  await platform.takeLease();
  program = join(platform.folder, 'standalone');
  await bundleStandalone(program);
  path = await nodeAlone(platform.folder);
  const calls = join(platform.folder, 'calls.csv');
  await writeFile(calls, callsCsv());
  const spec = pipelineSpec.parse({
    name: NAME,
    task: 'binary',
    data: { sources: { calls } },
    columns: { target: 'answer', positive: 'bought', entity: 'customer' },
    candidates: [{ search: false, trainer: 'lightgbm', maxIterations: 40, parameters: { num_leaves: 8 } }],
    evaluation: { gates: [] },
  });
  finished = await runLifecycle(platform, spec, { commit: null, dirty: false });
  mlflow = platform.deps.mlflow();
  exported = await exportModel(mlflow, { model: NAME, to: join(platform.folder, 'export'), server: program });
  moved = join(platform.folder, 'elsewhere', 'a folder');
  await mkdir(join(platform.folder, 'elsewhere'));
  await rename(exported.folder, moved);
});
afterAll(() => platform?.close());

function callsCsv(): string {
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const [age, channel] = [20 + ((i * 37) % 60), 'abc'[i % 3] ?? 'a'];
    const day = new Date(Date.UTC(2024, 0, 1 + (i % 300))).toISOString().slice(0, 10);
    const known = i % 5 < 2;
    const answer = age / 80 + (channel === 'a' ? 0.4 : 0) + (known ? 0.3 : 0) > 1 ? 'bought' : 'left';
    return `c${i},${i % 11 === 0 ? '' : age},${channel},${day},${known},${answer}`;
  });
  return `customer,age,channel,called,known,answer\n${lines.join('\n')}\n`;
}

const answers = z.object({ predictions: z.array(z.object({ label: z.string(), probability: z.number() })) });
type Answers = z.infer<typeof answers>['predictions'];

async function post(url: string, body: string): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text);
}

const invocations = async (url: string, body: string): Promise<Answers> =>
  answers.parse(await post(`${url}/invocations`, body)).predictions;

const exampleBody = (): Promise<string> =>
  readFile(join(moved, 'model', 'serving_input_example.json'), 'utf8');

/** What the evaluated model answers to its own input example, by the server that it was deployed to. */
const evaluated = async (): Promise<Answers> => invocations(platform.server.url, await exampleBody());

async function withServer(
  command: Parameters<typeof startExported>[0],
  ask: (server: ExportedServer) => Promise<void>,
): Promise<void> {
  const server = await startExported(command);
  try {
    await ask(server);
  } finally {
    const { code, stderr } = await server.stop();
    expect(code, stderr).toBe(0);
  }
}

/** Digests of all files of a folder, by their path. */
async function digests(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(
    files.map(async (file) => [
      file.slice(folder.length + 1),
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    ]),
  );
  return Object.fromEntries(found.sort());
}

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PerennialError) return `${error.code}: ${error.message}`;
  throw new Error(`expected a refusal, found ${String(error)}`);
};

/** A copy of the export that a test may spoil. */
async function copy(name: string): Promise<string> {
  const folder = join(platform.folder, name);
  await cp(moved, folder, { recursive: true });
  return folder;
}

describe('the folder', () => {
  it('starts with one command and nothing but Node in PATH, and answers as the evaluated model', async () => {
    const command = { program: join(moved, 'start.sh'), cwd: '/', env: { PATH: path } };
    await withServer(command, async ({ url, readyMs }) => {
      console.info(`ready after ${readyMs.toFixed(0)} ms, ${(exported.bytes / 1e6).toFixed(1)} MB`);
      expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
      const ours = await invocations(url, await exampleBody());
      expect(ours).toHaveLength(4);
      expect(new Set(ours.map(({ probability }) => probability)).size).toBeGreaterThan(1);
      expect(ours).toEqual(await evaluated());
      expect(await (await fetch(`${url}/version`)).text()).toMatch(/^\d+\.\d+\.\d+/);
      const model = await (await fetch(`${url}/v2/models/${encodeURIComponent(NAME)}`)).json();
      expect(JSON.stringify(model)).toContain(finished.model.onnx.sha256);
    });
  });

  it('answers its V2 example with the same numbers', async () => {
    await withServer({ program: join(moved, 'start.sh'), cwd: '/', env: { PATH: path } }, async ({ url }) => {
      const body = await readFile(join(moved, 'examples', 'v2-request.json'), 'utf8');
      const { outputs } = z
        .object({ outputs: z.array(z.object({ name: z.string(), data: z.array(z.unknown()) })) })
        .parse(await post(`${url}/v2/models/${encodeURIComponent(NAME)}/infer`, body));
      const expected = await evaluated();
      expect(outputs.find(({ name }) => name === 'probability')?.data).toEqual(
        expected.map(({ probability }) => probability),
      );
    });
  });

  it('reads nothing outside of itself, writes nothing, and starts no process', async () => {
    const before = await digests(moved);
    // Node's permission model refuses every other file, each write, and each child process.
    const args = [
      '--experimental-permission',
      '--allow-addons',
      `--allow-fs-read=${moved}/*`,
      join(moved, 'server', 'server.js'),
    ];
    const command = { program: process.execPath, args, cwd: moved, env: { NODE_NO_WARNINGS: '1' } };
    await withServer(command, async ({ url }) => {
      expect(await invocations(url, await exampleBody())).toEqual(await evaluated());
    });
    expect(await digests(moved)).toEqual(before);
  });

  it('has a model directory that mlflow.pyfunc loads', async () => {
    const body = z.object({ dataframe_split: z.unknown() }).parse(JSON.parse(await exampleBody()));
    const [rows, found] = ['rows.json', 'answers.json'].map((name) => join(platform.folder, name));
    await writeFile(rows ?? '', JSON.stringify(body.dataframe_split));
    await run(platform.config.python, [PREDICT, join(moved, 'model'), rows ?? '', found ?? ''], {
      env: { ...process.env, MLFLOW_TRACKING_URI: platform.config.mlflowTrackingUri },
    });
    const theirs = z
      .object({ answers: z.object({ label: z.array(z.string()), probability: z.array(z.number()) }) })
      .parse(JSON.parse(await readFile(found ?? '', 'utf8'))).answers;
    const expected = await evaluated();
    expect(theirs.label).toEqual(expected.map(({ label }) => label));
    for (const [at, { probability }] of expected.entries())
      expect(theirs.probability[at]).toBeCloseTo(probability, 6);
  });

  it('names each of its files with its digest', async () => {
    await run('sha256sum', ['--check', '--quiet', '--strict', 'SHA256SUMS'], { cwd: moved });
    const lines = (await readFile(join(moved, 'SHA256SUMS'), 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(exported.files - 1);
    expect(Object.keys(await digests(moved))).toHaveLength(exported.files);
  });

  it('names the version and its digest, and no secret', async () => {
    const server = JSON.parse(await readFile(join(moved, 'server.json'), 'utf8'));
    expect(server).toEqual({
      formatVersion: 1,
      perennial: expect.any(String),
      endpoint: NAME,
      model: {
        name: NAME,
        version: finished.register.version,
        file: 'model/model.onnx',
        sha256: finished.model.onnx.sha256,
        bytes: finished.model.onnx.bytes,
      },
    });
    const readme = await readFile(join(moved, 'README.md'), 'utf8');
    expect(readme).toContain(finished.model.onnx.sha256);
    expect(readme).toContain('/v2/models/late-calls/infer');
  });

  it('holds the licence of every package in the server', async () => {
    const licenses = await readFile(join(moved, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['fastify', 'pino', 'zod', 'prom-client', 'onnxruntime-node', 'onnxruntime-common'])
      expect(licenses).toMatch(new RegExp(`^${name} \\d`, 'm'));
    expect(licenses).not.toMatch(/\bA?GPL-/);
  });
});

describe('the server refuses', () => {
  it('a graph with another digest', async () => {
    const folder = await copy('spoilt-model');
    const onnx = join(folder, 'model', 'model.onnx');
    const bytes = await readFile(onnx);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(onnx, bytes);
    const { code, stdout, stderr } = await ended({
      program: join(folder, 'start.sh'),
      cwd: '/',
      env: { PATH: path },
    });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain("do not have the route's digest");
    expect(stderr).toMatch(/^error: version 1 of "late-calls" cannot be served/m);
  });

  it('routes to another model', async () => {
    const folder = await copy('spoilt-routes');
    const file = join(folder, 'routes.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll(finished.model.onnx.sha256, 'f'.repeat(64)));
    const { code, stderr } = await ended({
      program: join(folder, 'start.sh'),
      cwd: '/',
      env: { PATH: path },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: .*routes\.json must have one route: to version 1 of "late-calls"[^\n]*\n$/,
    );
    await writeFile(file, '{');
    const again = await ended({ program: join(folder, 'start.sh'), cwd: '/', env: { PATH: path } });
    expect(again.stderr).toMatch(/^error: .*routes\.json is malformed at its root[^\n]*\n$/);
    expect(await readdir(folder)).toContain('routes.json');
  });

  it.each([
    [{ PERENNIAL_SERVER_HOST: '0.0.0.0' }, 'set PERENNIAL_SECRET_SERVER_TOKEN'],
    [{ PERENNIAL_SERVER_PORT: '80800' }, 'PERENNIAL_SERVER_PORT is 80800'],
    [{ PERENNIAL_LOG_LEVEL: 'loud' }, 'PERENNIAL_LOG_LEVEL is loud'],
  ])('settings: %j', async (env, words) => {
    const { code, stderr } = await ended({
      program: join(moved, 'start.sh'),
      cwd: '/',
      env: { PATH: path, ...env },
    });
    expect([code, stderr.split('\n').length]).toEqual([2, 2]);
    expect(stderr).toContain(words);
  });

  it('a request without the token', async () => {
    const env = { PATH: path, PERENNIAL_SECRET_SERVER_TOKEN: 'open sesame' };
    await withServer({ program: join(moved, 'start.sh'), cwd: '/', env }, async ({ url }) => {
      const body = await exampleBody();
      const ask = (headers: Record<string, string>): Promise<Response> =>
        fetch(`${url}/invocations`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body,
        });
      expect((await ask({})).status).toBe(401);
      expect((await ask({ authorization: 'Bearer open sesame' })).status).toBe(200);
      expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    });
  });

  it('a port that is taken', async () => {
    await withServer({ program: join(moved, 'start.sh'), cwd: '/', env: { PATH: path } }, async ({ url }) => {
      const env = { PATH: path, PERENNIAL_SERVER_PORT: new URL(url).port };
      const { code, stderr } = await ended({ program: join(moved, 'start.sh'), cwd: '/', env });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: port \d+ of 127\.0\.0\.1 is taken; [^\n]*\n$/);
    });
  });
});

describe('the command', () => {
  const to = (name: string): string => join(platform.folder, name);
  const request = (name: string) => ({ model: NAME, to: to(name), server: program });
  /** Nothing half written: neither the folder nor one beside it. */
  const left = async (): Promise<string[]> =>
    (await readdir(platform.folder)).filter((name) => /partial|replaced|^refused/.test(name));

  it('gives the same bytes again, for whatever name of the version', async () => {
    const { version } = finished.register;
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
    const { code, stderr } = await ended({
      program: join(to('light'), 'start.sh'),
      cwd: '/',
      env: { PATH: path },
    });
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
    expect(await refused({ to: join(platform.folder, 'calls.csv') })).toContain('not empty');
    expect(await refused({ to: join(platform.folder, 'calls.csv', 'x') })).toContain('cannot be written');
    expect(await left()).toEqual([]);
  });

  it('says where MLflow is away', async () => {
    const away = new MlflowClient({ trackingUri: 'http://127.0.0.1:9', retry: { maxAttempts: 1 } });
    const words = await refusal(exportModel(away, request('refused')));
    expect(words).toMatch(/^TrackerUnavailable: .*127\.0\.0\.1:9.*perennial up/);
    expect(await left()).toEqual([]);
  });

  it('refuses bytes with another digest than the registered one', async () => {
    const { register, model } = finished;
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
        const spoilt = join(platform.folder, `wrong-${at}.yaml`);
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
    const careless = join(platform.folder, 'Dockerfile.careless');
    await writeFile(careless, 'FROM node\nRUN cd /tmp && sudo npm install x\n');
    expect(await checks.lint(careless)).not.toEqual([]);
  });

  it('build by the Dockerfile: its own install, its files, its environment, its command', {
    timeout: 300_000,
  }, async () => {
    const { context, image } = {
      context: join(platform.folder, 'context'),
      image: join(platform.folder, 'image'),
    };
    const text = (await readFile(join(moved, 'Dockerfile'), 'utf8')).replaceAll(/\\\n\s*/g, ' ');
    const allowed = (await readFile(join(moved, '.dockerignore'), 'utf8')).match(/(?<=^!).+$/gm) ?? [];
    for (const name of allowed) await cp(join(moved, name), join(context, name), { recursive: true });

    const stages = text.split(/^FROM /m).slice(1);
    const [runtime = '', last = ''] = stages;
    const lines = (stage: string, word: string): string[] =>
      stage.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
    // First stage: the two files that it copies, then its command in a clean home with the registry and nothing else.
    const stage = join(platform.folder, 'stage');
    await mkdir(stage);
    for (const name of ['package.json', 'package-lock.json']) {
      expect(lines(runtime, 'COPY').join(' ')).toContain(name);
      await cp(join(context, name), join(stage, name));
    }
    const home = join(platform.folder, 'home');
    await mkdir(home);
    const [install = ''] = lines(runtime, 'RUN');
    const ofNetwork = Object.entries(process.env).filter(([name]) =>
      /^(PATH|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|npm_config_(registry|cafile))$/i.test(name),
    );
    await run('sh', ['-c', install.replaceAll('/library', join(home, 'library'))], {
      cwd: stage,
      env: { ...Object.fromEntries(ofNetwork), HOME: home },
    });
    // Last stage: its COPY lines.
    for (const line of lines(last, 'COPY')) {
      const parts = line.split(' ');
      const from = parts[0] === '--from=runtime' ? stage : context;
      const sources = parts.slice(from === stage ? 1 : 0, -1);
      const into = parts.at(-1) ?? '';
      for (const source of sources)
        await cp(
          join(from, source.replace(/^\/app\//, '')),
          into.endsWith('/') ? join(image, into, source) : join(image, into),
          { recursive: true },
        );
    }
    const environment = Object.fromEntries(
      lines(last, 'ENV').flatMap((line) =>
        [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
      ),
    );
    expect(environment).toMatchObject({ PERENNIAL_SERVER_HOST: '0.0.0.0', PERENNIAL_SERVER_PORT: '8080' });
    const command = z.array(z.string()).parse(JSON.parse(lines(last, 'CMD')[0] ?? ''));
    expect(command).toEqual(['node', 'server/server.js']);

    const bare = await ended({
      program: 'node',
      args: command.slice(1),
      cwd: image,
      env: { PATH: path, ...environment },
    });
    expect([bare.code, bare.stderr]).toEqual([
      2,
      expect.stringContaining('set PERENNIAL_SECRET_SERVER_TOKEN'),
    ]);
    const env = {
      PATH: path,
      ...environment,
      PERENNIAL_SERVER_HOST: '127.0.0.1',
      PERENNIAL_SERVER_PORT: '0',
    };
    await withServer(
      { program: process.execPath, args: command.slice(1), cwd: image, env },
      async ({ url }) => {
        expect(await invocations(url, await exampleBody())).toEqual(await evaluated());
        const health = z.array(z.string()).parse(JSON.parse(/HEALTHCHECK .*?CMD (.*)/.exec(last)?.[1] ?? ''));
        const check = (port: string) =>
          ended({
            program: process.execPath,
            args: health.slice(1),
            cwd: image,
            env: { PERENNIAL_SERVER_PORT: port },
          });
        expect((await check(new URL(url).port)).code).toBe(0);
        expect((await check('9')).code).toBe(1);
      },
    );
    await rm(stage, { recursive: true });
  });
});
