import { resolve } from 'node:path';
import type { Command } from 'commander';
import { makeApproverKey } from '../approver-key.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { ownName } from '../person.ts';

/** `approver key`: keys that votes are signed with. */
export function registerApproverCommands(program: Command): void {
  program
    .command('approver')
    .description('keys of people who sign their votes')
    .command('key')
    .description('make a key pair (Ed25519), and print the entry for the list of approvers')
    .option('--name <name>', 'whose key it is (default: PERENNIAL_USER, else the user of the system)')
    .requiredOption('--out <file>', 'new file of the private key, which only you can read')
    .addHelpText(
      'after',
      '\nThe file of the list is named by PERENNIAL_APPROVERS on the worker: {"approvers": [ENTRY, …]}. See docs/approvals.md.\n\nExample:\n  $ perennial approver key --name Ada --out ada.jwk.json',
    )
    .action((options: { name?: string; out: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const file = resolve(options.out);
        const entry = await makeApproverKey(ownName(options.name), file);
        output.notice(
          `the private key is in ${file}; it stays with ${entry.name}. For the list of approvers:`,
        );
        output.result(entry, () => JSON.stringify(entry, null, 2));
        return EXIT.ok;
      });
    });
}
