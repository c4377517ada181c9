import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pc from 'picocolors';
import type { LifecycleResult, RunStatus } from '../contracts/lifecycle.ts';
import type { Context } from './context.ts';
import { explain, type Output } from './output.ts';
import { ownName } from './person.ts';
import { Progress } from './progress.ts';
import { withSearch } from './training-search.ts';
import { verdictOf, verdictText } from './verdict.ts';

/** A stage's first seconds are followed closely; most stages end within them. */
const [POLL_MS, CLOSE_MS, LONG_POLL_MS] = [250, 5_000, 1_000];

/** How the approval is answered. */
export interface FollowOptions {
  /** Approve without asking, in this name. */
  approveAs?: string;
}

/** Where the Temporal CLI looks by itself. */
const CLI_DEFAULT = { addresses: ['localhost:7233', '127.0.0.1:7233'], namespace: 'default' };

/** The ways to answer, with everything filled in, also where the server is not at its usual address. */
export function waysToApprove(
  status: RunStatus,
  where: Pick<Context, 'temporalAddress' | 'namespace' | 'dataDir'>,
): string[] {
  const candidate = status.awaiting?.candidate.slice(0, 12) ?? '';
  const review = JSON.stringify({ decision: 'approve', by: 'YOUR NAME', reason: 'WHY', candidate });
  const signal = JSON.stringify({ by: 'YOUR NAME', reason: 'WHY', candidate });
  const server = [
    ...(CLI_DEFAULT.addresses.includes(where.temporalAddress) ? [] : ['--address', where.temporalAddress]),
    ...(where.namespace === CLI_DEFAULT.namespace ? [] : ['--namespace', where.namespace]),
  ];
  const run = quoted(status.workflowId);
  const target = [`--workflow-id ${run}`, ...server].join(' ');
  if (status.awaiting?.signed)
    return [
      `${perennial(where.dataDir)} approve ${run} --key YOUR_KEY.json --reason "WHY"`,
      `temporal workflow update execute ${target} --name review --input '{"token":"SIGNED VOTE"}'`,
    ];
  return [
    `${perennial(where.dataDir)} approve ${run} --as "YOUR NAME" --reason "WHY"`,
    `temporal workflow update execute ${target} --name review --input '${review}'`,
    `temporal workflow signal ${target} --name approve --input '${signal}'`,
  ];
}

/** The command, with the data directory where it is not the usual one. */
const perennial = (dataDir: string): string =>
  dataDir === resolve('.perennial') ? 'perennial' : `perennial --data-dir ${quoted(dataDir)}`;

