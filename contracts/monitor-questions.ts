import { z } from 'zod';
import { silence } from './alerts.ts';
import { monitorSettings, monitorState } from './monitoring.ts';

/** What `perennial monitor` asks the worker's side. */
export const monitorQuestion = z.discriminatedUnion('ask', [
  /** All endpoints that are watched, without their trends. */
  z.strictObject({ ask: z.literal('list') }),
  /** One endpoint; `windows`: of the trend the latest; `report`: a new file for the latest report as a page. */
  z.strictObject({
    ask: z.literal('show'),
    endpoint: z.string().min(1),
    windows: z.number().int().min(1).max(400),
    report: z.string().nullable(),
  }),
  /** Tells nothing for a time. */
  z.strictObject({ ask: z.literal('silence'), endpoint: z.string().min(1), silence }),
  /** Looks at no window until it is to go on. */
  z.strictObject({
    ask: z.literal('pause'),
    endpoint: z.string().min(1),
    paused: z.boolean(),
    note: z.string().max(1_500),
  }),
]);
export type MonitorQuestion = z.infer<typeof monitorQuestion>;

/** How an endpoint is watched, and what was seen; `state` is null before the first window. */
export const monitorView = z.object({ settings: monitorSettings, state: monitorState.nullable() });
export type MonitorView = z.infer<typeof monitorView>;

export const monitorAnswer = z.object({ endpoints: z.array(monitorView) });
export type MonitorAnswer = z.infer<typeof monitorAnswer>;
