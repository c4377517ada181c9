import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'vitest';

const MODULE = fileURLToPath(new URL('./step-gate.mjs', import.meta.url));

/**
 * Holds the activities of endpoints, their roll-outs, looks, alerts and retrainings, one step of each endpoint, until it
 * is opened. A step is named `endpoint applyRoutes before`: the workflow, the activity, and whether its work is still to
 * come.
 */
export class StepGate {
  #round = 0;

  constructor(private readonly folder: string) {
    for (const name of ['plans', 'steps', 'held', 'open']) mkdirSync(join(folder, name), { recursive: true });
  }

  /** Arguments that come before a program. */
  get preload(): string[] {
    return ['--import', pathToFileURL(MODULE).href];
  }

  get environment(): Record<string, string> {
    return { PERENNIAL_TEST_GATE: this.folder };
  }

  /** Writes down which steps an endpoint goes through from now on. */
  record(name: string): void {
    this.#plan(name, { record: true });
  }

  /** The steps since {@link record}, each once. */
  steps(name: string): string[] {
    const path = join(this.folder, 'steps', name);
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
    rmSync(path, { force: true });
    rmSync(join(this.folder, 'plans', `${name}.json`), { force: true });
    return [...new Set(lines)];
  }

  /** Each of these endpoints is to stop at a step of its own. */
  hold(steps: ReadonlyMap<string, string>): void {
    this.#round += 1;
    for (const name of readdirSync(join(this.folder, 'held'))) rmSync(join(this.folder, 'held', name));
    for (const [name, hold] of steps) this.#plan(name, { hold, round: String(this.#round) });
  }

  /** Waits until all of them stand at their step. */
  async held(names: Iterable<string>): Promise<void> {
    await expect
      .poll(() => readdirSync(join(this.folder, 'held')).sort(), { timeout: 90_000, interval: 50 })
      .toEqual([...names].sort());
  }

  /** Lets them go on. */
  open(): void {
    writeFileSync(join(this.folder, 'open', String(this.#round)), '');
  }

  #plan(name: string, plan: { record?: boolean; hold?: string; round?: string }): void {
    writeFileSync(join(this.folder, 'plans', `${name}.json`), JSON.stringify(plan));
  }
}
