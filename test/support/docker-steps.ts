import { execFile } from 'node:child_process';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const words = z.array(z.string());

/** What came of a Dockerfile's steps. */
export interface Image {
  /** The folder that would be the image's working directory. */
  readonly folder: string;
  readonly environment: Record<string, string>;
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
}

/**
 * Takes the steps of an export's Dockerfile one by one, where there is no Docker engine: the files that
 * `.dockerignore` lets in, the first stage's command in an empty home with the registry and nothing else, and the last
 * stage's `COPY` lines. Of the base image nothing is there but this machine's Node.
 *
 * @param exported the folder with the Dockerfile
 * @param scratch folder to work in; must be missing
 */
export async function buildBySteps(exported: string, scratch: string): Promise<Image> {
  const context = join(scratch, 'context');
  const stage = join(scratch, 'stage');
  const home = join(scratch, 'home');
  const folder = join(scratch, 'image');
  for (const path of [stage, home]) await mkdir(path, { recursive: true });
  const allowed = (await readFile(join(exported, '.dockerignore'), 'utf8')).match(/(?<=^!).+$/gm) ?? [];
  for (const name of allowed) await cp(join(exported, name), join(context, name), { recursive: true });

  const text = (await readFile(join(exported, 'Dockerfile'), 'utf8')).replaceAll(/\\\n\s*/g, ' ');
  const [runtime = '', last = ''] = text.split(/^FROM /m).slice(1);
  await copyLines(runtime, { context, stage: context }, stage);
  const ofNetwork = Object.entries(process.env).filter(([name]) =>
    /^(PATH|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|npm_config_(registry|cafile))$/i.test(name),
  );
  const [install = ''] = linesOf(runtime, 'RUN');
  await promisify(execFile)('sh', ['-c', install.replaceAll('/library', join(home, 'library'))], {
    cwd: stage,
    env: { ...Object.fromEntries(ofNetwork), HOME: home },
  });
  await copyLines(last, { context, stage }, folder);
  const environment = linesOf(last, 'ENV').flatMap((line) =>
    [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
  return {
    folder,
    environment: Object.fromEntries(environment),
    command: words.parse(JSON.parse(linesOf(last, 'CMD')[0] ?? '')),
    healthCheck: words.parse(JSON.parse(/HEALTHCHECK .*?CMD (.*)/.exec(last)?.[1] ?? '')),
  };
}

const linesOf = (stage: string, word: string): string[] =>
  stage.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));

async function copyLines(
  text: string,
  { context, stage }: { context: string; stage: string },
  target: string,
): Promise<void> {
  for (const line of linesOf(text, 'COPY')) {
    const fromStage = line.startsWith('--from=');
    const parts = line.split(' ').slice(fromStage ? 1 : 0);
    const into = join(target, parts.at(-1) ?? '');
    for (const source of parts.slice(0, -1)) {
      const from = join(fromStage ? stage : context, source.replace(/^\/app\//, ''));
      await cp(from, into.endsWith('/') ? join(into, source) : into, { recursive: true });
    }
  }
}
