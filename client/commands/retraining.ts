import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { auditAnswer } from '../../contracts/audit.ts';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import { type Context, withContext } from '../context.ts';
import { askDataEngine } from '../data-engine.ts';
import { follow } from '../follow.ts';
import { EXIT, guarded, type Output, outputOf } from '../output.ts';
import { ownName } from '../person.ts';
import { PipelineRetraining } from '../retraining.ts';
import { decisionLines, nextWords, retrainingText } from '../retraining-text.ts';
import { sinceOf } from './audit.ts';
import { dataDirOf } from './options.ts';

const POLL_MS = 500;
const DEFAULT_LIMIT = 20;
/** What the workflow keeps; earlier decisions are in the audit log. */
const KEPT = 100;

/** `retrain`, `why`, `retraining`: when a model is trained anew, and why. */
export function registerRetrainingCommands(program: Command): void {
  program
    .command('retrain')
    .argument('<pipeline>', 'name of the pipeline')
    .description('ask for the model to be trained anew, on the data of now; says what is decided')
    .option('--reason <text>', 'why', '')
    .option('--by <name>', 'who asks (default: PERENNIAL_USER, else the user of the system)')
    .option('--follow', 'wait for the run to begin, and follow it to its end')
    .addHelpText(
      'after',
      '\nA demand passes debounce and cool-down; not a pause, a run under way, quiet hours, maxPerDay, or the budget.\n\nExit codes with --follow: 0 deployed, 1 failed, 3 ended without a deployment',
    )
    .action((pipeline: string, options: { reason: string; by?: string; follow?: true }, command: Command) =>
      run(command, pipeline, async (retraining, output, context) => {
        const { reason } = options;
        const decision = await retraining.trigger({ kind: 'demand', reason, by: ownName(options.by) });
        const status = await retraining.status();
        const show = (): string => [...decisionLines([decision]), `Next: ${nextWords(status)}`].join('\n');
        if (!options.follow) {
          output.result(decision, show);
          return EXIT.ok;
        }
        output.line(show());
        if (decision.decision === 'skip') {
          output.result(decision, () => 'no run begins');
          return EXIT.notDeployed;
        }
        return followed(context, await begun(retraining, decision), output);
      }),
    );

  program
    .command('why')
    .argument('<pipeline>', 'name of the pipeline')
    .description('why the model of a pipeline was trained anew, or was not: every decision with its rule')
    .option('--since <when>', 'a duration such as 7d, or a time (ISO 8601)')
    .option('--limit <count>', 'decisions that are shown at the most, the latest', whole, DEFAULT_LIMIT)
    .action((pipeline: string, options: { since?: string; limit: number }, command: Command) =>
      run(command, pipeline, async (retraining, output) => {
        const since = options.since === undefined ? null : sinceOf(options.since);
        const status = await retraining.status();
        const decisions = status.decisions
          .filter(({ at }) => since === null || Date.parse(at) >= Date.parse(since))
          .slice(-options.limit);
        const more = status.decisions.length === KEPT && decisions.length === KEPT;
        const earlier =
          more && options.limit > KEPT
            ? await earlierRecords(
                pipeline,
                since,
                options.limit - KEPT,
                decisions[0]?.at,
                dataDirOf(command),
              )
            : [];
        const next = nextWords(status);
        output.result({ pipeline, decisions, earlier, next }, () =>
          [
            ...earlier.map(({ at, reason }) => `${at.slice(0, 19).replace('T', ' ')}  ${reason}`),
            ...(decisions.length === 0
              ? ['nothing was decided that was asked for']
              : decisionLines(decisions)),
            '',
            `Next: ${next}`,
          ].join('\n'),
        );
        return EXIT.ok;
      }),
    );

  program
    .command('retraining')
    .argument('<pipeline>', 'name of the pipeline')
    .argument('[action]', 'pause or resume; without it, the status', actionOf)
    .option('--by <name>', 'who does (default: PERENNIAL_USER, else the user of the system)')
    .option('--reason <text>', 'why', '')
    .description(
      'when the model of a pipeline is trained anew: reasons, runs, what comes next; pause it, resume it',
    )
    .action(
      (
        pipeline: string,
        action: 'pause' | 'resume' | undefined,
        options: { by?: string; reason: string },
        command: Command,
      ) =>
        run(command, pipeline, async (retraining, output) => {
          const status =
            action === undefined
              ? await retraining.status()
              : await retraining.answer({
                  decision: action,
                  by: ownName(options.by),
                  reason: options.reason,
                });
          output.result(status, () => retrainingText(status));
          return EXIT.ok;
        }),
    );
}

/** Waits until a run takes the demand up. @returns its workflow id */
async function begun(retraining: PipelineRetraining, decision: RetrainingDecision): Promise<string> {
  if (decision.run !== null) return decision.run;
  for (;;) {
    const { state } = await retraining.status();
    const run = state.runs.find(
      ({ startedAt, kinds }) => kinds.includes('demand') && Date.parse(startedAt) >= Date.parse(decision.at),
    );
    if (run) return run.workflowId;
    await sleep(POLL_MS);
  }
}

async function followed(context: Context, workflowId: string, output: Output): Promise<number> {
  output.line(`run ${workflowId}`);
  // It is started a moment after it was decided.
  for (let looks = 0; looks < 60; looks++) {
    if (await context.perennial.status(workflowId).catch(() => undefined)) break;
    await sleep(POLL_MS);
  }
  const result = await follow(context, workflowId, output);
  if (!result) return EXIT.failed;
  output.result(result, () => `${result.outcome}: ${result.message}`);
  return result.outcome === 'deployed' ? EXIT.ok : EXIT.notDeployed;
}

/** Decisions that the workflow does not keep any more, from the audit log. */
async function earlierRecords(
  pipeline: string,
  since: string | null,
  limit: number,
  before: string | undefined,
  dataDir: string,
): Promise<{ at: string; reason: string }[]> {
  const question = { endpoint: null, run: retrainingWorkflowId(pipeline), since, limit: limit + 2 * KEPT };
  const { records } = await askDataEngine('audit', question, auditAnswer.strip(), dataDir);
  return records
    .filter(({ at, action }) => action !== 'retraining.configured' && (before === undefined || at < before))
    .map(({ at, reason }) => ({ at, reason }))
    .slice(-limit);
}

function actionOf(word: string): 'pause' | 'resume' {
  if (word === 'pause' || word === 'resume') return word;
  throw new InvalidArgumentError('pause or resume');
}

function whole(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number above 0');
}

const run = (
  command: Command,
  pipeline: string,
  work: (retraining: PipelineRetraining, output: Output, context: Context) => Promise<number>,
): Promise<void> => {
  const output = outputOf(command);
  return guarded(output.json, () =>
    withContext(dataDirOf(command), (context) =>
      work(new PipelineRetraining(context.perennial.temporal, pipeline), output, context),
    ),
  );
};
