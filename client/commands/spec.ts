import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { pipelineJsonSchema } from '../../contracts/spec/json-schema.ts';
import { askDataEngine } from '../data-engine.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { loadSpec } from '../spec-file.ts';
import { TEMPLATE } from './template.ts';

const checkAnswer = z.object({
  ok: z.literal(true),
  sources: z.array(z.object({ name: z.string(), files: z.number(), columns: z.number() })),
  columns: z.array(z.object({ name: z.string(), type: z.string(), role: z.string() })),
  personal: z.array(z.string()),
});

/** `check`, `schema`, `init`: writing a spec. */
export function registerSpecCommands(program: Command): void {
  program
    .command('check')
    .argument('<spec>', 'pipeline spec: .yaml, .json or .ts')
    .description("check a spec against the real data's columns, without running it")
    .action((file: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const { input, spec } = await loadSpec(file);
        const answer = await askDataEngine('check', input, checkAnswer).catch((error: unknown) => {
          if (!(error instanceof PerennialError) || error.code === 'StageFailed') throw error;
          throw new PerennialError('SpecInvalid', `${file}: ${error.code}: ${error.message}`);
        });
        output.result(answer, () =>
          [
            `${pc.green('✓')} ${spec.name}: ${answer.sources.map((source) => `${source.name} (${source.files} file(s), ${source.columns} columns)`).join(', ')}`,
            columns([
              ['COLUMN', 'TYPE', 'ROLE'],
              ...answer.columns.map((column) => [column.name, column.type, column.role]),
            ]),
            ...answer.personal.map((words) => `${pc.yellow('!')} ${words}`),
          ].join('\n'),
        );
        return EXIT.ok;
      });
    });

  program
    .command('schema')
    .description('print the JSON Schema of pipeline specs, for editors')
    .action((_options: unknown, command: Command) =>
      guarded(outputOf(command).json, async () => {
        process.stdout.write(`${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`);
        return EXIT.ok;
      }),
    );

  program
    .command('init')
    .argument('[folder]', 'where to write', '.')
    .description('write a small pipeline with data to start from')
    .action((folder: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const files = Object.entries(TEMPLATE).map(([name, content]) => ({
          path: join(folder, name),
          content: content(),
        }));
        const taken = files.find(({ path }) => existsSync(path));
        if (taken)
          throw new PerennialError(
            'InputInvalid',
            `${taken.path} exists already; nothing was written. Name another folder`,
          );
        for (const { path, content } of files) {
          await mkdir(dirname(path), { recursive: true });
          await writeFile(path, content);
        }
        const paths = files.map(({ path }) => path);
        output.result(
          { files: paths },
          () =>
            `wrote ${paths.join(', ')}\nnext: perennial check ${paths[0]}; perennial up; perennial run ${paths[0]}`,
        );
        return EXIT.ok;
      });
    });
}
