import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBatch, EventFormat, EventLogHead } from '../../contracts/events.ts';
import { eventsSource } from '../../contracts/spec/sources.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { LogSubjects } from '../../lib/erasure/log-subjects.ts';
import { storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import type { Person } from '../../lib/erasure/person.ts';
import { PushedRows } from '../../lib/erasure/pushed-rows.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { acquireEvents } from '../../lib/events/acquire.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { ErasureFixture, personalSpec } from '../support/erasure-fixture.ts';

const NEEDLE = 'needle-4711';

let fixture: ErasureFixture;
let log: Log;
beforeEach(async () => {
  fixture = await ErasureFixture.create();
  log = new Log();
});
afterEach(() => fixture.close());

async function* sent(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** An event log as its workflow keeps it: what it knows is its head alone. */
class Log {
  head: EventLogHead = { manifest: null, format: null, batches: 0, rows: 0 };

  constructor(readonly name = 'calls') {}

  /** As after every start of a worker: nothing is remembered. */
  get manifests(): EventManifests {
    return new EventManifests(fixture.store, fixture.store.documents);
  }

  async push(text: string, format: EventFormat = 'jsonl', batchId?: string) {
    const batch = await storeRows(sent(text), format, {
      store: fixture.store,
      dataDir: fixture.folder,
      batchId,
    });
    return { batch, verdict: await this.append(batch) };
  }

  async append(batch: EventBatch) {
    const { head, verdicts } = await this.manifests.append(this.name, this.head, [batch], new Map());
    this.head = head;
    return verdicts[0];
  }

  batches(): Promise<EventBatch[]> {
    return this.manifests.batches(this.head);
  }

  async rows(): Promise<Record<string, unknown>[]> {
    const scratchDir = fixture.newPath();
    await mkdir(scratchDir);
    const source = eventsSource.parse({ events: this.name });
    const within = fixture.store.within(scratchDir);
    const found = await acquireEvents(
      fixture.database,
      'c',
      source,
      await this.batches(),
      within,
      scratchDir,
    );
    return fixture.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(found.files[0] ?? '')})`);
  }
}

const readBy = (column = 'customer', name = 'shop', privacy: object = {}): Promise<void> => {
  const spec = personalSpec(privacy, name);
  const subject = subjectColumns(spec, [column, 'n'], { state: 'raw', source: 'people' });
  return new LogSubjects(fixture.store.documents).record(spec, log.name, subject);
};

async function erase(person: Person, certificate: string = randomUUID()) {
  const store = new PushedRows(fixture.store);
  const planned = await store.plan(person, fixture.tools);
  const steps = planned.steps.map((step) => ({ store: 'events', step }));
  const plan = await storePlan(fixture.store, { certificate, steps });
  const taken = await takeSteps(fixture.store, [store], { plan, certificate }, fixture.tools);
  return { ...planned, taken };
}

/** Whether any stored artifact holds a text, decrypted. */
async function holds(text: string): Promise<boolean> {
  for (const { sha256 } of await fixture.store.blobs()) {
    const ref = { uri: `cas:${sha256}`, sha256, bytes: 0, mediaType: 'x' };
    const folder = fixture.newPath();
    await mkdir(folder);
    const batches = (await log.batches()).map(({ artifact }) => artifact);
    const known = batches.find((artifact) => artifact.sha256 === sha256);
    const bytes = await fixture.store
      .within(folder)
      .bytes(known ?? ref)
      .catch(() => Buffer.alloc(0));
    if (bytes.includes(text)) return true;
  }
  return false;
}

const line = (customer: string, n: number): string => `${JSON.stringify({ customer, n })}\n`;

describe('a person in pushed rows', () => {
  it('is gone from the stored batches; the log keeps its batches, and takes none of them twice', async () => {
    await readBy();
    const first = line('ann', 1) + line(NEEDLE, 2) + line('bob', 3);
    const alone = line(NEEDLE, 4);
    const other = line('cara', 5);
    for (const text of [first, alone, other]) await log.push(text);
    const before = log.head;
    expect(await holds(NEEDLE)).toBe(true);

    const { found, unsearched, taken } = await erase(fixture.person(NEEDLE));
    expect({ found, unsearched, taken }).toEqual({
      found: [{ store: 'events', kind: 'event log calls', places: 2, rows: 2, pipelines: ['shop'] }],
      unsearched: [],
      taken: true,
    });
    expect(await holds(NEEDLE)).toBe(false);
    expect(log.head).toEqual(before);
    const others = [
      { customer: 'ann', n: 1 },
      { customer: 'bob', n: 3 },
      { customer: 'cara', n: 5 },
    ];
    expect(await log.rows()).toEqual(others);

    // The sender does not know whether they arrived, and sends them again.
    for (const [offset, text] of [first, alone, other].entries())
      expect((await log.push(text)).verdict).toMatchObject({ state: 'duplicate', offset });
    expect(log.head).toEqual(before);
    expect(await holds(NEEDLE)).toBe(false);
    expect(await log.rows()).toEqual(others);
    expect(await erase(fixture.person(NEEDLE))).toMatchObject({ found: [], steps: [] });
  });

  it('does not come back under another id, nor by a reference of before', async () => {
    await readBy();
    const text = line('ann', 1) + line(NEEDLE, 2);
    const { batch } = await log.push(text, 'jsonl', 'monday');
    await erase(fixture.person(NEEDLE));
    expect(await log.append(batch)).toMatchObject({ state: 'duplicate', offset: 0 });
    const again = await log.push(text, 'jsonl', 'tuesday');
    expect(again.batch).toMatchObject({ batchId: 'tuesday', rows: 1 });
    expect(again.verdict).toMatchObject({ state: 'appended', offset: 1, rows: 1 });
    expect((await log.push(text, 'jsonl', 'monday')).verdict).toMatchObject({ state: 'duplicate' });
    expect((await log.push(line('dora', 9), 'jsonl', 'monday')).verdict).toMatchObject({ state: 'refused' });
    expect(await log.rows()).toEqual([
      { customer: 'ann', n: 1 },
      { customer: 'ann', n: 1 },
    ]);
    await log.push(line(NEEDLE, 7), 'jsonl', 'alone');
    await erase(fixture.person(NEEDLE));
    expect(await log.push(line(NEEDLE, 7), 'jsonl', 'alone')).toMatchObject({
      batch: { rows: 0 },
      verdict: { state: 'duplicate' },
    });
    expect((await log.push(line(NEEDLE, 7), 'jsonl', 'another')).verdict).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('no rows'),
    });
    expect(await holds(NEEDLE)).toBe(false);
  });

  it('is taken out of CSV; all other values keep their text', async () => {
    await readBy();
    const rest = 'x,007,"a, ""quoted""\nbreak"\ny,,1.50\n';
    await log.push(
      `customer,n,note\nx,007,"a, ""quoted""\nbreak"\n${NEEDLE},8,"two\nlines"\ny,,1.50\n`,
      'csv',
    );
    await log.push(`customer,n\n${NEEDLE},1\n`, 'csv');
    await log.push('customer,n\nz,2\n', 'csv');
    const { found } = await erase(fixture.person(NEEDLE));
    expect(found).toMatchObject([{ places: 2, rows: 2 }]);
    expect(await holds(NEEDLE)).toBe(false);
    const whole = new Log('whole');
    for (const text of [`customer,n,note\n${rest}`, 'customer,n\nz,2\n']) await whole.push(text, 'csv');
    expect(await log.rows()).toEqual(await whole.rows());
    expect(await log.rows()).toHaveLength(3);
  });

  it('can be the only one of a log, which says so when it is read', async () => {
    await readBy();
    await log.push(line(NEEDLE, 1));
    await erase(fixture.person(NEEDLE));
    await expect(log.rows()).rejects.toMatchObject({ code: 'SourceNotFound' });
    await log.push(line('ann', 2));
    expect(await log.rows()).toEqual([{ customer: 'ann', n: 2 }]);
  });

  it('is found by the normal form of the whole log, and under the name that a source has for people', async () => {
    await readBy('cust', 'shop', { subjectIn: { people: { customer: 'cust' } } });
    await log.push('cust,n\n7,1\n8,2\n', 'csv');
    // All of them together are numbers.
    await log.push('cust,n\n7.0,3\n8.5,4\n', 'csv');
    const { found } = await erase(fixture.person('7'));
    expect(found).toMatchObject([{ places: 2, rows: 2 }]);
    expect((await log.rows()).map(({ n }) => n)).toEqual([2, 4]);
  });

  it('is found in a log that no pipeline has read yet, by the names that other tables have for people', async () => {
    await log.push(line(NEEDLE, 1) + line('ann', 2));
    expect((await erase(fixture.person(NEEDLE))).found).toEqual([]);
    const spec = personalSpec();
    await fixture.catalogue.record(spec, {
      artifact: await fixture.table("SELECT 'ann' AS customer"),
      kind: 'snapshot',
      subject: subjectColumns(spec, ['customer'], { state: 'raw' }),
    });
    expect((await erase(fixture.person(NEEDLE, { pipelines: ['shop'] }))).found).toMatchObject([
      { rows: 1, pipelines: [] },
    ]);
    expect(await holds(NEEDLE)).toBe(false);
  });

  it('is found among rows that begin like comments', async () => {
    await readBy();
    const rows = Array.from(
      { length: 1_000 },
      (_, i) => `${i % 3 === 0 ? '#' : ''}${i},${i === 3 ? NEEDLE : 'ann'}`,
    );
    const { batch } = await log.push(`n,customer\n${rows.join('\n')}\n`, 'csv');
    expect(batch.rows).toBe(1_000);
    expect((await erase(fixture.person(NEEDLE))).found).toMatchObject([{ rows: 1 }]);
    expect(await holds(NEEDLE)).toBe(false);
    expect(await log.rows()).toHaveLength(999);
  });

  it('in a log without a column for people, or one that cannot be read, is reported as not looked for', async () => {
    await log.push('{"n":1}\n');
    await readBy('nothing');
    expect((await erase(fixture.person(NEEDLE))).unsearched).toMatchObject([
      { kind: 'event log calls', places: 1, why: expect.stringContaining('privacy.subjectIn') },
    ]);
    expect((await erase(fixture.person(NEEDLE, { pipelines: ['other'] }))).unsearched).toEqual([]);
    const { batch } = await log.push(line(NEEDLE, 1));
    await readBy();
    const { sha256 } = batch.artifact;
    await fixture.store.remove(sha256, { untouchedSince: Date.now() + 60_000 });
    expect((await erase(fixture.person(NEEDLE))).unsearched).toMatchObject([
      { kind: 'event log calls', why: expect.not.stringContaining(NEEDLE) },
    ]);
  });

  it('leaves a step that is taken a second time as it was', async () => {
    await readBy();
    const { batch } = await log.push(line(NEEDLE, 1) + line('ann', 2));
    const store = new PushedRows(fixture.store);
    const { steps } = await store.plan(fixture.person(NEEDLE), fixture.tools);
    expect(await store.isCurrent(steps[0])).toBe(true);
    // Written down, then killed before the bytes were gone.
    const { artifact } = batch;
    const rest = await fixture.store.putBytes(line('ann', 2), artifact.mediaType, { encrypt: true });
    await fixture.store.erasures.record(artifact.sha256, rest, 'c1');
    await store.erase(steps[0], 'c1', fixture.tools);
    expect(await holds(NEEDLE)).toBe(false);
    expect(await store.isCurrent(steps[0])).toBe(false);
    const after = await fixture.store.blobs();
    await store.erase(steps[0], 'c1', fixture.tools);
    expect((await fixture.store.blobs()).map(({ sha256 }) => sha256)).toEqual(
      after.map(({ sha256 }) => sha256),
    );
  });

  it('leaves all other rows in order, whatever was pushed how often', { timeout: 120_000 }, async () => {
    const batch = fc.array(fc.constantFrom('p', 'q', 'r'), { minLength: 1, maxLength: 5 });
    const format = fc.constantFrom<EventFormat>('jsonl', 'csv');
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 5 }), format, async (pushed, kind) => {
        const own = `${++runs}`;
        log = new Log(`log${runs}`);
        await readBy();
        let n = 0;
        const rows = pushed.map((names) => names.map((name) => ({ customer: `${name}${own}`, n: n++ })));
        const texts = rows.map((some) =>
          kind === 'jsonl'
            ? some.map(({ customer, n: value }) => line(customer, value)).join('')
            : `customer,n\n${some.map((row) => `${row.customer},${row.n}\n`).join('')}`,
        );
        for (const [i, text] of texts.entries()) await log.push(text, kind, `batch${i}`);
        const { head } = log;
        for (const gone of ['p', 'q']) await erase(fixture.person(`${gone}${own}`));
        const left = rows.flat().filter(({ customer }) => customer === `r${own}`);
        expect(await log.rows().catch(() => [])).toEqual(left);
        for (const [i, text] of texts.entries())
          expect((await log.push(text, kind, `batch${i}`)).verdict).toMatchObject({ state: 'duplicate' });
        expect(log.head).toEqual(head);
        expect(await holds(`p${own}`)).toBe(false);
      }),
      { numRuns: 12 },
    );
  });
});
