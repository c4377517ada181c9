import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuardName } from '../../contracts/spec/rollout.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { servedFacts } from '../support/e2e-facts.ts';
import { FAULT_ABOVE, hangingModel, hungryModel, nanModel } from '../support/faulty-models.ts';

const MINUTE = 60_000;
/** What the candidate adds to the champion's answer. */
const CANDIDATE = 0.5;
/** Requests that are under way at any time. */
const CLIENTS = 12;
/** Of ten requests so many hit the candidate's fault. */
const FAULTY = 3;

let chaos: ChaosPlatform;
let store: ArtifactStore;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('canary');
  store = await openStore({ dataDir: chaos.dataDir });
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

const slowModel = (of: ArtifactStore, version: string, add: number) => hangingModel(of, version, add, 60_000);

describe.sequential('under load, a canary that', () => {
  it.each<{ fault: string; make: typeof nanModel; guards: GuardName[] }>([
    { fault: 'crashes', make: hungryModel, guards: ['errorRate'] },
    { fault: 'hangs', make: hangingModel, guards: ['errorRate'] },
    { fault: 'answers-nan', make: nanModel, guards: ['invalidOutputs'] },
    { fault: 'is-slow', make: slowModel, guards: ['latency', 'errorRate'] },
  ])(
    '$fault is rolled back, and no request of the endpoint is harmed',
    { timeout: 4 * MINUTE },
    async ({ fault, make, guards }) => {
      // The champion's loop takes one turn: it is as fast for all.
      await (await chaos.rollout(fault, await hangingModel(store, '1', 0, 1), {})).result();
      const load = new Load(fault);
      try {
        await load.answered(200);
        const rollout = await chaos.rollout(fault, await make(store, '2', CANDIDATE), {
          strategy: 'canary',
          steps: [{ share: 20, hold: '1h', minRequests: 100 }],
          // Failures are slow too, and what is left of the answers is another sample.
          guards: { predictions: false, ...(guards.includes('latency') ? {} : { latency: false }) },
        });
        const result = await rollout.result();
        expect(result.outcome).toBe('rolled_back');
        const breached = result.verdicts
          .filter(({ state }) => state === 'breached')
          .map(({ guard }) => guard);
        expect(guards).toContain(breached[0]);
        expect(result.reason).toMatch(
          new RegExp(`^guard (${guards.join('|')}) is breached in canary at 20 %, window`),
        );
        const until = load.count + 200;
        await load.answered(until);
        expect(await servedFacts(chaos.serverUrl, fault)).toMatchObject({ versions: ['1'], weights: [100] });
        expect(await chaos.perennial.endpoint(fault)).toMatchObject({
          current: { version: '1' },
          slot: null,
        });
      } finally {
        await load.stop();
      }
      expect(load.harmed).toEqual([]);
    },
  );
});

/** Clients that ask without a pause, each for one row, and look at every answer. */
class Load {
  count = 0;
  /** What was wrong with answers; nothing may be. */
  readonly harmed: string[] = [];
  #going = true;
  readonly #clients: Promise<void>[];

  constructor(private readonly endpoint: string) {
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#client(i));
  }

  async answered(count: number): Promise<void> {
    while (this.count < count) await sleep(50);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#clients);
  }

  async #client(client: number): Promise<void> {
    for (let i = 0; this.#going; i++) {
      const x = i % 10 < FAULTY ? FAULT_ABOVE + 1 + client : client;
      const response = await fetch(`${chaos.serverUrl}/v2/models/${this.endpoint}/infer`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [x] }] }),
      });
      const text = await response.text();
      const value: unknown = response.ok ? JSON.parse(text).outputs[0].data[0] : undefined;
      this.count += 1;
      if (value !== x && value !== x + CANDIDATE)
        this.harmed.push(`${response.status} for ${x}: ${text.slice(0, 200)}`);
      await sleep(5);
    }
  }
}
