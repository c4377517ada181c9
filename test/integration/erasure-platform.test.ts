import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { erasureText } from '../../client/commands/erase.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import { type ArtifactRef, artifactRef } from '../../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { certificateKey } from '../../lib/erasure/certificates.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { httpCache } from '../../lib/sources/options.ts';
import { PSEUDONYM_KEY } from '../support/erasure-fixture.ts';
import { NO_CACHE, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { sightings, type Traces } from '../support/sightings.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where source files may lie; outside of the data directory. */
const FOLDER = join(ROOT, '.perennial', `erasure-test-${process.pid}`);
const RUN = { workflowId: 'clients-1', runId: '00000000-0000-0000-0000-000000000001' };

const PERSON = { id: 'cust-needle-4711', email: 'nadia.needle@example.com', name: 'Nadia Nadelmann' };
const KEY = { key: PSEUDONYM_KEY, version: 'v1' };
const TRACES: Traces = {
  texts: [...Object.values(PERSON), pseudonymOf(PERSON.id, undefined, KEY)],
  number: 987_654.321,
};
/** Rows of the person: one for each part, and one that is quarantined. */
const NEEDLES = { 100: '2024-02-01', 400: '2024-08-01', 700: '2024-11-01', 50: '2024-01-20' } as const;

function people(): string {
  const random = linearCongruential(4_000, 7);
  const lines = ['customer,email,name,at,age,amount,label'];
  for (let i = 0; i < 900; i++) {
    const [age = 0, amount = 0, noise = 0] = random.slice(i * 4, i * 4 + 3);
    const day = new Date(Date.UTC(2024, 0, 1) + (i * 365 * 86_400_000) / 900).toISOString().slice(0, 10);
    const label = age + noise * 0.3 > 0.6 ? 'yes' : 'no';
    lines.push(
      `c${String(i % 300).padStart(5, '0')},p${i % 300}@example.org,Person ${i % 300},${day},${18 + Math.floor(age * 60)},${(amount * 1000).toFixed(2)},${label}`,
    );
    const at = Object.entries(NEEDLES).find(([row]) => Number(row) === i)?.[1];
    if (at)
      lines.push(`${PERSON.id},${PERSON.email},${PERSON.name},${at},${i === 50 ? 999 : 41},987654.321,yes`);
  }
  return `${lines.join('\n')}\n`;
}

const spec = (): PipelineSpec =>
  pipelineSpec.parse({
    name: 'clients',
    task: 'binary',
    data: { sources: { people: join(FOLDER, 'people.csv') } },
    columns: { target: 'label', entity: ['customer'], timestamp: 'at', ignored: ['name', 'email'] },
    privacy: {
      subject: 'customer',
      columns: {
        customer: 'pseudonym',
        email: { kind: 'email', action: 'mask' },
        name: { kind: 'person_name', action: 'drop' },
      },
      pseudonymKey: '${env:PERENNIAL_SECRET_PSEUDONYM_KEY}',
      detection: { verified: 'warn', likely: 'off' },
    },
    expectations: [{ expect: 'range', column: 'age', max: 120, rows: 'quarantine' }],
    split: { method: 'time', train: { before: '2024-07-01' }, validation: { before: '2024-10-01' } },
    candidates: [{ trainer: 'lightgbm', maxIterations: 20 }],
    evaluation: { gates: [] },
    deployment: { precheck: { rows: 1_000 } },
  });

let platform: TestPlatform;
let perennial: PerennialClient;

beforeAll(async () => {
  process.env.PERENNIAL_SECRET_PSEUDONYM_KEY = PSEUDONYM_KEY;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, 'people.csv'), people());
  platform = await TestPlatform.start();
  perennial = new PerennialClient(platform.client, platform.config.taskQueue);
  await platform.takeLease();
}, 120_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_PSEUDONYM_KEY;
  await platform?.close();
  await rm(FOLDER, { recursive: true, force: true });
}, 60_000);

