import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { checkName, severity } from './spec/monitoring.ts';

/** ISO 8601. */
const moment = z.string();

/** What happens to an alert. */
export const ALERT_EVENTS = ['raised', 'changed', 'reminded', 'resolved'] as const;
export const alertEventKind = z.enum(ALERT_EVENTS);

/** A condition that lasts: one for each check, and what of it, of an endpoint. */
export const openAlert = z.strictObject({
  /** `<check>/<of>/<slice>`. */
  key: z.string().max(600),
  check: checkName,
  severity,
  /** First window beyond the limit, and when it was raised; `null`: not long enough beyond the limit yet. */
  since: moment,
  raisedAt: moment.nullable(),
  /** Windows in a row beyond the limit, and within it. */
  beyond: z.number().int().nonnegative(),
  within: z.number().int().nonnegative(),
  /** When it was told last; `null`: nobody knows of it. Told and not raised: it is over, and to be told so yet. */
  toldAt: moment.nullable(),
  /** Windows in a row that said nothing of it: its check, its limit or its slice is gone. */
  unseen: z.number().int().nonnegative().optional(),
  /** Windows in a row that neither found it beyond its limit nor within it: too few rows or labels, or nothing. */
  unjudged: z.number().int().nonnegative().optional(),
  words: z.string().max(1_000),
  observed: z.number().nullable(),
  limit: z.number().nullable(),
});
export type OpenAlert = z.infer<typeof openAlert>;

/** A time for which somebody wants to hear nothing, by the clock of who is told. */
export const silence = z.strictObject({
  /** `null`: all checks. */
  check: checkName.nullable(),
  from: moment,
  before: moment,
  by: z.string().max(200),
  reason: z.string().max(1_000),
});
export type Silence = z.infer<typeof silence>;

/** What is to be told of one alert. */
export const alertEvent = z.strictObject({
  /** The same for the same event, however often it is sent. */
  id: z.string().max(700),
  kind: alertEventKind,
  key: z.string().max(600),
  check: checkName,
  severity,
  at: moment,
  since: moment,
  words: z.string().max(1_000),
  observed: z.number().nullable(),
  limit: z.number().nullable(),
});
export type AlertEvent = z.infer<typeof alertEvent>;

/** Events of one window, told together. */
export const alertNotice = z.strictObject({
  /** Of the window and its events: a receiver drops what it has. */
  id: z.string().max(200),
  endpoint: z.string(),
  pipeline: z.string(),
  version: z.string().nullable(),
  /** The gravest of its events. */
  severity,
  window: z.strictObject({ from: moment, before: moment }),
  title: z.string().max(300),
  events: z.array(alertEvent).min(1).max(100),
  /** What will be done about it, in words. */
  next: z.string().max(1_000),
  /** The report of the window. */
  url: z.string().nullable(),
  /** A picture of the trend, SVG. */
  plot: artifactRef.nullable(),
});
export type AlertNotice = z.infer<typeof alertNotice>;

/** A notice with its picture at hand, SVG. */
export type ToldAlert = Omit<AlertNotice, 'plot'> & { plot: string | null };

/** Where alerts go; `log`: the worker's log, where there is nothing else. */
export const CHANNELS = ['log', 'webhook', 'slack', 'email'] as const;
export const channel = z.enum(CHANNELS);
export type Channel = z.infer<typeof channel>;

/** A notice on its way to a channel. */
export const delivery = z.strictObject({ channel, notice: alertNotice });
export type Delivery = z.infer<typeof delivery>;

/** A notice that a channel does not take yet, or that could not be told within thirty days. */
export const undelivered = z.strictObject({
  /** Of the notice. */
  id: z.string().max(200),
  channel,
  title: z.string().max(300),
  /** Since when. */
  at: moment,
  why: z.string().max(500),
});
export type Undelivered = z.infer<typeof undelivered>;

export const alertState = z.strictObject({
  open: z.array(openAlert),
  silences: z.array(silence),
  /** What has been decided and not been told to all yet. */
  outbox: z.array(delivery).max(200),
});
export type AlertState = z.infer<typeof alertState>;
