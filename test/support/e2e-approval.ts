import type { RunningCommand } from './e2e-cli.ts';

/** The ways to approve that a waiting `run` prints. */
export const waysToApprove = (command: RunningCommand) =>
  command.find((stdout) => {
    const lines = stdout.split('\n').map((line) => line.trim());
    const found = {
      id: /run (\S+?),/.exec(stdout)?.[1] ?? '',
      cli: lines.find((line) => line.startsWith('perennial ')),
      update: lines.find((line) => line.startsWith('temporal workflow update')),
      signal: lines.find((line) => line.startsWith('temporal workflow signal')),
    };
    return found.cli && found.update && found.signal ? found : undefined;
  });

/** A printed command as a reviewer fills it in. */
export const signed = (line: string | undefined): string =>
  (line ?? '').replaceAll('YOUR NAME', 'Ada').replaceAll('WHY', 'better on all slices');
