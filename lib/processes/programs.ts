import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { describeIssues, nearest } from '../../contracts/issues.ts';
import type { Candidate } from '../../contracts/spec/candidates.ts';
import { Secrets } from '../secrets.ts';

const text = z
  .string()
  .max(4_096)
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character');
const program = z.strictObject({
  /** The executable and its first arguments; `--request FILE` is added. */
  command: z.tuple([text.min(1)], text),
  /** Further variables of its environment. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of a variable'), text).default({}),
});
const programs = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'is no name: letters, digits, ".", "_" and "-"'),
  program,
);

/** The programs that a worker may start for trainer `command`, by the name that specs call them. */
export type Programs = Readonly<Record<string, z.infer<typeof program>>>;

/** What `runTrainer` starts. */
export interface ProgramCommand {
  program: string;
  args: string[];
  env: Record<string, string>;
}

/**
 * Reads the file that `PERENNIAL_PROGRAMS` names. A program and arguments that begin with `./` or `../` are relative to
 * the file's folder, since programs run in a scratch folder. A bare name of a program is looked up in `PATH`.
 *
 * @throws PerennialError `InputInvalid` saying what is wrong where
 * @example
 * // programs.json: { "forest": { "command": ["/usr/bin/Rscript", "./train.R"], "env": { "R_LIBS": "/opt/R" } } }
 * readPrograms('/etc/perennial/programs.json').forest?.command; // ['/usr/bin/Rscript', '/etc/perennial/train.R']
 */
export function readPrograms(path: string): Programs {
  const content = jsonOf(path);
  const parsed = programs.safeParse(content);
  if (!parsed.success)
    throw refused(
      `${path} is not {"NAME": {"command": ["/path/to/program", "argument"], "env": {"NAME": "value"}}}:\n${describeIssues(parsed.error, content)}`,
    );
  const folder = dirname(path);
  return Object.fromEntries(
    Object.entries(parsed.data).map(([name, { command, env }]) => {
      const [executable, ...args] = command;
      if (executable.includes('/') && !/^(\/|\.\.?\/)/.test(executable))
        throw refused(`${path}: ${name}: write ./${executable} for a program beside this file`);
      const lost = args.find((arg) => !/^[./]/.test(arg) && isFile(resolve(folder, arg)));
      if (lost !== undefined)
        throw refused(
          `${path}: ${name}: the argument "${lost}" is a file beside this one, and would not be found from the scratch folder that programs run in; write ./${lost}`,
        );
      return [
        name,
        { command: [placed(executable, folder), ...args.map((arg) => placed(arg, folder))], env },
      ];
    }),
  );
}

/**
 * The command line of a candidate of trainer `command`. Secrets that its environment refers to are resolved.
 *
 * @throws PerennialError `SourceDenied` where the worker has no program of that name, `SecretMissing`
 * @example
 * await runTrainer({ ...programCommand(config, { program: 'forest' }), request, scratchDir, signal, onEvent });
 */
export function programCommand(
  { programs: allowed = {} }: { programs?: Programs },
  { program: name }: Pick<Extract<Candidate, { trainer: 'command' }>, 'program'>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ProgramCommand {
  const names = Object.keys(allowed);
  const found = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
  if (!found) {
    const word = nearest(name, names);
    const allows = names.length === 0 ? 'none' : names.join(', ');
    throw new PerennialError(
      'SourceDenied',
      `This worker may not start the program "${name}"; it may start ${allows}.${word ? ` Did you mean "${word}"?` : ''} Correct the candidate's program, or list it in the file that PERENNIAL_PROGRAMS of the worker names, and start the worker again.`,
    );
  }
  const secrets = new Secrets(environment);
  const [executable, ...args] = found.command;
  return {
    program: executable,
    args,
    env: Object.fromEntries(
      Object.entries(found.env).map(([key, value]) => [key, secrets.resolve(value)] as const),
    ),
  };
}

const placed = (word: string, folder: string): string =>
  /^\.\.?\//.test(word) ? resolve(folder, word) : word;

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

function jsonOf(path: string): unknown {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw refused(`${path} cannot be read${code}`);
  }
  try {
    return JSON.parse(content);
  } catch {
    throw refused(`${path} is not JSON`);
  }
}

const refused = (what: string): PerennialError =>
  new PerennialError('InputInvalid', `PERENNIAL_PROGRAMS: ${what}`);
