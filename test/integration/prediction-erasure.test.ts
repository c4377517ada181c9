import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { Person, type PersonRequest } from '../../lib/erasure/person.ts';
import type { SearchTools } from '../../lib/erasure/personal-store.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { PredictedRows } from '../../lib/predictions/predicted-rows.ts';
import { removeExpiredPredictions } from '../../lib/predictions/retention.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import { personalSpec, secrets } from '../support/erasure-fixture.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { ServingWithLog } from '../support/serving-with-log.ts';
import { TestBucket } from '../support/stores.ts';

let fixture: PredictionLogFixture;
let tools: SearchTools;
beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
  tools = await fixture.searchTools();
});
afterEach(() => fixture.close());

const person = (entity: string, others: Partial<PersonRequest> = {}): Person =>
  Person.of({ entity, column: null, pipelines: null, ...others }, secrets);

async function erase(who: Person, on = fixture) {
  const store = new PredictedRows(on.store, on.config);
  const planned = await store.plan(who, tools);
  const certificate = randomUUID();
  const steps = planned.steps.map((step) => ({ store: 'predictions', step }));
  const plan = await storePlan(on.store, { certificate, steps });
  await takeSteps(on.store, [store], { plan, certificate }, tools);
  // Once more, as after a kill: nothing more happens.
  for (const step of planned.steps) await store.erase(step, certificate, tools);
  return planned;
}

const ids = async (view: string, on = fixture): Promise<unknown[]> =>
  (await on.rows(`SELECT DISTINCT request_id AS id FROM ${view} ORDER BY 1`)).map(({ id }) => id);

describe('a person in the prediction log', () => {
  it('is found by the entity, in what is archived and in what a server is writing; the truth goes as well', async () => {
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('ann-1', 3, 'ann');
    await serving.ask('bob-1', 2, 'bob');
    await serving.log.close();
    await fixture.roll();
    const live = await ServingWithLog.create(fixture, { writeMs: 5 }, { generation: 2 });
    await live.ask('ann-2', 1, ' ann ');
    await live.ask('bob-2', 1, 'bob');
    const key = await live.log.entityKey();
    await live.log.recordTruths([
      truthOf('churn', { requestId: 'ann-1', row: 1, label: 'x' }, key),
      truthOf('churn', { entity: 'ann', at: '2026-11-22', value: 1 }, key),
      truthOf('churn', { requestId: 'bob-1', label: 'y' }, key),
    ]);
    const { found, unsearched } = await erase(person('ann'));
    expect(unsearched).toEqual([]);
    expect(found.map(({ kind, places, rows }) => ({ kind, places, rows }))).toEqual([
      { kind: 'predictions of endpoint churn', places: 2, rows: 4 },
      { kind: 'truth of endpoint churn', places: 1, rows: 2 },
    ]);
    expect(await ids('predictions')).toEqual(['bob-1', 'bob-2']);
    expect(await ids('truth')).toEqual(['bob-1']);
    expect((await erase(person('ann'))).steps).toEqual([]);
    // The server goes on.
    await live.ask('bob-3', 1, 'bob');
    await live.log.flush();
    expect(await ids('predictions')).toEqual(['bob-1', 'bob-2', 'bob-3']);
  });

  it('is found by the inputs that are called like columns that identify people', async () => {
    const spec = personalSpec({ subject: 'city', columns: { city: 'keep' } });
    const subject = subjectColumns(spec, ['city'], { state: 'raw' });
    const artifact = await fixture.store.putJson({ a: 1 });
    await new RowCatalogue(fixture.store.documents).record(spec, { artifact, kind: 'snapshot', subject });
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('r-1', 2);
    await serving.log.flush();
    expect((await erase(person('Bonn'))).steps).toEqual([]);
    expect((await erase(person('Ulm', { pipelines: ['other'] }))).steps).toEqual([]);
    const { found } = await erase(person(' Ulm '));
    expect(found).toMatchObject([{ rows: 2, pipelines: ['shop'] }]);
    expect(await ids('predictions')).toEqual([]);
  });

  it('takes no truth of other people along, whose requests or rows bear the same id', async () => {
    const spec = personalSpec({ subject: 'city', columns: { city: 'keep' } });
    const artifact = await fixture.store.putJson({ a: 1 });
    const subject = subjectColumns(spec, ['city'], { state: 'raw' });
    await new RowCatalogue(fixture.store.documents).record(spec, { artifact, kind: 'snapshot', subject });
    const serving = await ServingWithLog.create(fixture);
    const tell = (label: string, row?: number) =>
      serving.log.recordTruths([truthOf('churn', { requestId: '1', row, label }, undefined)]);
    await tell('of nobody that is known: it can be about this id alone');
    await serving.ask('1', 1, 'ann');
    await tell('of ann', 0);
    await tell('of ann');
    await serving.ask('1', 1, 'bob');
    await tell('of bob');
    await tell('of bob', 0);
    await serving.ask('1', ['Bonn', 'Jena'], 'carl');
    await tell('of Bonn', 0);
    await tell('of Jena', 1);
    const labels = async () =>
      (await fixture.rows('SELECT DISTINCT label FROM truth ORDER BY 1')).map(({ label }) => label);
    await erase(person('ann'));
    expect(await labels()).toEqual(['of Bonn', 'of Jena', 'of bob']);
    await erase(person('Bonn'));
    expect(await labels()).toEqual(['of Jena', 'of bob']);
    expect(await fixture.rows('SELECT row, truth_label AS label FROM labelled ORDER BY row')).toEqual([
      { row: 0, label: 'of bob' },
      { row: 1, label: 'of Jena' },
    ]);
  });

  it('of another pipeline than was asked for stays', async () => {
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('ann-1', 1, 'ann');
    await serving.log.flush();
    expect((await erase(person('ann', { pipelines: ['other'] }))).steps).toEqual([]);
    expect((await erase(person('ann', { pipelines: ['churn'] }))).steps).toHaveLength(1);
  });

  it('does not come back with a segment that was archived before and not deleted', async () => {
    const { copyFile } = await import('node:fs/promises');
    const { segmentFiles } = await import('../../lib/predictions/segments.ts');
    const { segmentsFolder } = await import('../../lib/predictions/settings.ts');
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('ann-1', 1, 'ann');
    await serving.log.close();
    const [segment] = await segmentFiles(segmentsFolder(fixture.config));
    const path = segment?.path ?? '';
    const copy = join(fixture.config.dataDir, 'copy');
    await copyFile(path, copy);
    await erase(person('ann'));
    await copyFile(copy, path);
    expect(await ids('predictions')).toEqual([]);
    await fixture.roll();
    expect(await ids('predictions')).toEqual([]);
  });
});

