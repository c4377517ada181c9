import { execFile } from 'node:child_process';

/** What the Temporal CLI answered. */
export interface CliAnswer {
  code: number;
  /** Standard output and standard error. */
  text: string;
}

/** Calls the real Temporal CLI, as people do; never through a shell. */
export function temporalCli(cli: string, address: string, args: readonly string[]): Promise<CliAnswer> {
  const all = [...args, '--address', address, '--disable-config-file', '--color', 'never'];
  return new Promise((resolve) => {
    execFile(cli, all, { timeout: 40_000, maxBuffer: 10_000_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, text: `${stdout}${stderr}` }),
    );
  });
}
