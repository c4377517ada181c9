import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/common';
import {
  ChildWorkflowCancellationType,
  isCancellation,
  log,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import type { AlertEvent, AlertState, Delivery } from '../../contracts/alerts.ts';
import {
  COULD_NOT_LOOK,
  type MonitorSettings,
  type ServerCounters,
  type Verdict,
  type WindowSummary,
} from '../../contracts/monitoring.ts';
import type { DueWindow, MonitoringPlan, ServedSince } from '../../contracts/monitoring-activities.ts';
import { alertDeliveryWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { noticeOf } from '../../domain/monitoring/alert-notice.ts';
import { nextAlerts } from '../../domain/monitoring/alerts.ts';
import { nextWords } from '../../domain/monitoring/next-words.ts';
import { servedAfter } from '../../domain/monitoring/served.ts';
import { triggersOf } from '../../domain/monitoring/triggers.ts';
import * as activities from '../activities.ts';
import { words } from '../failure-words.ts';

/** Ends the alert of windows that could not be looked at. */
const LOOKED: Verdict = {
  check: 'operations',
  of: COULD_NOT_LOOK,
  slice: null,
  state: 'ok',
  observed: null,
  limit: null,
  interval: null,
  rows: 0,
  words: 'windows can be looked at again',
};

const isLooked = ({ verdicts }: WindowSummary): boolean => !verdicts.some(({ of }) => of === COULD_NOT_LOOK);

/** What was seen of a window, and what is told. */
export interface Looked {
  summary: WindowSummary;
  events: AlertEvent[];
}

/** The watching of one endpoint, window after window. */
export class EndpointWatch {
  #alerts: AlertState;
  #served: ServedSince | null;

  /** @param acts whether alerts are told and retrainings asked for; not where windows are looked at again */
  constructor(
    private readonly plan: MonitoringPlan,
    private readonly settings: MonitorSettings,
    private readonly acts: boolean,
  ) {
    this.#alerts = plan.alerts;
    this.#served = plan.served;
  }

  /**
   * @param isLatest whether no window comes after it: what servers count belongs to it
   * @returns `null` where another look was faster: what this one saw is not told, and it is to be planned anew
   */
  async look(due: DueWindow, isLatest: boolean): Promise<Looked | null> {
    const { settings } = this;
    const summary = await activities.observeWindow({
      settings,
      due,
      champion: this.plan.champion,
      counters: isLatest && this.acts ? await countersOf(settings.endpoint) : null,
      again: !this.acts,
    });
    if (!this.acts) {
      await activities.recordWindow({ settings, summary, alerts: null });
      return { summary, events: [] };
    }
    this.#served = servedAfter(this.#served, summary);
    const { open, events } = nextAlerts(
      settings.monitoring.alerts,
      this.#alerts.open,
      this.#alerts.silences,
      [...summary.verdicts, ...(isLooked(summary) ? [LOOKED] : [])],
      summary.window,
      this.plan.replayed ? summary.window.before : new Date().toISOString(),
    );
    const next = await this.#askRetraining(summary, open);
    this.#alerts = {
      ...this.#alerts,
      open,
      outbox: [...this.#alerts.outbox, ...this.#notices(summary, events, next)],
    };
    // First on record, then told: whatever is killed in between is told by the next look.
    const { recorded } = await activities.recordWindow({ settings, summary, alerts: this.#alerts });
    if (!recorded) return null;
    await this.tellAll();
    return { summary, events };
  }

  /** Has told what is decided and not told yet, each alert by a workflow of its own. */
  async tellAll(): Promise<void> {
    const { outbox } = this.#alerts;
    if (outbox.length === 0) return;
    for (const delivery of outbox) await startDelivery(delivery);
    const delivered = outbox.map(({ notice: { id }, channel }) => ({ id, channel }));
    await activities.settleAlerts({ endpoint: this.settings.endpoint, delivered });
    this.#alerts = { ...this.#alerts, outbox: [] };
  }

  /** Brings MLflow up to date. Where it is out, the next look does. */
  async log(): Promise<void> {
    try {
      await activities.logWindows({ settings: this.settings });
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn(`MLflow has no reports of the latest windows; the next look tries again: ${words(error)}`);
    }
  }

  #notices(summary: WindowSummary, events: AlertEvent[], next: string): Delivery[] {
    if (events.length === 0) return [];
    const { endpoint, pipeline } = this.settings;
    const notice = noticeOf({
      endpoint,
      pipeline,
      version: summary.version,
      window: summary.window,
      events,
      next,
      url: this.plan.url,
      plot: summary.plot,
    });
    return this.plan.channels.map((channel) => ({ channel, notice }));
  }

  /** @returns what will be done, in words */
  async #askRetraining(
    { window, labelled, version }: WindowSummary,
    open: AlertState['open'],
  ): Promise<string> {
    const { champion } = this.plan;
    const since = champion === this.#served?.version ? this.#served.since : window.before;
    const triggers = triggersOf(open, {
      window,
      labelled,
      version,
      championSince: this.#served?.since ?? null,
    });
    const question = {
      pipeline: this.settings.pipeline,
      tick: { asOf: window.before, champion: champion === null ? null : { version: champion, since } },
      triggers,
    };
    // Whatever is wrong there, what was seen here is put on record and told.
    const answer = await activities.askRetraining(question).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      log.warn(`whether to retrain could not be asked; the next look asks again: ${words(error)}`);
      return null;
    });
    if (answer === null) return 'Whether to retrain could not be asked; the next look asks again.';
    return nextWords(answer.decision);
  }
}

async function startDelivery({ notice, channel }: Delivery): Promise<void> {
  try {
    await startChild<(argument: Delivery) => Promise<void>>(WORKFLOW_TYPES.alertDelivery, {
      workflowId: alertDeliveryWorkflowId(notice.id, channel),
      args: [{ notice, channel }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      staticSummary: `${channel}: ${notice.title}`,
    });
  } catch (error) {
    // A look that was killed after it started it.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** What the live servers count of an endpoint; one that does not answer is left out. */
async function countersOf(endpoint: string): Promise<ServerCounters> {
  const { servers } = await activities.listModelServers({});
  const read = await Promise.all(
    servers.map(async ({ serverId, taskQueue }) => {
      const counters = await activities
        .serverActivities(taskQueue)
        .readCounters({ endpoint })
        .catch(() => undefined);
      return counters ? [[serverId, counters] as const] : [];
    }),
  );
  return Object.fromEntries(read.flat());
}
