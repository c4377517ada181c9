import { explainerFile } from '../../contracts/explanation.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { sampleSet } from '../../contracts/samples.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { Aside } from '../../lib/processes/aside.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import type { ModelStore } from '../loaded-model.ts';
import { RequestError } from '../request-error.ts';
import { type ExplainedModel, type Explanations, explainAnswer } from './explain-question.ts';

/** Bounds of the explaining processes. */
export interface ExplainerLimits {
  /** Requests for one version that are under way or wait, default 8. */
  readonly waiting?: number | undefined;
  /** Milliseconds for one request, the first with its process's start included; default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Versions that are explained at a time, each by a process; default 4. */
  readonly versions?: number | undefined;
  /** Milliseconds after which a process without work ends, default five minutes. */
  readonly idleMs?: number | undefined;
}

const DEFAULTS = { waiting: 8, timeoutMs: 30_000, versions: 4, idleMs: 5 * 60_000 };
/** Whoever waits for a prediction comes first. */
const NICENESS = 10;

/** The process of one version, and who waits for it. */
interface Desk {
  readonly aside: Aside;
  last: Promise<unknown>;
  waiting: number;
}

/**
 * Explains rows, each version in a process of its own: computing holds its thread for milliseconds to seconds, which
 * no prediction may wait for. A process starts with the first question and ends some minutes after the last; one
 * that does not answer in time is killed.
 *
 * @example
 * const explainers = new Explainers(store);
 * const { explanations } = await explainers.explain(model.served, batch);
 * explainers.close();
 */
export class Explainers {
  /** By the digests of what a process holds; the least recently asked first. */
  readonly #desks = new Map<string, Desk>();
  readonly #limits: typeof DEFAULTS;

  constructor(
    private readonly store: ModelStore,
    limits: ExplainerLimits = {},
  ) {
    this.#limits = {
      waiting: limits.waiting ?? DEFAULTS.waiting,
      timeoutMs: limits.timeoutMs ?? DEFAULTS.timeoutMs,
      versions: limits.versions ?? DEFAULTS.versions,
      idleMs: limits.idleMs ?? DEFAULTS.idleMs,
    };
  }

  /** Requests under way or waiting. */
  get waiting(): number {
    return [...this.#desks.values()].reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /**
   * For each row and each numeric output, what the columns contributed.
   *
   * @param timeoutMs what the client gives, where it is less than the limit
   * @param arrived from when on the time counts (`performance.now`)
   * @throws RequestError 404 where the version has nothing to explain it by, 503 where too many wait or the time is
   *   over; PerennialError `ArtifactMissing`, `ArtifactErased`, `ModelInvalid`
   */
  async explain(
    model: ServedModel,
    batch: ColumnBatch,
    timeoutMs = Infinity,
    arrived = performance.now(),
  ): Promise<Explanations> {
    const desk = this.#desk(model);
    if (desk.waiting >= this.#limits.waiting)
      throw new RequestError(
        503,
        'too many explanations of this version wait; try again later',
        undefined,
        'queue',
      );
    const limit = Math.min(timeoutMs, this.#limits.timeoutMs);
    const left = arrived + limit - performance.now();
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(left)));
    desk.waiting += 1;
    const answer = desk.last.then(() => this.#ask(desk.aside, model, batch, signal));
    desk.last = answer.catch(() => undefined).finally(() => (desk.waiting -= 1));
    try {
      return await Promise.race([answer, aborted(signal)]);
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new RequestError(
        503,
        `the explanation takes longer than ${limit} ms; ask for fewer rows, or try again later`,
        undefined,
        'deadline',
      );
    }
  }

  /** Ends the processes. */
  close(): void {
    for (const { aside } of this.#desks.values()) aside.close();
    this.#desks.clear();
  }

  #desk(model: ServedModel): Desk {
    const { onnx } = model;
    const explanation = explanationOf(model);
    const key = [onnx, explanation.samples, explanation.explainer].map((ref) => ref?.sha256).join();
    const known = this.#desks.get(key);
    const desk = known ?? { aside: this.#aside(), last: Promise.resolve(), waiting: 0 };
    this.#desks.delete(key);
    if (!known) this.#makeRoom();
    this.#desks.set(key, desk);
    return desk;
  }

  #makeRoom(): void {
    if (this.#desks.size < this.#limits.versions) return;
    for (const [key, { aside, waiting }] of this.#desks) {
      if (waiting > 0) continue;
      aside.close();
      this.#desks.delete(key);
      return;
    }
    throw new RequestError(
      503,
      'explanations of too many other versions are under way; try again later',
      undefined,
      'queue',
    );
  }

  #aside(): Aside {
    const script = (): ReturnType<typeof ownScript> => ownScript(import.meta.url, './explain-process.ts');
    return new Aside(script, 'explains answers', { idleMs: this.#limits.idleMs, niceness: NICENESS });
  }

  async #ask(
    aside: Aside,
    model: ServedModel,
    { rows, columns }: ColumnBatch,
    signal: AbortSignal,
  ): Promise<Explanations> {
    // Views of one buffer would travel with all of it.
    const own = new Map([...columns].map(([name, column]) => [name, column.slice()]));
    const question = { rows, columns: own };
    const first = explainAnswer.parse(await aside.ask(question, signal));
    if (!('needs' in first)) return first;
    const second = explainAnswer.parse(
      await aside.ask({ ...question, model: await this.#explained(model) }, signal),
    );
    if ('needs' in second) throw new Error('the explaining process forgot its model');
    return second;
  }

  async #explained(model: ServedModel): Promise<ExplainedModel> {
    const { version, onnx, signature } = model;
    const explanation = explanationOf(model);
    const { rows } = sampleSet.parse(await this.#json(explanation.samples));
    if (rows.length === 0)
      throw new RequestError(
        404,
        `the rows that explain version ${version} were erased; train a new version`,
      );
    return {
      onnx: new Uint8Array(await this.store.bytes(onnx)),
      sha256: onnx.sha256,
      signature,
      rows,
      ...(explanation.explainer && {
        file: explainerFile.parse(await this.#json(explanation.explainer)),
      }),
    };
  }

  async #json(ref: ArtifactRef): Promise<unknown> {
    return JSON.parse((await this.store.bytes(ref)).toString('utf8'));
  }
}

/**
 * What a version is explained by.
 *
 * @throws RequestError 404 where it came without
 */
export function explanationOf({ version, explanation }: ServedModel): ModelExplanation {
  if (explanation) return explanation;
  throw new RequestError(
    404,
    `version ${version} was put into service without what explains it; a version that a pipeline run registers has it`,
  );
}

type ModelExplanation = NonNullable<ServedModel['explanation']>;

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
