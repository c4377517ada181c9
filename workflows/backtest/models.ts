import type { BacktestPlan, BacktestQuestion, NamedModel } from '../../contracts/backtest-activities.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { RunIdentity } from '../../contracts/run.ts';
import type { ProtectOutput, SplitOutput, TrainOutput } from '../../contracts/stages.ts';
import { evidenceOf, failedGates, judgeGates } from '../../domain/gates.ts';
import { clipped } from '../../domain/monitoring/verdict.ts';
import * as activities from '../activities.ts';
import { specAsOf } from '../lifecycle/spec-as-of.ts';
import { trainedBySearch } from '../lifecycle/train-stage.ts';

/** Of what the gates say: so many of them, and so long. */
const MOST_GATES = 10;
const LONGEST_WORDS = 200;
/** Judgements that go over into the next run of the workflow, the latest. */
const MOST_CARRIED = 100;

/** A model that was trained as of a moment, and what its gates say of it. */
export interface TrainedModel {
  model: NamedModel;
  passed: boolean;
  /** In words, what of the gates failed. */
  failed: string[];
  seconds: number;
  cost: number;
}

/** What another run of the workflow goes on with. */
export interface CarriedModels {
  data: ProtectOutput;
  first: TrainedModel;
  /** By moment and champion. */
  judged: [asOf: string, champion: string, model: TrainedModel][];
}

/** The parts that a model was trained on, and the candidates. */
interface Training {
  spec: BacktestPlan['spec'];
  split: SplitOutput;
  train: TrainOutput;
  prepared: Awaited<ReturnType<typeof activities.prepare>>;
}

/** The models of a back-test. What several policies ask for is made once. */
export class BacktestModels {
  #data: Promise<ProtectOutput> | undefined;
  #first: Promise<TrainedModel> | undefined;
  readonly #trainings = new Map<string, Promise<Training>>();
  readonly #judged = new Map<string, { asOf: string; champion: string; model: Promise<TrainedModel> }>();
  readonly #opened = new Map<string, Promise<NamedModel>>();
  readonly #observed = new Map<string, Promise<ArtifactRef>>();

  constructor(
    private readonly plan: BacktestPlan,
    private readonly stretch: { from: string; to: string },
    private readonly run: RunIdentity,
    carried?: CarriedModels,
  ) {
    if (!carried) return;
    this.#data = Promise.resolve(carried.data);
    this.#first = Promise.resolve(carried.first);
    for (const [asOf, champion, model] of carried.judged)
      this.#judged.set(keyOf(asOf, champion), { asOf, champion, model: Promise.resolve(model) });
  }

  /** All rows, protected: read once, those of the future are in no part. */
  data(): Promise<ProtectOutput> {
    this.#data ??= this.protectedRows();
    return this.#data;
  }

  /** The model that is there at the beginning; there is none that it could be judged against. */
  first(): Promise<TrainedModel> {
    this.#first ??= this.judge(this.stretch.from, null);
    return this.#first;
  }

  /** Trains as of a moment, on the rows that a run of that time would have had. @param champion it is judged against */
  trained(asOf: string, champion: NamedModel): Promise<TrainedModel> {
    const key = keyOf(asOf, champion.name);
    const known = this.#judged.get(key);
    if (known) return known.model;
    const model = this.judge(asOf, champion);
    this.#judged.set(key, { asOf, champion: champion.name, model });
    return model;
  }

  /** What a monitor would have said at the end of a window. */
  observed(question: BacktestQuestion): Promise<ArtifactRef> {
    const key = JSON.stringify(question);
    const known = this.#observed.get(key);
    if (known) return known;
    const observed = activities
      .observeBacktest(question.window.from.slice(0, 10))({ settings: this.plan.settings, question })
      .then(({ verdicts }) => verdicts);
    this.#observed.set(key, observed);
    return observed;
  }

  /** @param from nothing will be asked of an earlier moment; milliseconds since 1970 */
  async carriedOver(from: number): Promise<CarriedModels> {
    const judged: CarriedModels['judged'] = [];
    for (const { asOf, champion, model } of this.#judged.values()) {
      if (Date.parse(asOf) < from) continue;
      // One that broke is tried again by the next who asks.
      const found = await model.catch(() => null);
      if (found) judged.push([asOf, champion, found]);
    }
    const latest = judged.sort(([a], [b]) => Date.parse(a) - Date.parse(b)).slice(-MOST_CARRIED);
    return { data: await this.data(), first: await this.first(), judged: latest };
  }

  private async protectedRows(): Promise<ProtectOutput> {
    const { spec } = this.plan;
    const cache = { mode: spec.cache.enabled ? 'use' : 'off', ttl: spec.cache.maxAge } as const;
    const ingest = await activities.ingest({ spec, cache });
    const asOf = this.stretch.to;
    const validate = await activities.validate({ spec, ingest, champion: null, asOf, cache });
    return activities.protect({ spec, ingest, validate, cache });
  }

  private async judge(asOf: string, champion: NamedModel | null): Promise<TrainedModel> {
    const { spec, split, train, prepared } = await this.training(asOf);
    const { settings } = this.plan;
    const against = champion && (await activities.loadBacktestModel(champion)).model;
    // Of many models, several at a time: the run of the back-test is of none of them.
    const judged = { spec, split, prepared, train, tracking: null, champion: against };
    const evaluate = await activities.evaluate(judged);
    const gates = judgeGates(spec.evaluation.gates, evidenceOf(evaluate));
    const { table } = await this.data();
    // The same for all champions: it is made ready once, also where two are judged at the same time.
    const opened =
      this.#opened.get(asOf) ??
      activities.openBacktestModel(asOf.slice(0, 10))({
        settings,
        name: asOf,
        table,
        split,
        evaluate: { winner: evaluate.winner, signature: evaluate.signature },
        to: this.stretch.to,
      });
    this.#opened.set(asOf, opened);
    const failed = failedGates(gates.results).map((one) => clipped(one, LONGEST_WORDS));
    const { seconds, cost } = train.search.used;
    return {
      model: await opened,
      passed: gates.passed,
      failed: failed.slice(0, MOST_GATES),
      seconds,
      cost,
    };
  }

  /** Without a judgement: the same for all champions. */
  private training(asOf: string): Promise<Training> {
    const known = this.#trainings.get(asOf);
    if (known) return known;
    const trained = this.train(asOf);
    this.#trainings.set(asOf, trained);
    return trained;
  }

  private async train(asOf: string): Promise<Training> {
    const whole = this.plan.spec;
    const windowed = specAsOf(whole, asOf);
    const spec = { ...whole, split: windowed.split, training: windowed.training };
    const cache = { mode: spec.cache.enabled ? 'use' : 'off', ttl: spec.cache.maxAge } as const;
    const split = await activities.split({ spec, protect: await this.data(), cache });
    const prepared = await activities.prepare({ spec, split, cache });
    const { workflowId, runId } = this.run;
    const identity = { workflowId: `${workflowId}/${asOf}`, runId };
    const train = await trainedBySearch(spec, split, prepared, this.plan.tracking, identity);
    return { spec, split, train, prepared };
  }
}

const keyOf = (asOf: string, champion: string): string => `${asOf}|${champion}`;
