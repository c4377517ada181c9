import pc from 'picocolors';
import type { RunStatus, StageStatus } from '../contracts/lifecycle.ts';
import type { Output } from './output.ts';

const MARK: Record<StageStatus['state'], string> = {
  pending: pc.dim('·'),
  running: pc.cyan('▶'),
  done: pc.green('✓'),
  failed: pc.red('✗'),
  cached: pc.green('✓'),
  reused: pc.green('↺'),
  skipped: pc.dim('–'),
};

function elapsed(stage: StageStatus): string {
  if (!stage.startedAt) return '';
  const end = stage.endedAt ? Date.parse(stage.endedAt) : Date.now();
  return `${(Math.max(0, end - Date.parse(stage.startedAt)) / 1000).toFixed(1)} s`;
}

/** Columns that stand before the summary of a stage. */
const SUMMARY_AT = 24;

/** One stage as a line; the summary is cut where the line would be wider than `width`. */
export function stageLine(stage: StageStatus, width = Number.POSITIVE_INFINITY): string {
  const room = width - SUMMARY_AT;
  const summary = stage.summary ?? '';
  const shown = summary.length > room ? `${summary.slice(0, Math.max(0, room - 1))}…` : summary;
  return `${MARK[stage.state]} ${stage.name.padEnd(9)} ${elapsed(stage).padStart(8)}  ${shown}`.trimEnd();
}

/** A run's stages and links. */
export function statusText(status: RunStatus): string {
  return [
    `${pc.bold(status.pipeline ?? '')} ${status.workflowId}: ${status.outcome ?? status.state.replace('_', ' ')}`,
    ...status.stages.map((stage) => `  ${stageLine(stage)}`),
    ...(status.awaiting?.undecided ?? []).map((line) => `  ${pc.yellow('you decide')} ${line}`),
    ...Object.entries(status.links).map(([name, url]) => `  ${name}: ${url}`),
    ...status.refused.map((item) => `  ${pc.yellow('refused')} signal ${item.signal}: ${item.reason}`),
    ...(status.error ? [`  ${pc.red('error')} ${status.error}`] : []),
  ].join('\n');
}

/** Shows a run as it goes: redrawn on a terminal, a line for each ended stage elsewhere. */
export class Progress {
  #drawn = 0;
  readonly #told = new Set<string>();

  constructor(private readonly output: Output) {}

  show(status: RunStatus): void {
    if (this.output.json) return;
    if (this.output.interactive) this.#redraw(status);
    else this.#append(status);
  }

  /** What is drawn stays; the next thing is written below it. */
  release(): void {
    this.#drawn = 0;
  }

  #redraw(status: RunStatus): void {
    const width = process.stdout.columns ?? 120;
    const lines = status.stages.map((stage) => `  ${stageLine(stage, width - 3)}`);
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A` : '';
    process.stdout.write(`${up}${lines.map((line) => `\u001b[2K${line}`).join('\n')}\n`);
    this.#drawn = lines.length;
  }

  #append(status: RunStatus): void {
    for (const stage of status.stages) {
      const ended = ['done', 'cached', 'failed', 'reused'].includes(stage.state);
      if (!ended || this.#told.has(stage.name)) continue;
      this.#told.add(stage.name);
      this.output.line(`  ${stageLine(stage)}`);
    }
  }
}
