import { type Command, Option } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import type { ReviewUpdate, RunStatus } from '../../contracts/lifecycle.ts';
import { signVote } from '../approver-key.ts';
import { withContext } from '../context.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import type { PerennialClient } from '../perennial-client.ts';
import { ownName } from '../person.ts';
import { dataDirOf } from './options.ts';

interface ReviewOptions {
  as?: string;
  by?: string;
  reason: string;
  candidate?: string;
  key?: string;
  token?: string;
}

type Decision = 'approve' | 'reject';

/** `approve` and `reject`: by update, so that a vote that does not count is refused with a reason. */
export function registerReviewCommands(program: Command): void {
  for (const decision of ['approve', 'reject'] as const) {
    const command = program
      .command(decision)
      .argument('<run>', 'id of a run that waits for approval')
      .description(`${decision} the candidate that a run waits with`)
      .option('--as <name>', 'who decides (default: PERENNIAL_USER, else the user of the system)')
      .addOption(new Option('--by <name>', 'the same as --as').hideHelp())
      .option(
        '--candidate <digest>',
        'the candidate that is meant, 8 or more characters; default: the one under review',
      )
      .option('--key <file>', 'sign the vote with this private key, of `perennial approver key`')
      .addOption(
        new Option('--token <jwt>', 'send a vote that is signed already').conflicts([
          'key',
          'as',
          'by',
          'candidate',
        ]),
      )
      .option(
        '--reason <text>',
        decision === 'reject' ? 'why; a rejection without --token needs it' : 'why',
        '',
      );
    command
      .addHelpText(
        'after',
        `\nExamples:\n  $ perennial ${decision} flights-delay-20261121-101500-3f2a --as Ada --reason "${decision === 'approve' ? 'better on all slices' : 'the data look wrong'}"\n  $ perennial ${decision} flights-delay-20261121-101500-3f2a --key ada.jwk.json --reason "${decision === 'approve' ? 'better on all slices' : 'the data look wrong'}"`,
      )
      .action((workflowId: string, options: ReviewOptions, self: Command) => {
        const output = outputOf(self);
        return guarded(output.json, async () => {
          if (decision === 'reject' && options.token === undefined && options.reason.trim() === '')
            throw new PerennialError('InputInvalid', 'a rejection needs --reason');
          return withContext(dataDirOf(self), async ({ perennial }) => {
            const review = await reviewOf(decision, options, workflowId, perennial);
            const answer = await perennial.review(workflowId, review);
            const done = decision === 'approve' ? 'approved' : 'rejected';
            if ('token' in review)
              output.result(answer, () =>
                options.token === undefined ? `${done} by a signed vote` : 'the signed vote counts',
              );
            else
              output.result(
                { ...answer, decision, candidate: review.candidate },
                () => `${done} candidate ${review.candidate.slice(0, 12)} as ${review.by}`,
              );
            return EXIT.ok;
          });
        });
      });
  }
}

/** The run is asked only for what the options leave open; it refuses a vote on something else by itself. */
async function reviewOf(
  decision: Decision,
  options: ReviewOptions,
  workflowId: string,
  perennial: PerennialClient,
): Promise<ReviewUpdate> {
  const { key, token, reason } = options;
  if (token !== undefined) return { token };
  const named = options.as ?? options.by;
  if (key === undefined) {
    const by = ownName(named);
    return {
      decision,
      by,
      reason,
      candidate: options.candidate ?? (await awaitingOf(workflowId, perennial)).candidate,
    };
  }
  const { candidate, run } = await awaitingOf(workflowId, perennial);
  if (options.candidate !== undefined && !candidate.startsWith(options.candidate.toLowerCase()))
    throw new PerennialError(
      'InputInvalid',
      `candidate ${options.candidate} is not the one under review; that is ${candidate.slice(0, 12)}`,
    );
  return { token: await signVote(key, { by: named, decision, reason, candidate, run }) };
}

async function awaitingOf(
  workflowId: string,
  perennial: PerennialClient,
): Promise<NonNullable<RunStatus['awaiting']>> {
  const { awaiting } = await perennial.status(workflowId);
  if (awaiting) return awaiting;
  throw new PerennialError('InputInvalid', `run ${workflowId} is not waiting for an approval`);
}
