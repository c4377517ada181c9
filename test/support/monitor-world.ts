import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { Delivery } from '../../contracts/alerts.ts';
import type { MonitorInput, MonitorResult, Verdict, WindowSummary } from '../../contracts/monitoring.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { servedSince } from '../../domain/monitoring/served.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { endedWindows, withLabelled } from '../../domain/monitoring/windows.ts';
import { NO_ALERTS, seenWindow, watched } from './monitoring-samples.ts';
import type { Scenario } from './scenario.ts';
import type { WorkflowBench } from './workflow-bench.ts';

/** Windows that one plan names; the real one names more. */
const AT_ONCE = 20;

/** A verdict of quality beyond its limit. */
export const badQuality = (observed = 0.31): Verdict =>
  verdictOf('quality', 'breached', 500, `brier_score ${observed}, at most 0.2`, {
    of: 'brier_score',
    observed,
    limit: 0.2,
  });

/** A verdict of quality within its limit. */
export const goodQuality = (): Verdict =>
  verdictOf('quality', 'ok', 500, 'brier_score 0.1, at most 0.2', {
    of: 'brier_score',
    observed: 0.1,
    limit: 0.2,
  });

/**
 * An endpoint in memory, which has the scenario's id: the windows of its spec from `since` on, put on record as the real
 * activities do it.
 */
export class MonitorWorld {
  /** Windows on record, the earliest first. */
  readonly trend: WindowSummary[] = [];
  /** Notices that were taken by a channel, in the order in which they were. */
  readonly told: Delivery[] = [];
  /** Windows that MLflow has. */
  readonly logged: number[] = [];
  alerts = NO_ALERTS;
  champion: string | null = '1';
  judgedThrough: string | null = null;
  channels: Delivery['channel'][] = ['log'];
  readonly settings: ReturnType<typeof watched>;
  /** What the activities do when all goes well. */
  readonly usual: Pick<
    MonitoringActivities,
    'observeWindow' | 'recordWindow' | 'settleAlerts' | 'deliverAlert' | 'logWindows'
  >;

  /** @param verdicts what is said of each window, by its index */
  constructor(
    readonly scenario: Scenario,
    monitoring: object = {},
    verdicts: (index: number) => Verdict[] = () => [goodQuality()],
  ) {
    const { id } = scenario;
    this.settings = { ...watched(monitoring), endpoint: id, pipeline: id };
    scenario.let('planMonitoring', async ({ asOf, again }) => this.#plan(asOf, again));
    this.usual = {
      observeWindow: async ({ due: { window, labelled } }) =>
        seenWindow(window, verdicts(window.index), { labelled, version: this.champion }),
      recordWindow: async ({ summary, alerts }) => {
        const { index } = summary.window;
        if (alerts === null) this.trend[index] = summary;
        else if (index === this.trend.length) {
          this.trend.push(summary);
          this.alerts = { ...alerts, silences: this.alerts.silences };
          this.judgedThrough = summary.labelled?.before ?? this.judgedThrough;
        }
        return { recorded: this.trend[index] === summary, next: this.next, index: this.trend.length };
      },
      settleAlerts: async ({ delivered }) => {
        const outbox = this.alerts.outbox.filter(
          ({ notice, channel }) => !delivered.some((one) => one.id === notice.id && one.channel === channel),
        );
        this.alerts = { ...this.alerts, outbox };
      },
      deliverAlert: async (delivery) => {
        this.told.push(delivery);
      },
      logWindows: async () => {
        for (const { window } of this.trend.slice(this.logged.length)) this.logged.push(window.index);
      },
    };
    scenario.let('observeWindow', this.usual.observeWindow);
    scenario.let('recordWindow', this.usual.recordWindow);
    scenario.let('settleAlerts', this.usual.settleAlerts);
    scenario.let('deliverAlert', this.usual.deliverAlert);
    scenario.let('logWindows', this.usual.logWindows);
  }

  get next(): string {
    return this.trend.at(-1)?.window.before ?? this.settings.since;
  }

  #plan(asOf: string, again: { from: string; before: string } | null) {
    const earlier = this.trend.map(({ window }) => window);
    const { window, groundTruthDelay } = this.settings.monitoring;
    if (typeof window !== 'string') throw new Error('windows of this world are of time');
    const due = again
      ? earlier
          .filter((one) => one.before > again.from && one.before <= again.before)
          .map((one) => ({ window: one, labelled: one }))
      : withLabelled(
          endedWindows(window, { next: this.next, index: this.trend.length }, asOf, AT_ONCE + 1),
          { earlier, judgedThrough: this.judgedThrough },
          groundTruthDelay,
        );
    return {
      settings: this.settings,
      due: due.slice(0, AT_ONCE),
      more: due.length > AT_ONCE,
      alerts: this.alerts,
      champion: this.champion,
      served: servedSince(this.trend),
      channels: this.channels,
      replayed: true,
      url: null,
    };
  }

  /** Starts workflow `monitor` of the endpoint. */
  async look(
    { client, taskQueue }: WorkflowBench,
    input: Partial<MonitorInput> = {},
    suffix = '',
  ): Promise<WorkflowHandleWithFirstExecutionRunId<(input: MonitorInput) => Promise<MonitorResult>>> {
    return client.workflow.start<(input: MonitorInput) => Promise<MonitorResult>>(WORKFLOW_TYPES.monitor, {
      workflowId: `${monitorScheduleId(this.scenario.id)}${suffix}`,
      taskQueue,
      args: [{ endpoint: this.scenario.id, ...input }],
    });
  }
}
