import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readyUrl } from '../../client/platform/own-part.ts';
import { Platform } from '../../client/platform/platform.ts';
import { findPython, packageRoot } from '../../client/platform/programs.ts';
import type { LifecycleResult } from '../../contracts/lifecycle.ts';
import { type RunningCommand, startNode } from '../support/e2e-cli.ts';
import { aliasFollows, servedFacts } from '../support/e2e-facts.ts';
import { npm, packInto } from '../support/e2e-package.ts';
import { ownFolder, removePlatform } from '../support/e2e-platform.ts';
import { PLUGIN_PROJECT } from '../support/e2e-plugin-project.ts';
import { BANK, BANK_SPEC } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
const folder = ownFolder('plugin');
const project = join(folder, 'project');
const dataDir = join(folder, 'data');
const run = promisify(execFile);
const started: RunningCommand[] = [];
let platform: Platform | undefined;
let compilerOutput = '';

beforeAll(async () => {
  const packed = await packInto(folder);
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
  const pick = (from: Record<string, string>, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, from[name]]));
  for (const [name, content] of Object.entries(PLUGIN_PROJECT)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), content);
  }
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({
      ...{ name: 'somebody-elses', private: true, type: 'module' },
      dependencies: {
        'perennial-mlops': `file:${packed}`,
        ...pick(dependencies, ['@temporalio/client', '@temporalio/worker', '@temporalio/workflow']),
      },
      devDependencies: pick(devDependencies, ['typescript', '@types/node']),
    }),
  );
  await npm(project, 'install', '--ignore-scripts', '--no-audit', '--no-fund');
  compilerOutput = await run(join(project, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: project }).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
  platform = await Platform.start({ dataDir, parts: ['temporal', 'mlflow'] });
}, 5 * MINUTE);

afterAll(async () => {
  for (const command of started) {
    command.child.kill('SIGTERM');
    await command.ended;
  }
  await platform?.stop();
  await removePlatform(dataDir, folder);
}, 2 * MINUTE);

describe.sequential('the package in a project of somebody else', () => {
  it('brings its types, and nothing that only a checkout needs', () => {
    expect(compilerOutput).toBe('');
    const installed = join(project, 'node_modules', 'perennial-mlops');
    for (const name of ['examples', 'test', 'bench', '.venv', 'index.ts'])
      expect(existsSync(join(installed, name)), name).toBe(false);
    for (const name of [
      'LICENSE',
      'README.md',
      'docs/serving.md',
      'deploy/prometheus',
      'trainers/python',
      'contracts/spec/pipeline.schema.json',
    ])
      expect(existsSync(join(installed, name)), name).toBe(true);
  });

  it('runs a lifecycle on that project’s own worker, beside its own workflow and its own `ingest`', {
    timeout: 4 * MINUTE,
  }, async () => {
    const { mlflowUri = '', temporalAddress = '' } = platform?.status() ?? {};
    const environment = {
      ...{ ADDRESS: temporalAddress, MLFLOW: mlflowUri, DATA_DIR: dataDir, SOURCES: BANK, SPEC: BANK_SPEC },
      PYTHON: findPython(undefined),
    };
    const worker = startNode([join(project, 'out', 'worker.js')], environment, project);
    started.push(worker);
    // The model server of the package, for the queue of that project's worker.
    const server = startNode([join(project, 'node_modules/.bin/perennial'), '--data-dir', dataDir, 'serve'], {
      ...{ TEMPORAL_ADDRESS: temporalAddress, PERENNIAL_TASK_QUEUE: 'ml' },
      ...{ PERENNIAL_SERVER_ID: 'theirs', PERENNIAL_SERVER_PORT: '0' },
    });
    started.push(server);
    await worker.find(readyUrl);
    const serverUrl = await server.find(readyUrl);

    const client = await startNode([join(project, 'out', 'client.js')], environment, project).ended;
    expect(client).toMatchObject({ code: 0, stderr: '' });
    const answer = JSON.parse(client.stdout) as { own: string; result: LifecycleResult };
    expect(answer).toMatchObject({ own: 'own ingest of rows', stages: 13, parsed: true });
    expect(answer.result).toMatchObject({ outcome: 'deployed', version: '1' });
    expect(answer.result.outputs.ingest?.table.rows).toBe(45_211);
    expect(answer.result.outputs.deploy?.servers).toEqual(['theirs']);
    await aliasFollows(mlflowUri, 'bank-subscription', '1');
    expect(await servedFacts(serverUrl, 'bank-subscription')).toMatchObject({
      versions: ['1'],
      weights: [100],
    });
  });
});