/** A path or an id as a shell takes it. */
const quoted = (word: string): string =>
  /^[\w.:/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/**
 * Follows a run to its end, shows its progress, and asks for the approval on a terminal. Without a terminal it says
 * how to approve and waits. While the status cannot be asked, the run goes on and is followed further.
 *
 * @returns `undefined` where the person left the question by Ctrl-C or Ctrl-D
 */
export async function follow(
  context: Context,
  workflowId: string,
  output: Output,
  options: FollowOptions = {},
): Promise<LifecycleResult | undefined> {
  const progress = new Progress(output);
  const ended = new AbortController();
  const result = context.perennial.result(workflowId).finally(() => ended.abort());
  result.catch(() => undefined);
  let asked = false;
  let stage = { at: -1, since: 0 };
  while (!ended.signal.aborted) {
    const status = await context.perennial.status(workflowId).catch(() => undefined);
    const at = status?.stages.findIndex(({ state }) => state === 'running') ?? stage.at;
    if (at !== stage.at) stage = { at, since: Date.now() };
    if (status) progress.show(await withSearch(context.perennial.temporal, status));
    if (status?.state === 'awaiting_approval' && !asked) {
      asked = true;
      if ((await answer(context, status, output, options, ended.signal)) === 'left') {
        for (const line of leftBehind(workflowId, context)) output.line(line);
        return undefined;
      }
      progress.release();
    }
    const pause = Date.now() - stage.since < CLOSE_MS ? POLL_MS : LONG_POLL_MS;
    await sleep(pause, undefined, { signal: ended.signal }).catch(() => undefined);
  }
  const last = await context.perennial.status(workflowId).catch(() => undefined);
  if (last) progress.show(last);
  return result;
}

/** What to say to a person who leaves a run that waits. */
export function leftBehind(workflowId: string, where: Pick<Context, 'dataDir'>): string[] {
  const command = perennial(where.dataDir);
  const run = quoted(workflowId);
  return [
    '',
    '  The run goes on and waits for its approval.',
    `    ${command} status ${run}`,
    `    ${command} approve ${run} --as "YOUR NAME" --reason "WHY"`,
  ];
}

const indented = (text: string): string => text.replaceAll(/^/gm, '  ');

async function answer(
  context: Context,
  status: RunStatus,
  output: Output,
  options: FollowOptions,
  ended: AbortSignal,
): Promise<'left' | undefined> {
  const { awaiting, workflowId } = status;
  if (!awaiting) return undefined;
  if (options.approveAs !== undefined) {
    await context.perennial.review(workflowId, {
      decision: 'approve',
      by: options.approveAs,
      reason: 'approved by --approve',
      candidate: awaiting.candidate,
    });
    return undefined;
  }
  output.notice();
  output.notice(
    pc.bold(`  Candidate ${awaiting.candidate.slice(0, 12)} waits for approval, until ${awaiting.deadline}.`),
  );
  const verdict = await verdictOf(context.perennial, workflowId);
  if (verdict) output.notice(indented(verdictText(verdict)));
  for (const [name, url] of Object.entries(status.links)) output.notice(`  ${name}: ${url}`);
  for (const line of whoDecides(awaiting)) output.notice(`  ${line}`);
  // A terminal has no key.
  const here = output.interactive && !awaiting.signed;
  output.notice(`  Approve ${here ? 'here, or ' : ''}from another terminal or program:`);
  for (const way of waysToApprove(status, context)) output.notice(`    ${way}`);
  return here ? askOnTerminal(context, status, ended) : undefined;
}

/** Whose votes are waited for, where not anybody's one. */
export function whoDecides({
  approvers,
  quorum,
  roles,
  signed,
}: NonNullable<RunStatus['awaiting']>): string[] {
  if (approvers === null && quorum === 1 && roles.length === 0 && !signed) return [];
  const needed = [
    `${quorum} of ${approvers === null ? 'anybody' : approvers.join(', ')}`,
    ...roles.map(({ role, quorum: votes }) => `${votes} in role ${role}`),
  ];
  return [`Needed: ${needed.join('; ')}${signed ? '; signed votes only' : ''}`];
}

async function askOnTerminal(
  context: Context,
  { workflowId, awaiting }: RunStatus,
  ended: AbortSignal,
): Promise<'left' | undefined> {
  if (!awaiting) return undefined;
  const stop = new AbortController();
  ended.addEventListener('abort', () => stop.abort(), { once: true });
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-C and Ctrl-D close the prompt; not every Node ends a question with it.
  const left = new AbortController();
  prompt.once('close', () => left.abort());
  const signal = AbortSignal.any([stop.signal, left.signal]);
  // Somebody may answer elsewhere while the question stands here.
  const watching = watch(context, workflowId, stop);
  try {
    for (;;) {
      const words = (await prompt.question('  [a]pprove, [r]eject, or wait: ', { signal }))
        .trim()
        .toLowerCase();
      if (!words || 'wait'.startsWith(words)) return undefined;
      const decision = 'approve'.startsWith(words)
        ? 'approve'
        : 'reject'.startsWith(words)
          ? 'reject'
          : undefined;
      if (!decision) continue;
      const known = ownNameOrNone();
      const by =
        (await prompt.question(`  Your name${known ? ` [${known}]` : ''}: `, { signal })).trim() || known;
      const reason = await prompt.question('  Reason: ', { signal });
      try {
        await context.perennial.review(workflowId, { decision, by, reason, candidate: awaiting.candidate });
        return undefined;
      } catch (error) {
        process.stdout.write(`  ${pc.yellow('refused:')} ${explain(error)}\n`);
      }
    }
  } catch (error) {
    if (stop.signal.aborted) return undefined;
    if (error instanceof Error && error.name === 'AbortError') return 'left';
    throw error;
  } finally {
    prompt.close();
    stop.abort();
    await watching;
  }
}

/** Nobody need be known by name to be asked for it. */
function ownNameOrNone(): string {
  try {
    return ownName(undefined);
  } catch {
    return '';
  }
}

async function watch(context: Context, workflowId: string, stop: AbortController): Promise<void> {
  while (!stop.signal.aborted) {
    await sleep(1_000, undefined, { signal: stop.signal }).catch(() => undefined);
    const status = await context.perennial.status(workflowId).catch(() => undefined);
    if (status && status.state !== 'awaiting_approval') stop.abort();
  }
}
