import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findTemporalCli, packageRoot } from '../../client/platform/programs.ts';
import type { LifecycleResult, RunStatus } from '../../contracts/lifecycle.ts';
import { cleanEnvironment, cli, cliJson } from '../support/e2e-cli.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';

const MINUTE = 60_000;
const readme = readFileSync(join(packageRoot(), 'README.md'), 'utf8');

/** The `temporal` commands of the README, in order. */
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap((block) => (block[1] ?? '').split('\n'))
  .filter((line) => line.startsWith('temporal '));

const commandWith = (...words: string[]): string => {
  const command = commands.find((line) => words.every((word) => line.includes(word)));
  if (!command) throw new Error(`the README has no temporal command with ${words.join(', ')}`);
  return command;
};

/** A command line as a shell would split it; the README uses single quotes only. */
const words = (command: string): string[] =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');

describe('the temporal commands of the README, with the real CLI', () => {
  const folder = ownFolder('readme');
  const dataDir = join(folder, 'data');
  let address = '';

  const temporal = async (command: string): Promise<string> => {
    const [, ...args] = words(command);
    const { stdout, stderr } = await promisify(execFile)(findTemporalCli(undefined), args, {
      cwd: folder,
      env: cleanEnvironment({ TEMPORAL_ADDRESS: address }),
    });
    return stdout + stderr;
  };
  const waitFor = async (id: string, state: RunStatus['state']): Promise<RunStatus> => {
    for (;;) {
      const status = await cliJson<RunStatus>(['status', id], { dataDir });
      if (status.state === state) return status;
      if (['failed', 'cancelled', 'done'].includes(status.state))
        throw new Error(`run ${id} is ${status.state}: ${status.error}`);
      await sleep(500);
    }
  };
  const outcomeOf = async (id: string): Promise<LifecycleResult['outcome'] | null> =>
    (await waitFor(id, 'done')).outcome;

  beforeAll(async () => {
    const platform = await UpPlatform.up(dataDir, [join(packageRoot(), 'examples')]);
    address = platform.status.temporalAddress;
    const rendered = await cli(['render', join(packageRoot(), 'examples/bank/pipeline.yaml')], { dataDir });
    expect(rendered.stderr).toBe('');
    writeFileSync(join(folder, 'run.json'), rendered.stdout);
  }, 3 * MINUTE);
  afterAll(() => removePlatform(dataDir, folder), MINUTE);

  it('are all known to this test', () => {
    expect(commands.map((line) => words(line).slice(0, 3).join(' ')).sort()).toEqual([
      'temporal workflow query',
      'temporal workflow query',
      'temporal workflow signal',
      'temporal workflow signal',
      'temporal workflow start',
      'temporal workflow update',
      'temporal workflow update',
    ]);
  });

  it('start a run, look at it, and approve it by update', { timeout: 2 * MINUTE }, async () => {
    await temporal(commandWith('workflow start'));
    expect(await temporal(commandWith('workflow query'))).toContain('bank-subscription');
    const { awaiting } = await waitFor('bank-1', 'awaiting_approval');
    await temporal(
      commandWith('update execute').replace('CANDIDATE', awaiting?.candidate.slice(0, 12) ?? ''),
    );
    expect(await outcomeOf('bank-1')).toBe('deployed');
  });

  it.each([
    { name: 'approve', outcome: 'deployed' },
    { name: 'reject', outcome: 'rejected' },
  ])('answer by signal: $name', { timeout: 2 * MINUTE }, async ({ name, outcome }) => {
    const id = `bank-${name}`;
    await temporal(commandWith('workflow start').replace('bank-1', id));
    await waitFor(id, 'awaiting_approval');
    await temporal(commandWith('signal', `--name ${name}`).replace('bank-1', id));
    expect(await outcomeOf(id)).toBe(outcome);
  });

  it('look at the endpoint, and send it back', { timeout: MINUTE }, async () => {
    const state = async () => await temporal(commandWith('workflow query', '--type endpoint'));
    expect(await state()).toContain('"alias":"2"');
    await temporal(commandWith('update execute', '--name rollback'));
    await expect.poll(state, { timeout: MINUTE }).toContain('"alias":"1"');
  });
});
