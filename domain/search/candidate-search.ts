import type { Candidate } from '../../contracts/spec/candidates.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';
import type { Parameters, SearchSpace } from '../../contracts/spec/search.ts';
import type { CandidateState, ProposalQuestion, TrialRecord } from '../../contracts/trials.ts';
import { derivedSeed, seededRandom } from '../random.ts';
import { Rungs, rungIterations } from './rungs.ts';
import { drawn, grid } from './space.ts';

const MAX_GRID = 10_000;
/** Failed trials after which a candidate without any model gets no more. */
const MOST_FAILURES = 3;

/** What a candidate's search is, apart from its trials. */
export interface CandidatePlan {
  candidate: Candidate;
  /** The space in force, without parameters that are fixed; empty where nothing is searched. */
  space: SearchSpace;
  metric: MetricName;
  seed: number;
  /** Trials that are remembered: payloads are bounded, and the estimator learns little from further ones. */
  memory: number;
}

/** The parameters of the next trial, or what the estimator is to be asked for, or nothing more. */
export type NextParameters =
  | { parameters: Parameters }
  | { question: ProposalQuestion }
  | { exhausted: true }
  | { wait: true };

/** What became of a trial. */
export type TrialEnd = Pick<TrialRecord, 'value' | 'iterations' | 'seconds'> & {
  state: 'trained' | 'stopped' | 'failed';
  mlflowRunId?: string | undefined;
  /** In force: defaults of the trainer are told to the estimator too. */
  parameters?: TrialRecord['parameters'];
};

/** The trials of one candidate: which parameters come next, what became of each, and who goes on at a rung. */
export class CandidateSearch {
  readonly #combinations: readonly Parameters[] | undefined;
  readonly #records: TrialRecord[];
  readonly #proposed: Parameters[];
  readonly #counts: CandidateState['counts'];
  readonly #rungs: Rungs;
  #started: number;
  #asking = false;

  constructor(
    readonly plan: CandidatePlan,
    state?: CandidateState,
  ) {
    const { search } = plan.candidate;
    this.#combinations =
      search && search.method === 'grid' ? grid(plan.space, search.points, MAX_GRID) : undefined;
    this.#records = [...(state?.records ?? [])];
    this.#proposed = [...(state?.proposed ?? [])];
    this.#counts = { trained: 0, stopped: 0, failed: 0, ...state?.counts };
    this.#started = state?.started ?? 0;
    const reduction = search && search.method === 'halving' ? search.reduction : 2;
    this.#rungs = new Rungs(reduction, state?.rungs);
  }

  get name(): string {
    return this.plan.candidate.name;
  }

  /** Trials that have begun. */
  get started(): number {
    return this.#started;
  }

  get counts(): Readonly<CandidateState['counts']> {
    return this.#counts;
  }

  get records(): readonly TrialRecord[] {
    return this.#records;
  }

  get state(): CandidateState {
    return {
      started: this.#started,
      counts: this.#counts,
      records: this.#records,
      proposed: this.#proposed,
      rungs: this.#rungs.toJSON(),
    };
  }

  /** The best value so far. */
  get best(): number | null {
    const sign = this.#sign;
    return this.#records.reduce<number | null>(
      (best, { state, value }) =>
        state === 'trained' && value !== null && (best === null || sign * value < sign * best) ? value : best,
      null,
    );
  }

  /** The iterations at which trials are held against each other; empty where they are not. */
  get rungs(): number[] {
    const { search, maxIterations } = this.plan.candidate;
    return search && search.method === 'halving' ? rungIterations(search, maxIterations) : [];
  }

  /**
   * What the next trial is.
   *
   * @param count proposals that are wanted where the estimator has to be asked
   */
  next(count: number): NextParameters {
    const { search } = this.plan.candidate;
    if (!search || Object.keys(this.plan.space).length === 0)
      return this.#started === 0 ? { parameters: {} } : { exhausted: true };
    if (this.#started >= (search.trials ?? Number.POSITIVE_INFINITY)) return { exhausted: true };
    // What fails again and again will go on failing.
    if (this.#counts.failed >= MOST_FAILURES && this.#counts.trained === 0) return { exhausted: true };
    if (this.#combinations) {
      const parameters = this.#combinations[this.#started];
      return parameters ? { parameters } : { exhausted: true };
    }
    // The trainer's defaults were chosen with care: they come first.
    if (this.#started === 0) return { parameters: {} };
    const estimator = search.method === 'tpe' || (search.method === 'halving' && search.sampler === 'tpe');
    const startup = search.method === 'tpe' ? search.startup : 8;
    if (!estimator || this.#started < startup) return { parameters: this.#random() };
    const [proposed] = this.#proposed;
    if (proposed) return { parameters: proposed };
    return this.#asking ? { wait: true } : { question: this.#question(count) };
  }

  /** The estimator is being asked; further questions wait. */
  asked(): void {
    this.#asking = true;
  }

  /** What it answered; where it could not, the next trials are random. */
  answered(proposals: readonly Parameters[], wanted: number): void {
    this.#asking = false;
    this.#proposed.push(...proposals);
    for (let missing = proposals.length; missing < wanted; missing++)
      this.#proposed.push(this.#random(this.#started + missing));
  }

  /**
   * A trial begins with the parameters that {@link next} gave.
   *
   * @param at seconds from the beginning of the search
   * @returns its number
   */
  begin(parameters: Parameters, at: number): number {
    if (this.#proposed[0] === parameters) this.#proposed.shift();
    const number = this.#started++;
    this.#records.push({
      candidate: this.name,
      number,
      at,
      parameters,
      state: 'running',
      value: null,
      iterations: 0,
      seconds: 0,
    });
    return number;
  }

  /** What became of a trial. */
  end(number: number, end: TrialEnd): void {
    this.#counts[end.state]++;
    const record = this.#records.find((one) => one.number === number);
    if (!record) return;
    const { mlflowRunId, parameters = {}, ...rest } = end;
    Object.assign(record, rest, mlflowRunId === undefined ? {} : { mlflowRunId });
    record.parameters = {
      ...Object.fromEntries(Object.entries(parameters).filter(([name]) => name in this.plan.space)),
      ...record.parameters,
    };
    this.#forget();
  }

  /** Whether a trial goes on after a rung. */
  goesOn(number: number, rung: number, loss: number): boolean {
    return this.#rungs.goesOn(rung, number, loss);
  }

  #random(number = this.#started): Parameters {
    return drawn(this.plan.space, seededRandom(derivedSeed(this.plan.seed, this.name, number)));
  }

  #question(count: number): ProposalQuestion {
    return {
      space: this.plan.space,
      direction: this.#sign < 0 ? 'maximize' : 'minimize',
      history: this.#records.map(({ parameters, state, value }) => ({ parameters, state, value })),
      count,
      seed: derivedSeed(this.plan.seed, this.name, this.#started),
    };
  }

  get #sign(): 1 | -1 {
    return lowerIsBetter(this.plan.metric) ? 1 : -1;
  }

  /** Of many trials the worst ones are forgotten: they are counted, and MLflow has them. */
  #forget(): void {
    if (this.#records.length <= this.plan.memory) return;
    const loss = ({ value }: TrialRecord): number =>
      value === null ? Number.POSITIVE_INFINITY : this.#sign * value;
    const worst = this.#records.reduce<number>((at, record, index) => {
      const other = this.#records[at];
      if (record.state === 'running') return at;
      return !other || other.state === 'running' || loss(record) > loss(other) ? index : at;
    }, 0);
    this.#records.splice(worst, 1);
  }
}
