import { continueAsNew, workflowInfo } from '@temporalio/workflow';
import { type MonitorInput, type MonitorResult, monitorInput } from '../../contracts/monitoring.ts';
import * as activities from '../activities.ts';
import { parseInput } from '../parse.ts';
import { scheduledFor } from '../scheduled-for.ts';
import { EndpointWatch, type Looked } from './endpoint-watch.ts';

/** Windows that one run of the workflow looks at; then it continues as new. */
const AT_MOST = 100;
/** Windows and alerts that a result names. */
const NAMED = 100;

/**
 * Looks at all windows of an endpoint that have ended and that nobody has looked at: measures them, puts them on record,
 * tells what is beyond its limits, and asks for a retraining where that is a reason. Started by the endpoint's schedule;
 * what was missed in an outage is made up for by the next run.
 *
 * @param argument see `monitorInput` in contracts/monitoring.ts
 * @throws ApplicationFailure with a code of contracts/errors.ts
 */
export async function monitor(argument: unknown): Promise<MonitorResult> {
  const input = parseInput(monitorInput, argument, 'the argument of workflow monitor');
  const { endpoint, again } = input;
  const asOf = input.asOf ?? scheduledFor() ?? workflowInfo().startTime.toISOString();
  let result = input.result ?? { endpoint, looked: 0, windows: [], raised: [], resolved: [] };
  let next = again?.from;
  for (let looked = 0; looked < AT_MOST; ) {
    const plan = await activities.planMonitoring({
      endpoint,
      asOf,
      again: again && next !== undefined ? { from: next, before: again.before } : null,
    });
    if (plan.settings === null) return result;
    const watch = new EndpointWatch(plan, plan.settings, again === undefined);
    await watch.tellAll();
    let overtaken = false;
    for (const [i, due] of plan.due.entries()) {
      const isLatest = !plan.more && i === plan.due.length - 1;
      const seen = await watch.look(due, isLatest);
      looked += 1;
      overtaken = seen === null;
      if (seen === null) break;
      result = withWindow(result, seen);
      next = due.window.before;
    }
    await watch.log();
    if (!plan.more && !overtaken) return result;
  }
  return continueAsNew<typeof monitor>({
    endpoint,
    asOf,
    result,
    ...(again && next !== undefined ? { again: { from: next, before: again.before } } : {}),
  } satisfies MonitorInput);
}

function withWindow(result: MonitorResult, { summary, events }: Looked): MonitorResult {
  const { window, state, rows, labels } = summary;
  const keys = (kind: 'raised' | 'resolved'): string[] =>
    [...result[kind], ...events.filter((event) => event.kind === kind).map(({ key }) => key)].slice(-NAMED);
  return {
    endpoint: result.endpoint,
    looked: result.looked + 1,
    windows: [...result.windows, { window, state, rows, labels }].slice(-NAMED),
    raised: keys('raised'),
    resolved: keys('resolved'),
  };
}
