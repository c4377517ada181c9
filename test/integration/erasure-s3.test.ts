import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventLogHead } from '../../contracts/events.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { LogSubjects } from '../../lib/erasure/log-subjects.ts';
import { type PlanSteps, storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { PushedRows } from '../../lib/erasure/pushed-rows.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { readNpy } from '../../lib/npy.ts';
import { unsealBytes } from '../../lib/store/sealed-file.ts';
import { ErasureFixture, personalSpec } from '../support/erasure-fixture.ts';
import { storeOnAMachine, TestBucket } from '../support/stores.ts';

const NEEDLE = 'needle-4711';
const NUMBER = 987_654;
const STAYS = 'needle-cara';
const spec = personalSpec({ columns: {} });
const subject = subjectColumns(spec, ['customer'], { state: 'raw' });

let s3: TestBucket;
let machine: Awaited<ReturnType<typeof storeOnAMachine>>;
beforeAll(async () => {
  s3 = await TestBucket.start('artifacts', { versions: true });
  machine = await storeOnAMachine();
  await machine.store.putJson('makes the keyring', { encrypt: true });
}, 900_000);
afterAll(async () => {
  await machine?.close();
  await s3?.close();
});

const fixtureAt = (prefix: string): Promise<ErasureFixture> =>
  ErasureFixture.create({
    artifactStore: s3.location(prefix),
    keyring: join(machine.dataDir, 'keyring.json'),
  });

/** Every object below a prefix in every version, and every file of the machine, as they are and decoded. */
async function places(
  fixture: ErasureFixture,
  prefix: string,
  text: string,
  number: number,
): Promise<string[]> {
  const found = new Set<string>();
  const look = async (place: string, raw: Buffer): Promise<void> => {
    const copy = fixture.newPath();
    await writeFile(copy, raw);
    const sealed = place.includes('.sealed') && !/\/(touched|doomed)\//.test(place);
    const bytes = sealed ? (await unsealBytes(copy, fixture.store.keyring)).content : raw;
    if (sealed) await writeFile(copy, bytes);
    if (raw.includes(text)) found.add(`${place} as it is`);
    if (bytes.includes(text)) found.add(place);
    if (bytes.subarray(0, 4).toString() === 'PAR1') {
      const rows = await fixture.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(copy)})`);
      if (JSON.stringify(rows).includes(text)) found.add(`${place} (Parquet)`);
    } else if (bytes.subarray(1, 6).toString() === 'NUMPY')
      if ((await readNpy(copy)).data.some((value) => Math.abs(value - number) < 0.5))
        found.add(`${place} (npy)`);
  };
  const files = await readdir(join(fixture.folder, 'cache'), { recursive: true, withFileTypes: true });
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath, file.name);
    await look(`cache ${file.name}`, await readFile(path));
  }
  const { Versions = [], IsTruncated } = await s3.client.send(
    new ListObjectVersionsCommand({ Bucket: s3.bucket, Prefix: `${prefix}/` }),
  );
  expect(IsTruncated ?? false).toBe(false);
  for (const { Key, VersionId } of Versions) {
    const object = await s3.client.send(new GetObjectCommand({ Bucket: s3.bucket, Key, VersionId }));
    const bytes = Buffer.from((await object.Body?.transformToByteArray()) ?? []);
    await look(`object ${Key} ${VersionId}`, bytes);
  }
  return [...found].sort();
}

/** Tables, one of them encrypted, a matrix and pushed rows. */
async function fill(fixture: ErasureFixture): Promise<void> {
  const { store, catalogue } = fixture;
  for (const [i, encrypt] of [true, false].entries()) {
    const artifact = await fixture.table(
      `SELECT unnest(['${NEEDLE}', '${STAYS}', 'dora']) AS customer, ${i} AS n`,
      encrypt,
    );
    await catalogue.record(spec, { artifact, kind: 'train', subject });
    const features = await fixture.npy(Float32Array.of(NUMBER, 123_456, i), [3]);
    await catalogue.record(spec, {
      artifact: features,
      kind: 'features',
      format: 'npy',
      rowsOf: { sha256: artifact.sha256 },
    });
    // So that this machine has copies of its own.
    await fixture.path(artifact);
    await fixture.path(features);
  }
  await new LogSubjects(store.documents).record(spec, 'calls', subject);
  const head: EventLogHead = { manifest: null, format: null, batches: 0, rows: 0 };
  async function* rows(): AsyncGenerator<Uint8Array> {
    for (const customer of [NEEDLE, STAYS]) yield Buffer.from(`${JSON.stringify({ customer })}\n`);
  }
  const batch = await storeRows(rows(), 'jsonl', { store, dataDir: fixture.folder });
  await new EventManifests(store, store.documents).append('calls', head, [batch], new Map());
  await fixture.path(batch.artifact);
}

async function eraseAll(fixture: ErasureFixture, certificate: string) {
  const { store, tools } = fixture;
  const stores = [fixture.artifacts(), new PushedRows(store)];
  const steps: PlanSteps = [];
  const unsearched: unknown[] = [];
  for (const one of stores) {
    const planned = await one.plan(fixture.person(NEEDLE), tools);
    steps.push(...planned.steps.map((step) => ({ store: one.name, step })));
    unsearched.push(...planned.unsearched);
  }
  const plan = await storePlan(store, { certificate, steps });
  expect(await takeSteps(store, stores, { plan, certificate }, tools)).toBe(true);
  await store.replace(plan.sha256, null, { certificate });
  return { steps: steps.length, unsearched };
}

describe('an erasure in a bucket that keeps former versions', () => {
  it('leaves the person in no object, in no version of one, and in no copy on the machine', async () => {
    const fixture = await fixtureAt('gone');
    try {
      await fill(fixture);
      const before = await places(fixture, 'gone', NEEDLE, NUMBER);
      const kinds = (all: string[]) => [
        all.filter((place) => /^object .*\(Parquet\)$/.test(place)).length,
        all.filter((place) => /^object .*\(npy\)$/.test(place)).length,
        all.filter((place) => /^object .*\.sealed [^(]*$/.test(place)).length,
        all.filter((place) => /^cache /.test(place)).length > 0,
      ];
      expect(kinds(before)).toEqual([2, 2, expect.any(Number), true]);
      const others = await places(fixture, 'gone', STAYS, 123_456);
      expect(await eraseAll(fixture, 'c1')).toEqual({ steps: 5, unsearched: [] });
      expect(await places(fixture, 'gone', NEEDLE, NUMBER)).toEqual([]);
      const left = await places(fixture, 'gone', STAYS, 123_456);
      expect(kinds(left).slice(0, 2)).toEqual(kinds(others).slice(0, 2));
    } finally {
      await fixture.close();
    }
  });

  it('says so where the garbage collector deleted what the bucket still keeps', async () => {
    const fixture = await fixtureAt('kept');
    try {
      const artifact = await fixture.table(`SELECT '${NEEDLE}' AS customer`, true);
      await fixture.catalogue.record(spec, { artifact, kind: 'train', subject });
      // S3 tells times to the second; what was touched within two may be wanted again.
      await expect
        .poll(() => fixture.store.remove(artifact.sha256, { untouchedSince: Date.now() }), {
          timeout: 20_000,
        })
        .toBe(true);
      expect(await places(fixture, 'kept', NEEDLE, NUMBER)).not.toEqual([]);
      expect((await eraseAll(fixture, 'c2')).unsearched).toEqual([
        {
          store: 'artifacts',
          kind: 'former versions',
          places: 1,
          pipelines: [],
          why: expect.stringContaining('lifecycle rule'),
        },
      ]);
    } finally {
      await fixture.close();
    }
  });
});
