import type { BacktestModel, BacktestPlan, JudgedWindow } from '../../contracts/backtest-activities.ts';
import type { Verdict } from '../../contracts/monitoring.ts';
import type { RunIdentity } from '../../contracts/run.ts';
import type { GatesOutput, ProtectOutput, SplitOutput, TrainOutput } from '../../contracts/stages.ts';
import type { PolicyQuestion } from '../../domain/backtest/policy-run.ts';
import { evidenceOf, failedGates, judgeGates } from '../../domain/gates.ts';
import * as activities from '../activities.ts';
import { specAsOf } from '../spec-as-of.ts';
import { trainedBySearch } from '../train-stage.ts';

/** A model that was trained as of a moment, and what its gates say of it. */
export interface TrainedModel {
  name: string;
  model: BacktestModel;
  gates: GatesOutput;
  /** In words, what of the gates failed; empty where they passed. */
  failed: string[];
  seconds: number;
  cost: number;
}

/** The models of a back-test. What several policies ask for is made once. */
export class BacktestModels {
  readonly #data: Promise<ProtectOutput>;
  readonly #prepared = new Map<string, ReturnType<BacktestModels['train']>>();
  readonly #trained = new Map<string, Promise<TrainedModel>>();
  readonly #opened = new Map<string, Promise<BacktestModel>>();
  readonly #known = new Map<string, BacktestModel>();
  readonly #observed = new Map<string, Promise<Verdict[]>>();
  readonly #judged = new Map<string, Promise<Map<number, JudgedWindow>>>();

  constructor(
    private readonly plan: BacktestPlan,
    private readonly stretch: { from: string; to: string },
    private readonly run: RunIdentity,
  ) {
    this.#data = this.protectedRows();
    // Whoever asks for the first model is told of a failure.
    this.#data.catch(() => undefined);
  }

  /** A model that was asked for before. */
  get(name: string): BacktestModel {
    const model = this.#known.get(name);
    if (!model) throw new RangeError(`no model of ${name} was trained`);
    return model;
  }

  /**
   * Trains as of a moment, on the rows that a run of that time would have had.
   *
   * @param champion the model that it is judged against; `null`: none
   */
  trained(asOf: string, champion: string | null): Promise<TrainedModel> {
    const key = `${asOf}|${champion ?? ''}`;
    const known = this.#trained.get(key);
    if (known) return known;
    const trained = this.judge(asOf, champion);
    this.#trained.set(key, trained);
    return trained;
  }

  /** What a monitor would have said at the end of a window. */
  observed(question: PolicyQuestion): Promise<Verdict[]> {
    const key = JSON.stringify(question);
    const known = this.#observed.get(key);
    if (known) return known;
    const { window, model, labelled } = question;
    const { spec } = this.plan;
    const observed = activities
      .observeBacktest(window.from.slice(0, 10))({
        spec,
        model: this.get(model),
        window,
        labelled: labelled && { window: labelled.window, model: this.get(labelled.model) },
      })
      .then(({ verdicts }) => verdicts);
    this.#observed.set(key, observed);
    return observed;
  }

  /** How a model did in each window, by the window's index. */
  judged(name: string): Promise<Map<number, JudgedWindow>> {
    const known = this.#judged.get(name);
    if (known) return known;
    const { spec, windows } = this.plan;
    const judged = activities.judgeBacktest({ spec, model: this.get(name), windows }).then(
      (found) =>
        new Map(
          windows.flatMap(({ index }, i) => {
            const one = found.windows[i];
            return one ? [[index, one] as const] : [];
          }),
        ),
    );
    this.#judged.set(name, judged);
    return judged;
  }

  private async protectedRows(): Promise<ProtectOutput> {
    const { spec } = this.plan;
    const cache = { mode: spec.cache.enabled ? 'use' : 'off', ttl: spec.cache.maxAge } as const;
    const ingest = await activities.ingest({ spec, cache });
    const asOf = this.stretch.to;
    const validate = await activities.validate({ spec, ingest, champion: null, asOf, cache });
    return activities.protect({ spec, ingest, validate, cache });
  }

  private async judge(asOf: string, champion: string | null): Promise<TrainedModel> {
    const { spec, split, train, prepared } = await this.training(asOf);
    const { tracking } = this.plan;
    const against = champion === null ? null : this.get(champion).model;
    const evaluate = await activities.evaluate({ spec, split, prepared, train, tracking, champion: against });
    const gates = judgeGates(spec.evaluation.gates, evidenceOf(evaluate));
    const name = asOf;
    const { table } = await this.#data;
    const { from, to } = this.stretch;
    // The same for all champions: it is made ready once, also where two are judged at the same time.
    const opened =
      this.#opened.get(name) ??
      activities.openBacktestModel(asOf.slice(0, 10))({ spec, name, table, split, evaluate, from, to });
    this.#opened.set(name, opened);
    const model = await opened;
    this.#known.set(name, model);
    const { seconds, cost } = train.search.used;
    return { name, model, gates, failed: failedGates(gates.results), seconds, cost };
  }

  /** Without a judgement: the same for all champions. */
  private training(asOf: string): ReturnType<BacktestModels['train']> {
    const known = this.#prepared.get(asOf);
    if (known) return known;
    const trained = this.train(asOf);
    this.#prepared.set(asOf, trained);
    return trained;
  }

  private async train(asOf: string): Promise<{
    spec: BacktestPlan['spec'];
    split: SplitOutput;
    train: TrainOutput;
    prepared: Awaited<ReturnType<typeof activities.prepare>>;
  }> {
    const whole = this.plan.spec;
    const windowed = specAsOf(whole, asOf);
    // All rows are read once; those of the future are in no part.
    const spec = { ...whole, split: windowed.split, training: windowed.training };
    const cache = { mode: spec.cache.enabled ? 'use' : 'off', ttl: spec.cache.maxAge } as const;
    const split = await activities.split({ spec, protect: await this.#data, cache });
    const prepared = await activities.prepare({ spec, split, cache });
    const { workflowId, runId } = this.run;
    const identity = { workflowId: `${workflowId}/${asOf}`, runId };
    const train = await trainedBySearch(spec, split, prepared, this.plan.tracking, identity);
    return { spec, split, train, prepared };
  }
}
