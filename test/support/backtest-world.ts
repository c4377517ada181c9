import { createHash } from 'node:crypto';
import { advancedPolicy, type JsonStore, stepsOf } from '../../activities/backtest/advance.ts';
import { type BacktestStep, type PolicyOutcome, policyOutcome } from '../../contracts/backtest.ts';
import type { BacktestQuestion, WatchedSpec } from '../../contracts/backtest-activities.ts';
import { backtestSettings, policyPlace } from '../../contracts/backtest-artifacts.ts';
import type { ObservedWindow, Verdict } from '../../contracts/monitoring.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { outcomeOf, ranked } from '../../domain/backtest/outcome.ts';
import { tracking } from './samples.ts';
import { Scenario } from './scenario.ts';

/** Artifacts in memory. */
export class MemoryStore implements JsonStore {
  readonly #texts = new Map<string, string>();

  json = async ({ sha256 }: ArtifactRef): Promise<unknown> => {
    const text = this.#texts.get(sha256);
    if (text === undefined) throw new RangeError(`no artifact ${sha256}`);
    return JSON.parse(text);
  };

  putJson = async (value: unknown): Promise<ArtifactRef> => {
    const text = JSON.stringify(value);
    const sha256 = createHash('sha256').update(text).digest('hex');
    this.#texts.set(sha256, text);
    return { uri: `cas:${sha256}`, sha256, bytes: text.length, mediaType: 'application/json' };
  };
}

/** What a made-up past is like. */
export interface BacktestPast {
  spec: WatchedSpec;
  windows: ObservedWindow[];
  /** For each policy, the windows in which its schedule starts a run. */
  scheduled: number[][];
  delayWindows: number;
  verdicts(question: BacktestQuestion): Verdict[];
  judged(step: BacktestStep): Pick<BacktestStep, 'rows' | 'quality' | 'bad'>;
}

/** Activities of a back-test over a made-up past; what they decide by is the real thing. */
export class BacktestWorld {
  readonly store = new MemoryStore();
  readonly outcomes: PolicyOutcome[] = [];

  constructor(
    { spec, windows, scheduled, delayWindows, verdicts, judged }: BacktestPast,
    readonly scenario = new Scenario(),
  ) {
    const { store } = this;
    scenario.let('planBacktest', async ({ request }) => {
      const policies = request.policies.map((policy, i) => ({ policy, scheduled: scheduled[i] ?? [] }));
      const settings = await store.putJson({ spec, windows, policies, delayWindows });
      return { spec, settings, windows: windows.length, tracking };
    });
    scenario.let('openBacktestModel', async ({ name }) => ({ name, model: await store.putJson({ name }) }));
    scenario.let('observeBacktest', async ({ question }) => ({
      verdicts: await store.putJson(verdicts(question)),
    }));
    scenario.let('advanceBacktest', (input) => advancedPolicy(store, input));
    scenario.let('judgeBacktest', async ({ settings, policy, place }) => {
      const { policies } = backtestSettings.parse(await store.json(settings));
      const own = policyPlace.parse(await store.json(place));
      const steps = (await stepsOf(store, own)).map((step) => ({ ...step, ...judged(step) }));
      const name = policies[policy]?.policy.name ?? '';
      return { outcome: await store.putJson(outcomeOf(name, steps, own.state.runs, delayWindows)) };
    });
    scenario.let('closeBacktest', async ({ outcomes }) => {
      for (const outcome of outcomes) this.outcomes.push(policyOutcome.parse(await store.json(outcome)));
      const found = ranked(this.outcomes, spec.evaluation.metric);
      const report = await store.putJson(found);
      const policies = found.policies.map(({ steps, runs, ...rest }) => ({
        ...rest,
        windows: steps.length,
        retrainings: runs.length,
      }));
      return { policies, advice: found.advice, report, page: report };
    });
  }

  /** A policy as it came out. */
  outcome(name: string): PolicyOutcome {
    const found = this.outcomes.find(({ policy }) => policy === name);
    if (!found) throw new Error(`no outcome of ${name}`);
    return found;
  }
}
