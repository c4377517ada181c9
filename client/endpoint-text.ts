import type { EndpointState } from '../contracts/endpoint.ts';
import type { RolloutStatus, RolloutStep } from '../contracts/rollout.ts';

const moment = (at: string): string => at.slice(0, 19).replace('T', ' ');

/** An endpoint in lines for people: what serves, what is being rolled out, who waits, what was. */
export function endpointText(state: EndpointState, rollout: RolloutStatus | undefined): string {
  const { table, current, served, queue } = state;
  const [before] = served;
  return [
    `${table.endpoint}: version ${current?.version ?? 'none'}, generation ${table.generation}${before ? `, before: version ${before.version}` : ''}`,
    ...registryLines(state),
    ...Object.entries(state.acknowledged).map(
      ([server, generation]) =>
        `  server ${server}: generation ${generation}${generation < table.generation ? ' (behind)' : ''}`,
    ),
    ...(rollout ? rolloutLines(rollout) : unansweredLines(state)),
    ...queue.map(({ version, since }) => `  waits since ${moment(since)}: version ${version}`),
    ...state.changes.map(
      (change) =>
        `  ${moment(change.at)}  ${change.kind.padEnd(8)}  ${change.from ?? 'none'} → ${change.to ?? 'none'}  ${change.outcome}  by ${change.requestedBy}${change.reason ? `: ${change.reason}` : ''}`,
    ),
    ...state.incidents.map(
      ({ lastAt, role, version, kind, count, serverId, reason, stale }) =>
        `  ${moment(lastAt)}  ${role} ${version}: ${kind} ×${count} on server ${serverId}${stale ? ' (of other routes)' : ''}: ${reason}`,
    ),
  ].join('\n');
}

/** A roll-out that does not say how it is. */
const unansweredLines = ({ slot }: EndpointState): string[] =>
  slot
    ? [
        `  roll-out of version ${slot.model.version} is under way; its workflow ${slot.rollout} does not answer`,
      ]
    : [];

function registryLines({ alias, aliasProblem, current }: EndpointState): string[] {
  if (alias === (current?.version ?? null)) return [];
  return [
    `  the alias champion still names ${alias === null ? 'no version' : `version ${alias}`}${aliasProblem ? `: ${aliasProblem}` : '; it follows'}`,
  ];
}

/** A roll-out: its steps, the one that is under way, and what each guard found. */
export function rolloutLines(status: RolloutStatus): string[] {
  const { version, champion, strategy, steps, step, share, phase, paused, stepSince } = status;
  const place =
    phase === 'queued'
      ? 'waits for its turn'
      : phase === 'ended'
        ? (status.outcome ?? 'failed').replace('_', ' ')
        : `${share} % of the traffic${stepSince ? ` since ${moment(stepSince)}` : ''}${paused ? ', paused' : ''}`;
  return [
    `  roll-out of version ${version} against ${champion === null ? 'nothing' : `version ${champion}`}, ${strategy}: ${place}`,
    ...(steps.length > 0
      ? [`    steps: ${steps.map((one, i) => stepText(one, i === step && phase === 'running')).join(' → ')}`]
      : []),
    ...status.verdicts.map(({ state, message }) => `    ${state.padEnd(8)}  ${message}`),
    ...(status.reason ? [`    ${status.reason}`] : []),
  ];
}

const stepText = ({ name, share }: RolloutStep, now: boolean): string =>
  now ? `[${name} ${share} %]` : `${name} ${share} %`;
