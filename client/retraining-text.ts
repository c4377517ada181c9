import pc from 'picocolors';
import type { RetrainingDecision, RetrainingRun, RetrainingStatus } from '../contracts/retraining.ts';
import { columns } from './output.ts';

const COLOURS: Record<RetrainingDecision['decision'], (text: string) => string> = {
  start: pc.green,
  wait: pc.yellow,
  skip: pc.dim,
  'give-up': pc.red,
  ended: pc.cyan,
};

/** Runs that the status shows. */
const SHOWN = 10;

const moment = (at: string): string => at.slice(0, 19).replace('T', ' ');
/** What others wrote must not move the cursor of a terminal. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');

/** Decisions for people: when, what, by which rule, for which reasons, and the run. */
export const decisionLines = (decisions: readonly RetrainingDecision[]): string[] =>
  decisions.flatMap(({ at, decision, why, reasons, until, run }) => [
    `${moment(at)}  ${COLOURS[decision](decision.padEnd(7))}  ${oneLine(why)}${until === null ? '' : `; until ${moment(until)}`}`,
    ...reasons.map(
      ({ kind, reason, times }) =>
        `${' '.repeat(30)}${kind}${times > 1 ? ` (${times} times)` : ''}${reason === '' ? '' : `: ${oneLine(reason)}`}`,
    ),
    ...(run === null ? [] : [`${' '.repeat(30)}run ${run}`]),
  ]);

/** What comes next, in a sentence. */
export function nextWords({ settings: { pipeline }, state, decisions }: RetrainingStatus): string {
  const running = state.runs.find(({ endedAt }) => endedAt === null);
  const waiting = state.pending.map(({ kind }) => kind).join(', ');
  if (state.paused)
    return `paused by a person; let it go on with \`perennial retraining ${pipeline} resume --by NAME\``;
  if (running)
    return `run ${running.workflowId} goes on${waiting ? `; then one for ${waiting}` : ''}; look at it with \`perennial status ${running.workflowId}\``;
  if (state.gaveUpAt !== null)
    return `given up since ${moment(state.gaveUpAt)}: ${state.failures} run(s) in a row did not help; look at them, then \`perennial retraining ${pipeline} resume --by NAME\``;
  if (waiting === '') return 'waits for a reason to train';
  const held = decisions.findLast(({ decision }) => decision === 'wait');
  return held?.until
    ? `a run for ${waiting} begins at ${moment(held.until)}, if nothing else happens`
    : `a run for ${waiting} waits: ${held?.why ?? ''}`;
}

/** The retraining of a pipeline for people: what is in production, what waits, runs, what comes next. */
export function retrainingText(status: RetrainingStatus): string {
  const { settings, state } = status;
  const { champion } = state;
  return [
    `${settings.pipeline}: ${champion ? `version ${champion.version} in production since ${moment(champion.since)}` : 'what is in production is not known yet'}${settings.clock === 'event' ? `, event time ${moment(status.asOf)}` : ''}`,
    `  trained anew on: ${wantedWords(status)}`,
    ...state.pending.map(
      ({ kind, reason, times, firstAt }) =>
        `  waits since ${moment(firstAt)}: ${kind}${times > 1 ? ` (${times} times)` : ''}${reason === '' ? '' : `: ${oneLine(reason)}`}`,
    ),
    ...(state.runs.length > 0 ? ['', runsTable(state.runs)] : []),
    '',
    `Next: ${nextWords(status)}`,
  ].join('\n');
}

function wantedWords({ settings: { retraining } }: RetrainingStatus): string {
  const { schedule, newData, maxAge, ...flags } = retraining.on;
  return [
    'demand',
    ...(schedule === undefined ? [] : [`schedule ${schedule} (UTC)`]),
    ...(newData === undefined ? [] : [`new data (looked for every ${newData.poll})`]),
    ...(maxAge === undefined ? [] : [`age above ${maxAge}`]),
    ...Object.entries(flags).flatMap(([name, asked]) =>
      asked ? [name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)] : [],
    ),
  ].join(', ');
}

const runsTable = (runs: readonly RetrainingRun[]): string =>
  columns([
    ['BEGAN', 'FOR', 'OUTCOME', 'VERSION', 'HELPED', 'TRAINING', 'RUN'],
    ...runs
      .slice(-SHOWN)
      .map(({ startedAt, kinds, outcome, version, helped, endedAt, seconds, workflowId }) => [
        moment(startedAt),
        kinds.join(', '),
        outcome ?? 'goes on',
        version ?? '',
        endedAt === null ? '' : helped === null ? 'not known yet' : helped ? 'yes' : 'no',
        seconds > 0 ? `${seconds.toFixed(0)} s` : '',
        workflowId,
      ]),
  ]);
