import type { AlertNotice, AlertState, Channel, Delivery } from './alerts.ts';
import type { LifecycleResult } from './lifecycle.ts';
import type {
  MonitorSettings,
  MonitorState,
  ObservedWindow,
  ServerCounters,
  WindowSummary,
} from './monitoring.ts';
import type { ArtifactRef } from './refs.ts';
import type { RetrainingDecision, RetrainingSettings, RetrainingTick, Trigger } from './retraining.ts';
import type { PipelineSpec } from './spec/pipeline.ts';

/** A window that is due, and the one whose truth is known by its end. */
export interface DueWindow {
  window: ObservedWindow;
  labelled: ObservedWindow | null;
}

/** Event time since which a version answers. */
export interface ServedSince {
  version: string;
  since: string;
}

/** What is to be looked at now. */
export interface MonitoringPlan {
  /** `null` where the endpoint is not watched, or its watching is paused. */
  settings: MonitorSettings | null;
  /** The earliest first; a few at a time. */
  due: DueWindow[];
  /** Whether more are due after these. */
  more: boolean;
  alerts: AlertState;
  /** The version in production. */
  champion: string | null;
  /** The version that answered most of the latest window, and since which window it does. */
  served: ServedSince | null;
  /** Where this worker tells alerts. */
  channels: Channel[];
  /** Whether recorded traffic is replayed: then it is as late as its windows are. */
  replayed: boolean;
  /** Page of the endpoint's reports; `null` before there is one. */
  url: string | null;
}

/** Activities of the workflow `monitor`. */
export interface MonitoringActivities {
  /** Puts an endpoint under watch by the spec, or changes how: settings, schedule. Without `monitoring` it ends that. */
  watchEndpoint(input: { spec: PipelineSpec; since: string }): Promise<{ specRef: ArtifactRef }>;
  planMonitoring(input: {
    endpoint: string;
    asOf: string;
    again: { from: string; before: string } | null;
  }): Promise<MonitoringPlan>;
  /** Looks at one window; writes its report, and nothing else. */
  observeWindow(input: {
    settings: MonitorSettings;
    due: DueWindow;
    champion: string | null;
    /** Of the servers that live now; `null` where the window is looked at later, or again. */
    counters: ServerCounters | null;
    /** Whether the window was looked at before: no detector goes on from it. */
    again: boolean;
  }): Promise<WindowSummary>;
  /** Puts a window on record, once, however often it is called. */
  recordWindow(input: {
    settings: MonitorSettings;
    summary: WindowSummary;
    /** `null` where windows are looked at again: the state stays as it is. */
    alerts: Pick<AlertState, 'open' | 'outbox'> | null;
  }): Promise<Pick<MonitorState, 'next' | 'index'> & { recorded: boolean }>;
  /** Brings MLflow up to date: measures as metrics by step, and the reports. */
  logWindows(input: { settings: MonitorSettings }): Promise<void>;
  /** Tells one channel; sending the same again is harmless. */
  deliverAlert(input: Delivery): Promise<void>;
  /** Puts on record what a channel does not take; forgets it where it is told. */
  recordDelivery(input: {
    endpoint: string;
    notice: Pick<AlertNotice, 'id' | 'title'>;
    channel: Channel;
    /** Why it was refused; `null`: it was taken. */
    refused: string | null;
  }): Promise<void>;
  /** Takes notices that were told out of the state. */
  settleAlerts(input: {
    endpoint: string;
    delivered: { id: AlertNotice['id']; channel: Channel }[];
  }): Promise<void>;
  /** Asks the pipeline's workflow `retraining`. @returns what it decides; `null` where there is none */
  askRetraining(input: {
    pipeline: string;
    tick: RetrainingTick;
    triggers: Trigger[];
  }): Promise<{ decision: RetrainingDecision | null }>;
}

/** The spec in production asks for no retraining. */
export interface RetrainingEnd {
  settings: null;
  pipeline: string;
  /** In words. */
  reason: string;
}

/** How a lifecycle run ended, as far as a retraining has to know. */
export interface RunEnd {
  outcome: LifecycleResult['outcome'] | 'failed';
  message: string;
  modelName: string | null;
  version: string | null;
  /** The workflow id of its roll-out. */
  rollout: string | null;
  /** Seconds and cost of its training. */
  seconds: number;
  cost: number;
  /** Somebody cancelled or terminated it. */
  cancelled: boolean;
}

/** Activities of the workflow `retraining`. */
export interface RetrainingActivities {
  /** Starts the pipeline's workflow `retraining` or tells it how to go on, or ends it; its schedules. */
  ensureRetraining(input: { settings: RetrainingSettings } | RetrainingEnd): Promise<void>;
  /** How a run of a retraining ended; `null` while it goes on. */
  findRunEnd(input: { workflowId: string }): Promise<{ end: RunEnd | null }>;
  /** Whether the sources of a pipeline have anything that they had not when they were looked at last. */
  lookForNewData(input: { pipeline: string }): Promise<{ found: boolean; words: string }>;
}
