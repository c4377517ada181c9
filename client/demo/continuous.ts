import { join } from 'node:path';
import { rowsAnswer } from '../../contracts/data-questions.ts';
import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { LifecycleResult } from '../../contracts/lifecycle.ts';
import { monitorAnswer } from '../../contracts/monitor-questions.ts';
import type { WindowSummary } from '../../contracts/monitoring.ts';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import type { RetrainingDecision, RetrainingRun, RetrainingStatus } from '../../contracts/retraining.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { codeVersion } from '../code-version.ts';
import { type Context, runLink } from '../context.ts';
import { askDataEngine } from '../data-engine.ts';
import { follow } from '../follow.ts';
import { lookNow } from '../monitoring.ts';
import type { Output } from '../output.ts';
import { ownName } from '../person.ts';
import { packageRoot } from '../platform/programs.ts';
import { PipelineRetraining, retrainedPipelines } from '../retraining.ts';
import { liveServers } from '../servers.ts';
import { type LoadedSpec, loadSpec } from '../spec-file.ts';
import { verdictOf, verdictText } from '../verdict.ts';
import { CandidateTraffic } from './candidate-traffic.ts';
import { RecordedCalls } from './recorded-calls.ts';
import { decisionLine, monthLines } from './story-lines.ts';
import type { Teller } from './teller.ts';

/** How the story is told. */
export interface StoryOptions {
  /** Months of production. */
  months: number;
  /** Approves candidates without asking. */
  approve: boolean;
}

/** What happened, for `--json`. */
export interface StoryTold {
  endpoint: string;
  months: WindowSummary[];
  decisions: RetrainingDecision[];
  runs: RetrainingRun[];
}

const SPEC = 'bank/continuous.yaml';
/** The workflow of the retraining hears of the end of its run within a moment. */
const [ENDED_WITHIN_MS, POLL_MS] = [60_000, 250];
/** An alert is on its way for as long. */
const NOTICES_MS = 1_000;

const monthAfter = (moment: string, months: number): string => {
  const date = new Date(moment);
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1)).toISOString();
};

/** A model in production, month after month, in the time of recorded data. */
export class ContinuousStory {
  readonly #context: Context;
  readonly #output: Output;
  readonly #teller: Teller;
  readonly #options: StoryOptions;
  readonly #loaded: LoadedSpec;
  readonly #since: string;
  readonly #seen = new Set<string>();

  private constructor(
    context: Context,
    { output, teller, options }: { output: Output; teller: Teller; options: StoryOptions },
    loaded: LoadedSpec,
  ) {
    this.#context = context;
    this.#output = output;
    this.#teller = teller;
    this.#options = options;
    this.#loaded = loaded;
    const { since } = loaded.spec.monitoring ?? {};
    if (since === undefined)
      throw new PerennialError('SpecInvalid', `${SPEC}: monitoring.since is missing: where the story begins`);
    this.#since = new Date(since).toISOString();
  }

  /** Of a data directory in which it was told before, it is told again under another name. */
  static async open(
    context: Context,
    surroundings: { output: Output; teller: Teller; options: StoryOptions },
  ): Promise<ContinuousStory> {
    const { input, spec } = await loadSpec(join(packageRoot(), 'examples', SPEC));
    const taken = new Set(await retrainedPipelines(context.perennial.temporal));
    let name = spec.name;
    for (let again = 2; taken.has(name); again++) name = `${spec.name}-${again}`;
    const named = {
      input: { ...input, name },
      spec: { ...spec, name, deployment: { ...spec.deployment, endpoint: name } },
    };
    return new ContinuousStory(context, surroundings, named);
  }

  get endpoint(): string {
    return this.#spec.deployment.endpoint;
  }