/** Tells the process that the command starts, as the command does. */
async function storeRequest(request: object): Promise<ArtifactRef> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'workers/main.ts'), 'person'], {
    cwd: ROOT,
    env: { ...process.env, PERENNIAL_DATA_DIR: platform.config.dataDir },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(request));
  const text = Buffer.concat(await child.stdout.toArray()).toString('utf8');
  if (child.exitCode === null) await once(child, 'exit');
  return artifactRef.parse(JSON.parse(text).request);
}

describe('a person who went through a whole lifecycle', () => {
  it('is found everywhere before the erasure, and nowhere after it', async () => {
    const run = await runLifecycle(platform, spec(), { commit: null, dirty: false }, RUN.workflowId);
    await platform.run('recordArtifacts', {
      tracking: run.tracking,
      artifacts: [
        { path: 'validation/report.json', artifact: run.validate.report },
        { path: 'validation/report.html', artifact: run.validate.page },
      ],
    });
    const before = await sightings(platform, TRACES);
    expect(before.filter((place) => place.endsWith('(Parquet)')).length).toBeGreaterThanOrEqual(6);
    expect(before.filter((place) => place.endsWith('(npy)')).length).toBeGreaterThanOrEqual(2);
    const store = await platform.deps.store();
    // As float32 it is 987654.3125.
    const inSamples = JSON.stringify(await store.json(run.evaluate.samples)).includes('987654.3125');
    expect(inSamples).toBe(true);
    expect(before.filter((place) => place.startsWith('mlflow/') && place.includes('input_example'))).toEqual(
      [],
    );
    expect(before.filter((place) => place.startsWith('history of'))).toEqual([]);

    const dry = await perennial.erase({ request: await storeRequest({ entity: PERSON.id }), dryRun: true });
    expect(await sightings(platform, TRACES)).toEqual(before);
    const remembered = httpCache(platform.config);
    await mkdir(join(remembered, 'an-address'), { recursive: true });
    await writeFile(join(remembered, 'an-address', 'body'), people());
    const request = await storeRequest({ entity: PERSON.id });
    const result = await perennial.erase({ request, by: 'dpo', reason: 'request 1' });
    expect(dry).toEqual({ ...result, certificate: null });
    expect(result.unsearched).toEqual([]);
    expect(result.complete).toBe(true);
    const rows = Object.fromEntries(result.found.map(({ kind, rows: count }) => [kind, count]));
    expect(rows).toMatchObject({
      validated: 3,
      quarantine: 1,
      protected: 3,
      train: 1,
      validation: 1,
      test: 1,
    });
    const { version } = run.register;
    expect(result.models).toEqual([
      {
        name: 'clients',
        version,
        pipeline: 'clients',
        parts: ['train', 'validation'],
        aliases: expect.arrayContaining(['champion']),
      },
    ]);
    expect(erasureText(result)).toContain('champion');
    expect(existsSync(remembered)).toBe(false);

    expect(await sightings(platform, TRACES)).toEqual([]);
    const tags = (await platform.deps.mlflow().modelVersions.get({ name: 'clients', version })).tags;
    expect(tags['perennial.erasure']).toBe(result.certificate);
    const certificate = await store.documents.read(certificateKey(result.certificate ?? ''));
    expect(certificate?.value).toMatchObject({ by: 'dpo', complete: true });
  }, 300_000);

  it('does not come back with the next run from the same source', async () => {
    const ingest = await platform.run('ingest', { spec: spec(), cache: NO_CACHE });
    expect(ingest.sources[0]?.suppressed).toBe(4);
    expect(ingest.table.rows).toBe(900);
    expect(await sightings(platform, TRACES)).toEqual([]);
  });

  it('is not found a second time', async () => {
    const again = await perennial.erase({ request: await storeRequest({ entity: PERSON.id }) });
    expect(again).toMatchObject({ complete: true, found: [], models: [] });
  });

  it('leaves other artifacts alone, whatever the workflow is told to erase', async () => {
    const store = await platform.deps.store();
    const model = await store.putJson({ not: 'a request' }, { encrypt: true });
    await expect(perennial.erase({ request: model })).rejects.toThrow();
    expect(await store.json(model)).toEqual({ not: 'a request' });
  });
});
