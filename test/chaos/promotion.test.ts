import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../contracts/audit.ts';
import type { RolloutResult } from '../../contracts/rollout.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { AuditLog } from '../../lib/audit/audit-log.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { registryFacts, servedFacts } from '../support/e2e-facts.ts';
import { hangingModel } from '../support/faulty-models.ts';

const MINUTE = 60_000;
let chaos: ChaosPlatform;
let model: ServedModel;
/** Every step that a promotion and a rollback go through, as one was seen to. */
let promotion: string[];
let rollback: string[];

beforeAll(async () => {
  chaos = await ChaosPlatform.create('promotion');
  model = await hangingModel(await openStore({ dataDir: chaos.dataDir }), '1', 0, 1);
}, 4 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

type Victim = 'worker' | 'server' | 'temporal' | 'mlflow';
const VICTIMS: Victim[] = ['worker', 'server', 'temporal', 'mlflow'];

describe.sequential('whichever process is killed between any two steps', () => {
  it('the steps are those of the story', { timeout: MINUTE }, async () => {
    await ready('recorded');
    chaos.gate.record('recorded');
    await promoted('recorded', '2');
    await settled('recorded', '2');
    promotion = chaos.gate.steps('recorded');
    chaos.gate.record('recorded');
    await chaos.perennial.rollback('recorded', { requestedBy: 'ada', reason: 'a test' });
    await settled('recorded', '1');
    rollback = chaos.gate.steps('recorded');
    for (const step of [
      'rollout askEndpoint',
      'endpoint listModelServers',
      'endpoint applyRoutes',
      'endpoint setChampion',
      'endpoint recordAudit',
      'rollout recordAudit',
      'rollout tagVersion',
    ])
      expect(promotion).toEqual(expect.arrayContaining([`${step} before`, `${step} after`]));
    for (const step of ['applyRoutes', 'setChampion', 'tagVersion', 'recordAudit'])
      expect(rollback).toEqual(expect.arrayContaining([`endpoint ${step} before`, `endpoint ${step} after`]));
  });

  it.each(VICTIMS)(
    'the %s, in a promotion: alias, routes, servers and audit log agree',
    {
      timeout: 4 * MINUTE,
    },
    async (victim) => {
      const steps = new Map(promotion.map((step, i) => [`${victim}-forward-${i}`, step]));
      await Promise.all([...steps.keys()].map(ready));
      await interrupted(victim, steps, (name) => promoted(name, '2'));
      for (const name of steps.keys()) await expectAgreement(name, steps.get(name) ?? '', '2');
    },
  );

  it.each(VICTIMS)(
    'the %s, in a rollback: alias, routes, servers and audit log agree',
    {
      timeout: 4 * MINUTE,
    },
    async (victim) => {
      const steps = new Map(rollback.map((step, i) => [`${victim}-back-${i}`, step]));
      await Promise.all(
        [...steps.keys()].map(async (name) => {
          await ready(name);
          await promoted(name, '2');
          await settled(name, '2');
        }),
      );
      await interrupted(victim, steps, (name) =>
        chaos.perennial.rollback(name, { requestedBy: 'ada', reason: 'a test', from: '2' }),
      );
      for (const name of steps.keys()) await expectAgreement(name, steps.get(name) ?? '', '1');
    },
  );
});

/** Begins the work of every endpoint, kills the victim when each of them stands at its step, and waits for all. */
async function interrupted(
  victim: Victim,
  steps: ReadonlyMap<string, string>,
  begin: (name: string) => Promise<unknown>,
): Promise<void> {
  chaos.gate.hold(steps);
  const works = [...steps.keys()].map((name) => again(() => begin(name)));
  await chaos.gate.held(steps.keys());
  if (victim === 'worker') {
    await chaos.kill(victim);
    chaos.gate.open();
    await chaos.startWorker();
  } else if (victim === 'server') {
    await chaos.kill(victim);
    // One that takes longer than its lease is another story: the change is taken back.
    await chaos.startServer();
    chaos.gate.open();
  } else {
    const back = chaos.killPart(victim);
    chaos.gate.open();
    await back;
  }
  await Promise.all(works);
}

/** A client whose connection broke asks again, as people do. */
async function again<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const broken = /unavailable|connection|ECONN|deadline|RST_STREAM/i.test(String(error));
      if (!broken || attempt === 60) throw error;
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}

/** An endpoint of its own, whose first version serves. */
async function ready(name: string): Promise<void> {
  await promoted(name, '1');
  await settled(name, '1');
}

/** Rolls a version out without steps; asked again, it is the same roll-out. */
async function promoted(name: string, version: string): Promise<RolloutResult> {
  return (await chaos.rollout(name, { ...model, version }, {})).result();
}

/** Waits until the registry knows what serves. */
async function settled(name: string, version: string): Promise<void> {
  await expect
    .poll(() => chaos.perennial.endpoint(name), { timeout: 2 * MINUTE, interval: 250 })
    .toMatchObject({ alias: version, aliasUncertain: false, notes: [], audit: { waiting: [] } });
}

async function expectAgreement(name: string, step: string, version: string): Promise<void> {
  const where = `${name}, held at ${step}`;
  await settled(name, version);
  const endpoint = await chaos.perennial.endpoint(name);
  expect(endpoint, where).toMatchObject({ current: { version }, slot: null, queue: [] });
  await expect
    .poll(() => servedFacts(chaos.serverUrl, name), { timeout: MINUTE })
    .toEqual({ versions: [version], weights: [100], generation: endpoint.table.generation });
  expect(await registryFacts(chaos.mlflowUri, name), where).toMatchObject({ aliases: { champion: version } });
  const { records, broken } = await AuditLog.in(chaos.dataDir).read({
    endpoint: name,
    run: null,
    since: null,
    limit: 100,
  });
  expect(broken, where).toEqual([]);
  const done = (action: AuditRecord['action']): (string | null)[] =>
    records
      .filter((entry) => entry.action === action && entry.outcome === 'done')
      .map((entry) => entry.version);
  expect(done('endpoint.promoted'), where).toEqual(['1', '2']);
  expect(done('rollout.ended'), where).toEqual(['1', '2']);
  expect(done('endpoint.rolled-back'), where).toEqual(version === '1' ? ['1'] : []);
  expect(
    endpoint.changes.map(({ kind, to, outcome }) => `${kind} ${to} ${outcome}`),
    where,
  ).toEqual(['promote 1 done', 'promote 2 done', ...(version === '1' ? ['rollback 1 done'] : [])]);
}
