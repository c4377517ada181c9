import {
  type Client,
  type ScheduleDescription,
  type ScheduleHandle,
  ScheduleNotFoundError,
  type ScheduleSpecDescription,
} from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { featuresScheduleId, HOUSEKEEPING_SCHEDULE, monitorScheduleId } from '../contracts/names.ts';
import { lookAgain } from './monitoring.ts';

/** A schedule of Perennial's. */
export interface ScheduleView {
  id: string;
  /** What it starts, as the name of a workflow type. */
  starts: string;
  /** When, in words. */
  when: string;
  paused: boolean;
  /** Why, where it is paused by somebody who said so. */
  note: string;
  /** The latest time at which it started something, and the next: ISO 8601. */
  last: string | null;
  next: string | null;
}

/** With more of it. */
export interface ScheduleDetails extends ScheduleView {
  overlap: string;
  catchupSeconds: number;
  taken: number;
  missed: number;
  skipped: number;
  running: string[];
  /** The latest workflows that it started, the latest first. */
  recent: { at: string; workflowId: string }[];
  upcoming: string[];
  /** After a backfill of the watching of an endpoint: windows that were looked at again. */
  lookedAgain?: number;
}

const WATCHING = monitorScheduleId('');
const OWN = [WATCHING, 'retraining/', featuresScheduleId('')];
const isOwn = (id: string): boolean =>
  id === HOUSEKEEPING_SCHEDULE || OWN.some((prefix) => id.startsWith(prefix));

/**
 * The schedules by which Perennial watches endpoints, trains anew, looks for new data, and tidies. Other schedules of the
 * namespace are left alone.
 *
 * @example
 * const schedules = new Schedules(perennial.temporal);
 * await schedules.pause('retraining/churn/schedule', 'ada: until the audit is over');
 */
export class Schedules {
  constructor(private readonly temporal: Client) {}

  /** All of them, by their ids. A schedule that was made a moment ago may not be among them yet. */
  async list(): Promise<ScheduleView[]> {
    const found: ScheduleView[] = [];
    for await (const { scheduleId, spec, action, state, info } of this.temporal.schedule.list()) {
      if (!isOwn(scheduleId)) continue;
      found.push({
        id: scheduleId,
        starts: action?.workflowType ?? '',
        when: whenOf(spec),
        paused: state.paused,
        note: state.note ?? '',
        last: iso(info.recentActions.at(-1)?.takenAt),
        next: state.paused ? null : iso(info.nextActionTimes[0]),
      });
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws PerennialError `InputInvalid` where there is no such schedule, also from the methods below */
  async show(id: string): Promise<ScheduleDetails> {
    return detailsOf(await this.#known(id, (handle) => handle.describe()));
  }

  /** Nothing is started until {@link resume}. @param note who and why */
  async pause(id: string, note: string): Promise<ScheduleDetails> {
    await this.#known(id, (handle) => handle.pause(note));
    return this.show(id);
  }

  async resume(id: string, note: string): Promise<ScheduleDetails> {
    await this.#known(id, (handle) => handle.unpause(note));
    return this.show(id);
  }

  /** Starts what it starts now, also while it is paused. */
  async trigger(id: string): Promise<ScheduleDetails> {
    await this.#known(id, (handle) => handle.trigger());
    return this.show(id);
  }

  /**
   * Starts what it would have started in a time that is over, one after the other. The watching of an endpoint looks at
   * all windows that nobody has looked at anyway: there it looks at those again that ended in that time.
   *
   * @param from, to both included
   * @throws PerennialError `InputInvalid` also where no window of that time is on record
   */
  async backfill(id: string, from: Date, to: Date): Promise<ScheduleDetails> {
    if (!(from.getTime() <= to.getTime()))
      throw new PerennialError('InputInvalid', '--from must be a time before --to');
    if (id.startsWith(WATCHING)) return this.#lookAgain(id, from, to);
    await this.#known(id, (handle) =>
      // The server leaves the very beginning out.
      handle.backfill({ start: new Date(from.getTime() - 1), end: to, overlap: 'BUFFER_ALL' }),
    );
    return this.show(id);
  }

  async #lookAgain(id: string, from: Date, to: Date): Promise<ScheduleDetails> {
    const { action } = await this.#known(id, (handle) => handle.describe());
    const { looked } = await lookAgain(this.temporal, action.taskQueue, id.slice(WATCHING.length), {
      from: from.toISOString(),
      before: to.toISOString(),
    });
    return { ...(await this.show(id)), lookedAgain: looked };
  }

  async #known<T>(id: string, work: (handle: ScheduleHandle) => Promise<T>): Promise<T> {
    try {
      if (isOwn(id)) return await work(this.temporal.schedule.getHandle(id));
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
    const known = (await this.list()).map((one) => one.id);
    const hint = nearest(id, known);
    throw new PerennialError(
      'InputInvalid',
      `there is no schedule ${id} of Perennial's${hint ? `; did you mean ${hint}?` : ''} List them with \`perennial schedule ls\``,
    );
  }
}

const iso = (date: Date | undefined): string | null => date?.toISOString() ?? null;

function detailsOf(description: ScheduleDescription): ScheduleDetails {
  const { scheduleId, spec, action, policies, state, info } = description;
  return {
    id: scheduleId,
    starts: action.workflowType,
    when: whenOf(spec),
    paused: state.paused,
    note: state.note ?? '',
    last: iso(info.recentActions.at(-1)?.takenAt),
    next: state.paused ? null : iso(info.nextActionTimes[0]),
    overlap: policies.overlap ?? 'SKIP',
    catchupSeconds: policies.catchupWindow / 1_000,
    taken: info.numActionsTaken,
    missed: info.numActionsMissedCatchupWindow,
    skipped: info.numActionsSkippedOverlap,
    running: info.runningActions.map(({ workflow }) => workflow.workflowId),
    recent: info.recentActions
      .map(({ takenAt, action: taken }) => ({
        at: takenAt.toISOString(),
        workflowId: taken.workflow.workflowId,
      }))
      .reverse(),
    upcoming: info.nextActionTimes.map((time) => time.toISOString()),
  };
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** @example 'every 1h' or 'cron 0 3 1 * *' */
function whenOf(spec: ScheduleSpecDescription | undefined): string {
  const words = [
    ...(spec?.intervals ?? []).map(({ every }) => {
      const [unit, ms] = UNITS.find(([, size]) => every % size === 0) ?? ['ms', 1];
      return `every ${every / ms}${unit}`;
    }),
    // The server turns a cron expression into a calendar, and keeps its comment.
    ...(spec?.calendars ?? []).map(({ comment }) => comment ?? 'by calendar'),
  ];
  return [...new Set(words)].join(', ');
}