  get #spec(): PipelineSpec {
    return this.#loaded.spec;
  }

  get #retraining(): PipelineRetraining {
    return new PipelineRetraining(this.#context.perennial.temporal, this.#spec.name);
  }

  /** Trains the first version and has it deployed. @returns `undefined` where the person left */
  async firstVersion(): Promise<LifecycleResult | undefined> {
    const { workflowId } = await this.#context.perennial.start(this.#loaded.input, {
      code: await codeVersion(packageRoot()),
      startedBy: 'perennial demo continuous',
      author: ownName(undefined),
    });
    return this.#followed(workflowId);
  }

  /** Lets the months pass. @returns `undefined` where the person left */
  async months(): Promise<StoryTold | undefined> {
    const { temporal } = this.#context.perennial;
    const [server] = await liveServers(temporal);
    if (!server) throw new PerennialError('ServerUnavailable', 'no model server is live');
    const delay = durationMs(this.#spec.monitoring?.groundTruthDelay ?? '14d');
    const { rows } = await askDataEngine(
      'rows',
      // After a retraining at the end there is one month more.
      { spec: this.#spec, from: this.#since, before: monthAfter(this.#since, this.#options.months + 1) },
      rowsAnswer,
    );
    const calls = new RecordedCalls({ url: server.url, endpoint: this.endpoint }, rows, delay);
    const windows: WindowSummary[] = [];
    let last = this.#options.months;
    for (let i = 0; i < last && monthAfter(this.#since, i) <= (calls.lastAt ?? ''); i++) {
      windows.push(await this.#month(calls, monthAfter(this.#since, i + 1)));
      const after = await this.#afterLook(calls);
      if (after === 'left') return undefined;
      if (after === 'exhausted') break;
      // One month more, to see what it brought.
      if (after === 'retrained' && i === this.#options.months - 1) last++;
    }
    await calls.tellBefore(new Date(Date.parse(calls.lastAt ?? this.#since) + 2 * delay).toISOString());
    const { decisions, state } = await this.#retraining.status();
    return { endpoint: this.endpoint, months: windows, decisions, runs: state.runs };
  }

  /** Where to look at what happened. */
  async links(): Promise<Record<string, string>> {
    const { perennial, dataDir, mlflowUri } = this.#context;
    const { endpoints } = await askDataEngine('monitor', this.#latest, monitorAnswer, dataDir);
    const tracking = endpoints[0]?.state?.tracking?.url ?? mlflowUri;
    const retraining = runLink(this.#context, retrainingWorkflowId(this.#spec.name));
    const [server] = await liveServers(perennial.temporal);
    return {
      ...(retraining ? { Decisions: retraining } : {}),
      ...(tracking ? { 'Windows in MLflow': tracking } : {}),
      ...(server ? { 'Model server': `${server.url}/v2/models/${this.endpoint}` } : {}),
    };
  }

  get #latest() {
    return { ask: 'show', endpoint: this.endpoint, windows: 1, report: null } as const;
  }

  async #month(calls: RecordedCalls, end: string): Promise<WindowSummary> {
    const { temporal, taskQueue } = this.#context.perennial;
    return this.#teller.held(async () => {
      await calls.sendBefore(end);
      const truths = await calls.tellBefore(end);
      await lookNow(temporal, taskQueue, { endpoint: this.endpoint, asOf: end });
      const { dataDir } = this.#context;
      const { endpoints } = await askDataEngine('monitor', this.#latest, monitorAnswer, dataDir);
      const window = endpoints[0]?.state?.latest;
      if (!window || window.window.before !== end)
        throw new PerennialError('StageFailed', `the window before ${end} was not looked at`);
      const { monitoring } = this.#spec;
      const metric = monitoring?.quality[0]?.metric ?? 'brier_score';
      const driftLimit = monitoring?.drift ? monitoring.drift.psi : 0.2;
      this.#output.line(['', ...monthLines(window, { metric, driftLimit, truths })].join('\n'));
      await new Promise((resolve) => setTimeout(resolve, NOTICES_MS));
      return window;
    });
  }

  /** What was decided about a retraining, and the retraining. */
  async #afterLook(calls: RecordedCalls): Promise<'quiet' | 'retrained' | 'left' | 'exhausted'> {
    const { state } = await this.#tellDecisions();
    const running = state.runs.find(({ endedAt }) => endedAt === null);
    if (!running) return 'quiet';
    const { perennial } = this.#context;
    const over = new AbortController();
    const flowing = new CandidateTraffic(perennial, this.endpoint, calls, this.#teller).flow(over.signal);
    const ended = await this.#teller
      .during(() => {
        // A run that fails is told by the decision that follows.
        const run = this.#followed(running.workflowId).catch(() => null);
        return Promise.race([run, flowing]);
      })
      .finally(() => over.abort());
    await flowing;
    if (ended === undefined) return 'left';
    if (ended === 'exhausted') {
      this.#teller.line('  No recorded calls are left; the roll-out waits for more of them.');
      return 'exhausted';
    }
    await this.#ended(running.workflowId);
    const gates = this.#output.interactive ? undefined : await verdictOf(perennial, running.workflowId);
    if (gates) this.#teller.line(verdictText(gates).replaceAll(/^/gm, '    '));
    const { state: after } = await this.#tellDecisions();
    const run = after.runs.find(({ workflowId }) => workflowId === running.workflowId);
    return run?.outcome === 'deployed' ? 'retrained' : 'quiet';
  }

  async #ended(workflowId: string): Promise<void> {
    const deadline = Date.now() + ENDED_WITHIN_MS;
    while (Date.now() < deadline) {
      const { state } = await this.#retraining.status();
      if (state.runs.some((run) => run.workflowId === workflowId && run.endedAt !== null)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Those that were not told yet. */
  async #tellDecisions(): Promise<RetrainingStatus> {
    const status = await this.#retraining.status();
    const fresh = status.decisions.filter((one) => {
      const key = JSON.stringify(one);
      const isNew = !this.#seen.has(key);
      this.#seen.add(key);
      return isNew;
    });
    this.#teller.line(...fresh.map(decisionLine));
    return status;
  }

  #followed(workflowId: string): Promise<LifecycleResult | undefined> {
    return follow(
      this.#context,
      workflowId,
      this.#output,
      this.#options.approve ? { approveAs: 'perennial demo' } : {},
    );
  }
}
