import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import { withContext } from '../context.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface ReviewOptions {
  by: string;
  reason: string;
  candidate?: string;
}

/** `approve` and `reject`: by update, so that a vote that does not count is refused with a reason. */
export function registerReviewCommands(program: Command): void {
  for (const decision of ['approve', 'reject'] as const) {
    const command = program
      .command(decision)
      .argument('<run>', 'id of a run that waits for approval')
      .description(`${decision} the candidate that a run waits with`)
      .requiredOption('--by <name>', 'who decides')
      .option(
        '--candidate <digest>',
        'the candidate that is meant, 8 or more characters; default: the one under review',
      );
    if (decision === 'reject') command.requiredOption('--reason <text>', 'why');
    else command.option('--reason <text>', 'why', '');
    command
      .addHelpText(
        'after',
        `\nExample:\n  $ perennial ${decision} flights-delay-20261121-101500-3f2a --by Ada --reason "${decision === 'approve' ? 'better on all slices' : 'the data look wrong'}"`,
      )
      .action((workflowId: string, options: ReviewOptions, self: Command) => {
        const output = outputOf(self);
        return guarded(output.json, () =>
          withContext(dataDirOf(self), async ({ perennial }) => {
            const candidate = options.candidate ?? (await perennial.status(workflowId)).awaiting?.candidate;
            if (!candidate)
              throw new PerennialError('InputInvalid', `run ${workflowId} is not waiting for an approval`);
            const answer = await perennial.review(workflowId, {
              decision,
              by: options.by,
              reason: options.reason,
              candidate,
            });
            output.result(
              { ...answer, decision, candidate },
              () =>
                `${decision === 'approve' ? 'approved' : 'rejected'} candidate ${candidate.slice(0, 12)} as ${options.by}`,
            );
            return EXIT.ok;
          }),
        );
      });
  }
}
