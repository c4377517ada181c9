import { type LookedUp, OnlineStoreError } from '../../lib/feature-store/online-store.ts';
import type { RequestBatch } from '../input/request-batch.ts';
import { RequestError } from '../request-error.ts';
import type { FeatureService } from './feature-service.ts';
import { FROM, type Sources } from './row-sources.ts';
import type { AskedRows, ViewInputs } from './view-inputs.ts';

/** What became of one view in one request. */
export interface ViewAnswer {
  /** As the spec has it. */
  readonly view: string;
  readonly sources: Sources;
  /** Up to which moment the store knew events, milliseconds of Unix time; `undefined` where it was not asked. */
  readonly until: number | undefined;
}

/** Where the looked-up inputs of a request came from. */
export interface RowFeatures {
  readonly views: readonly ViewAnswer[];
  /** Whether the store could not be asked, and defaults stand in. */
  readonly defaulted: boolean;
}

/** The answer to a view, and the values for the rows with a key: NaN where there is none; `undefined`: the defaults. */
interface Answer extends ViewAnswer {
  readonly asked: AskedRows;
  readonly values: Float64Array | undefined;
}

/**
 * The features of one request, as of its moment. A view is looked up once for all rows, also where several versions
 * read them.
 */
export class RequestFeatures {
  readonly #answers = new Map<string, Answer>();

  /** @param at the request's moment, milliseconds of Unix time */
  constructor(
    private readonly service: FeatureService,
    private readonly endpoint: string,
    private readonly at: number,
  ) {}

  /**
   * Looks up what the rows do not have, and writes it into the batch: at once where the store answers at once.
   *
   * @param batch as it was read; not filled before
   * @param deadline milliseconds of `performance.now()`; half of what is left is the store's, the rest the model's
   * @throws RequestError 503 where the store cannot be asked, and the view says `refuse`
   */
  fill(
    views: readonly ViewInputs[],
    batch: RequestBatch,
    deadline: number,
  ): RowFeatures | Promise<RowFeatures> {
    const answers = this.#answersTo(views, batch, deadline);
    const filled = (all: readonly Answer[]): RowFeatures => {
      for (const [place, answer] of all.entries()) fillIn(views[place], batch, answer);
      return { views: all, defaulted: all.some(({ asked, values }) => asked.wanted > 0 && !values) };
    };
    const settled: Answer[] = [];
    for (const answer of answers) if (!(answer instanceof Promise)) settled.push(answer);
    return settled.length === answers.length ? filled(settled) : Promise.all(answers).then(filled);
  }

  #answersTo(
    views: readonly ViewInputs[],
    batch: RequestBatch,
    deadline: number,
  ): (Answer | Promise<Answer>)[] {
    const answers: (Answer | Promise<Answer>)[] = [];
    try {
      for (const view of views) answers.push(this.#answer(view, view.asked(batch), deadline));
      return answers;
    } catch (error) {
      // Of a refused request nobody waits for the others; they may be refused later, too.
      for (const answer of answers) if (answer instanceof Promise) answer.catch(() => undefined);
      throw error;
    }
  }

  #answer(inputs: ViewInputs, asked: AskedRows, deadline: number): Answer | Promise<Answer> {
    const known = this.#answers.get(inputs.identity);
    if (known && isAlike(known.asked, asked)) return known;
    const { view } = inputs;
    const { reader } = this.service;
    if (asked.wanted === 0) return this.#settled(inputs, asked, undefined);
    if (!reader) return this.#unavailable(inputs, asked, 'this server has no online store');
    const keys =
      asked.wanted === asked.keys.length ? asked.keys : asked.keys.filter((key) => key !== undefined);
    const started = performance.now();
    try {
      const found = reader.lookUp(view, keys, this.at);
      if (!(found instanceof Promise)) return this.#found(inputs, asked, found, started);
      return within(found, Math.max(0, (deadline - started) / 2)).then(
        (late) => this.#found(inputs, asked, late, started),
        (error: unknown) => this.#unavailable(inputs, asked, problemOf(error)),
      );
    } catch (error) {
      if (error instanceof RequestError) throw error;
      return this.#unavailable(inputs, asked, problemOf(error));
    }
  }

  #found(inputs: ViewInputs, asked: AskedRows, found: LookedUp, started: number): Answer {
    const { name, columns, ttlMs } = inputs.view;
    if (found.values.length !== asked.wanted * columns.length)
      return this.#unavailable(inputs, asked, 'the online store gave another number of values');
    const age = this.at - found.until;
    const series = this.service.metrics.of(this.endpoint, name);
    series.lookedUp((performance.now() - started) / 1000, age / 1000);
    if (ttlMs !== null && age > ttlMs)
      return this.#unavailable(inputs, asked, 'the values of the online store are older than they may be');
    this.service.told(this.endpoint, name, undefined);
    return this.#settled(inputs, asked, found);
  }

  #settled({ view: { name }, identity }: ViewInputs, asked: AskedRows, found: LookedUp | undefined): Answer {
    this.service.metrics.of(this.endpoint, name).add(asked.sources);
    const { sources } = asked;
    const values = found?.values ?? new Float64Array(0);
    const answer = { view: name, sources, until: found?.until, asked, values };
    this.#answers.set(identity, answer);
    return answer;
  }

  /** @throws RequestError 503 where the view says `refuse` */
  #unavailable(
    { view: { name, unavailable }, identity }: ViewInputs,
    asked: AskedRows,
    problem: string,
  ): Answer {
    this.service.told(this.endpoint, name, problem);
    const source = unavailable === 'default' ? FROM.default : FROM.refused;
    const sources = asked.sources.map((from) => (from === FROM.looked_up ? source : from));
    this.service.metrics.of(this.endpoint, name).add(sources);
    if (unavailable === 'refuse')
      throw new RequestError(
        503,
        `the features of the view "${name}" cannot be looked up: ${problem}; try again later, or send its inputs with the rows`,
        undefined,
        'features',
      );
    const answer = { view: name, sources, until: undefined, asked, values: undefined };
    this.#answers.set(identity, answer);
    return answer;
  }
}

function fillIn(inputs: ViewInputs | undefined, batch: RequestBatch, { asked, values }: Answer): void {
  if (asked.wanted === 0) return;
  if (values) inputs?.fill(batch, asked, values);
  else inputs?.fillDefaults(batch, asked);
}

/** Whether two versions ask for the same rows under the same keys. */
function isAlike(one: AskedRows, other: AskedRows): boolean {
  if (one.wanted !== other.wanted || one.keys.length !== other.keys.length) return false;
  return one.keys.every((key, row) => key === other.keys[row] && one.sources[row] === other.sources[row]);
}

/** What the store says of itself names neither keys nor values; of other errors that is not known. */
function problemOf(error: unknown): string {
  if (error instanceof OnlineStoreError) return error.message;
  return error instanceof Error ? `the look-up failed with ${error.name}` : 'the look-up failed';
}

/** What is promised, within a time. What comes later is passed over. */
function within<T>(promised: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new OnlineStoreError('the online store does not answer in time'));
    const timer = setTimeout(late, milliseconds);
    promised.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
