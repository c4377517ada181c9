import { existsSync, realpathSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pc from 'picocolors';
import { PerennialError } from '../../contracts/errors.ts';
import type { Hindsight } from '../../contracts/hindsight.ts';
import { startPlatform } from '../commands/platform.ts';
import { withContext } from '../context.ts';
import { hindsightText } from '../hindsight-text.ts';
import { lookBack } from '../monitoring.ts';
import { EXIT, type Output } from '../output.ts';
import { packageRoot } from '../platform/programs.ts';
import { runningPlatform } from '../platform/running.ts';
import { ContinuousStory } from './continuous.ts';
import { HookReceiver, type PostedNotice } from './hook-receiver.ts';
import { noticeLines } from './story-lines.ts';
import { Teller } from './teller.ts';

/** What the demonstration may be told. */
export interface ContinuousOptions {
  approve: boolean;
  /** Leaves the platform running. */
  keep: boolean;
  months: number;
}

/** `demo continuous`: a model that stays good by itself, on a platform of its own. */
export async function continuousDemo(
  options: ContinuousOptions,
  dataDir: string,
  output: Output,
): Promise<number> {
  const data = join(packageRoot(), 'examples', 'bank', 'data');
  if (!existsSync(data))
    throw new PerennialError(
      'InputInvalid',
      'the data of the example are missing; run `npm run setup` in a checkout of Perennial',
    );
  const running = runningPlatform(dataDir);
  if (running && !running.replay)
    throw new PerennialError(
      'InputInvalid',
      `a platform runs on ${dataDir} that takes no recorded traffic; stop it with \`perennial down\`, or take another --data-dir`,
    );
  const teller = new Teller(output);
  const notices: PostedNotice[] = [];
  const hook =
    running || process.env.PERENNIAL_NOTIFY_URL
      ? undefined
      : await HookReceiver.start((notice) => {
          notices.push(notice);
          teller.line(...noticeLines(notice));
        });
  const startedAt = performance.now();
  output.line(pc.bold('Platform'));
  if (running) output.line('  already running, and takes recorded traffic; alerts go where it tells them');
  else if (!hook) output.line('  alerts go to the web hook of PERENNIAL_NOTIFY_URL');
  const own = running
    ? undefined
    : await startPlatform(
        {
          dataDir,
          // The data may be a link to where they lie.
          sourceRoots: [join(packageRoot(), 'examples'), realpathSync(data)],
          replay: true,
          env: { ...process.env, ...hook?.environment },
        },
        (line) => output.line(line),
      );
  own?.stopOnSignals();
  try {
    return await withContext(dataDir, async (context) => {
      const story = await ContinuousStory.open(context, { output, teller, options });
      output.line(pc.bold('\nThe first version, by what was known then'));
      const first = await story.firstVersion();
      if (!first) return EXIT.failed;
      if (first.outcome !== 'deployed' || first.version === null) {
        output.result(first, () => `\n${first.outcome}: ${first.message}`);
        return EXIT.notDeployed;
      }
      output.line(pc.bold('\nIn production, month by month'));
      const told = await story.months();
      if (!told) {
        if (own)
          output.line('The platform of the demo stops now; `perennial up --replay` takes it up where it is.');
        return EXIT.failed;
      }
      const report = await newReport(dataDir, story.endpoint);
      const hindsight = await lookBack(
        { endpoint: story.endpoint, version: first.version, windows: told.months.length, report },
        dataDir,
      );
      const links = await story.links();
      const seconds = (performance.now() - startedAt) / 1_000;
      output.result({ ...told, notices, hindsight, report, links, seconds }, () =>
        closingText({ hindsight, report, links, seconds }),
      );
      if (options.keep && own) {
        output.line(`\nLeft running; Ctrl-C or \`perennial down\` stops it.`);
        await own.closed;
      }
      return EXIT.ok;
    });
  } finally {
    await own?.stop();
    await hook?.close();
  }
}

/** A page of its own each time. */
async function newReport(dataDir: string, endpoint: string): Promise<string> {
  const folder = join(resolve(dataDir), 'demo');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  return join(folder, `${endpoint}-${time}.html`);
}

function closingText({
  hindsight,
  report,
  links,
  seconds,
}: {
  hindsight: Hindsight;
  report: string;
  links: Record<string, string>;
  seconds: number;
}): string {
  return [
    `\n${pc.bold('With and without Perennial')}`,
    hindsightText(hindsight),
    `\n${pc.bold('Look at')}`,
    ...Object.entries({ 'With and without': report, ...links }).map(
      ([name, where]) => `  ${name.padEnd(18)} ${where}`,
    ),
    `\n${pc.bold('Time')}  ${seconds.toFixed(0)} s`,
  ].join('\n');
}