describe('predictions that are kept long enough', () => {
  it('are deleted by whole days', async () => {
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('r-1');
    await serving.log.close();
    await fixture.roll();
    const days = (n: number): number => Date.now() + n * 86_400_000;
    expect(await removeExpiredPredictions(fixture.config, days(89))).toBe(0);
    const forever = { ...fixture.config, predictions: { keepMs: null } };
    expect(await removeExpiredPredictions(forever, days(4_000))).toBe(0);
    expect(await removeExpiredPredictions(fixture.config, days(92))).toBe(1);
    expect(await ids('predictions')).toEqual([]);
  });
});

describe('an archive in a bucket', () => {
  let s3: TestBucket;
  beforeAll(async () => {
    s3 = await TestBucket.start();
  }, 900_000);
  afterAll(() => s3?.close());

  it('holds the logs of several machines; a person goes from it', async () => {
    const archive = s3.location(`predictions-${randomUUID()}`);
    const keyring = join(fixture.config.dataDir, 'keyring.json');
    await fixture.store.keyring.current();
    const machine = async (name: string) =>
      PredictionLogFixture.create({
        dataDir: join(fixture.config.dataDir, name),
        keyring,
        artifactStore: { kind: 'file', root: join(fixture.config.dataDir, 'shared') },
        predictions: { archive },
      });
    const one = await machine('one');
    const other = await machine('other');
    for (const [on, id] of [
      [one, 'one-1'],
      [other, 'other-1'],
    ] as const) {
      const serving = await ServingWithLog.create(on);
      await serving.ask(id, 1, 'ann');
      await serving.ask(`${id}-bob`, 1, 'bob');
      await serving.log.close();
      await on.roll();
    }
    expect(await ids('predictions', one)).toEqual(['one-1', 'one-1-bob', 'other-1', 'other-1-bob']);
    await erase(person('ann'), other);
    expect(await ids('predictions', one)).toEqual(['one-1-bob', 'other-1-bob']);
  });
});
