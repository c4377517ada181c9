import type { RunStatus, StageStatus } from '../../contracts/lifecycle.ts';

const MARK: Record<StageStatus['state'], string> = {
  pending: '·',
  running: '▶',
  done: '✓',
  failed: '✗',
  cached: '✓',
  reused: '↺',
  skipped: '–',
};

const seconds = (stage: StageStatus): string =>
  stage.startedAt && stage.endedAt
    ? `${((Date.parse(stage.endedAt) - Date.parse(stage.startedAt)) / 1000).toFixed(1)} s`
    : '';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The author's approval stands there, and does not count. */
function votesOf({ votes, quorum, roles }: NonNullable<RunStatus['awaiting']>): string {
  const counted = votes.filter(({ author }) => !author).length;
  const inRoles = roles.map(({ role, approvals, quorum: needed }) => `, ${role} ${approvals} of ${needed}`);
  return `${counted} of ${quorum} votes${inRoles.join('')}`;
}

/** The run as Markdown, for the current details in the Temporal UI. */
export function runDetails(status: RunStatus): string {
  const lines = [
    `**${status.pipeline ?? 'pipeline'}**: ${status.outcome ?? status.state.replace('_', ' ')}`,
    '',
    '| | stage | time | |',
    '| --- | --- | --- | --- |',
    ...status.stages.map(
      (stage) =>
        `| ${MARK[stage.state]} | ${stage.name} | ${seconds(stage)} | ${cell(stage.summary ?? '')} |`,
    ),
  ];
  if (status.awaiting)
    lines.push(
      '',
      `**Waiting for approval** of candidate \`${status.awaiting.candidate.slice(0, 12)}\` until ${status.awaiting.deadline} (${votesOf(status.awaiting)}). ${status.awaiting.signed ? 'Update `review` with a signed token.' : 'Signal `approve` or `reject`, or update `review`.'}`,
    );
  for (const line of status.awaiting?.undecided ?? []) lines.push('', `**You decide:** ${cell(line)}`);
  for (const [name, url] of Object.entries(status.links)) lines.push('', `[${name}](${url})`);
  if (status.error) lines.push('', `**Error:** ${status.error}`);
  return lines.join('\n');
}
