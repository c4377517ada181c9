import { log } from '@temporalio/workflow';
import type { GuardVerdict, RolloutState, RolloutStep, rolloutInput } from '../../contracts/rollout.ts';
import type { TrafficReport, TruthReport, VersionTraffic } from '../../contracts/rollout-evidence.ts';
import { DEFAULT_ROW_METRIC } from '../../contracts/spec/rollout.ts';
import { emptyLedger, trafficOf, withReport } from '../../domain/rollout/evidence.ts';
import { judgeTraffic, judgeTruth } from '../../domain/rollout/guards.ts';
import { listModelServers, observeTruth, serverActivities } from '../activities.ts';
import { words } from '../failure-words.ts';

type Input = ReturnType<typeof rolloutInput.parse>;

/** What a look found. */
export interface Sight {
  verdicts: GuardVerdict[];
  /** What the champion did before a blue-green switch. */
  baseline: VersionTraffic | undefined;
  requests: { candidate: number; champion: number | null };
}

/** Looks at what candidate and champion do: on the servers, and in the prediction log. */
export class RolloutWatch {
  /** The window that truth was last read for, and when. */
  #read = { since: '', at: Number.NEGATIVE_INFINITY };
  #reading = false;

  constructor(
    private readonly input: Input,
    private readonly holder: { state: RolloutState },
  ) {}

  /** What the champion did under the routes of before, for a strategy that leaves it no traffic. */
  async baseline(): Promise<void> {
    const reports = await this.#reports();
    const generation = Math.max(0, ...reports.map((report) => report.generation));
    const { champion, startedAt } = this.holder.state;
    if (champion === null) return;
    this.holder.state.baseline = reports.reduce(withReport, emptyLedger(generation, startedAt));
  }

  /** While the candidate warms up the champion has all requests: what it does is the baseline, where that is more. */
  #keepBaseline(): void {
    const { state } = this.holder;
    const { champion, ledger, baseline } = state;
    if (champion === null || !ledger) return;
    const requestsIn = (window: typeof ledger): number => trafficOf(window, champion)?.requests ?? 0;
    if (!baseline || requestsIn(ledger) > requestsIn(baseline)) state.baseline = ledger;
  }

  /** @param step the one that is under way */
  async look(step: RolloutStep): Promise<Sight> {
    this.#lookAtTruth(step);
    await this.#lookAtServers();
    if (step.name === 'warm-up') this.#keepBaseline();
    const { plan, model, task } = this.input;
    const { ledger, baseline, champion, truth } = this.holder.state;
    const at = new Date().toISOString();
    const candidate = model.version;
    const verdicts = [
      ...(ledger
        ? judgeTraffic({ guards: plan.guards, step, candidate, champion, ledger, baseline, at })
        : []),
      ...judgeTruth({ guards: plan.guards, strategy: plan.strategy, task, candidate, champion, truth, at }),
    ];
    const requestsOf = (version: string): number => (ledger && trafficOf(ledger, version)?.requests) ?? 0;
    const alone = step.role === 'challenger' && step.share >= 100;
    return {
      verdicts,
      baseline: this.#baselineTraffic,
      requests: {
        candidate: requestsOf(candidate),
        champion: champion === null || alone ? null : requestsOf(champion),
      },
    };
  }

  get #baselineTraffic(): VersionTraffic | undefined {
    const { baseline, champion } = this.holder.state;
    return baseline && champion !== null ? trafficOf(baseline, champion) : undefined;
  }

  async #lookAtServers(): Promise<void> {
    for (const report of await this.#reports()) {
      const { ledger } = this.holder.state;
      if (!ledger) return;
      // A server that was ahead made the endpoint count higher: the window begins anew.
      const current =
        report.generation > ledger.generation ? emptyLedger(report.generation, ledger.since) : ledger;
      this.holder.state.ledger = withReport(current, report);
    }
  }

  /** A server that does not answer is asked again with the next look. */
  async #reports(): Promise<TrafficReport[]> {
    const { endpoint } = this.input;
    const { servers } = await listModelServers({});
    const answers = await Promise.allSettled(
      servers.map((server) => serverActivities(server.taskQueue).observeTraffic({ endpoint })),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** In the background: neither a guard on traffic nor a person waits for the prediction log. */
  #lookAtTruth({ lookMs }: RolloutStep): void {
    const { quality, business } = this.input.plan.guards;
    const { servedSince: since } = this.holder.state;
    if ((quality === false && business === false) || since === null || this.#reading) return;
    const now = Date.now();
    // It comes slowly, and reading it costs a pass over the prediction log.
    if (this.#read.since === since && now - this.#read.at < lookMs) return;
    this.#read = { since, at: now };
    this.#reading = true;
    this.#truth(since, new Date(now).toISOString())
      .then((truth) => {
        // A window that is over meanwhile says nothing of the one that began.
        if (this.holder.state.servedSince === since) this.holder.state.truth = truth;
      })
      .catch((error: unknown) =>
        log.warn(
          `the truth of ${this.input.endpoint} cannot be read; the next look tries again: ${words(error)}`,
        ),
      )
      .finally(() => {
        this.#reading = false;
      });
  }

  #truth(since: string, until: string): Promise<TruthReport> {
    const { plan, endpoint, task, classNames, positiveClass, model } = this.input;
    const { quality, business } = plan.guards;
    const { champion } = this.holder.state;
    return observeTruth({
      endpoint,
      versions: [model.version, ...(champion === null ? [] : [champion])],
      since,
      until,
      task,
      classNames,
      positiveClass,
      quality: quality === false ? null : (quality.metric ?? DEFAULT_ROW_METRIC[task]),
      business: business === false ? null : business.metric,
    });
  }
}
