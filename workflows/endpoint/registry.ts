import { CancellationScope, condition, isCancellation, log } from '@temporalio/workflow';
import { setChampion, tagVersion } from '../activities.ts';
import { words } from '../failure-words.ts';
import type { EndpointHolder } from './routes.ts';

/**
 * Lets the registry follow what serves: the alias `champion`, and the notes on versions. It runs beside the changes,
 * so that a rollback never waits for MLflow. A write that another change overtook is cancelled and awaited before
 * the next begins: none lands late.
 */
export class EndpointRegistry {
  #writing: { version: string | null; scope: CancellationScope } | undefined;
  /** The version whose alias the registry refused for good. */
  #refused: string | null | undefined;
  #stopped = false;
  #following: Promise<void> = Promise.resolve();

  constructor(private readonly holder: EndpointHolder) {
    this.start();
  }

  /** Follows from now on, until {@link stop}. */
  start(): void {
    this.#stopped = false;
    this.#following = this.#follow();
  }

  /** What serves has changed: a write of another version is given up. */
  wake(): void {
    const wanted = this.#wanted;
    if (this.#refused !== wanted) {
      this.#refused = undefined;
      this.holder.state = { ...this.holder.state, aliasProblem: null };
    }
    if (this.#writing && this.#writing.version !== wanted) this.#writing.scope.cancel();
  }

  /**
   * Waits until the alias names `version`, or will not.
   *
   * @returns `overtaken`: another version serves meanwhile; otherwise why the registry refuses
   */
  async named(version: string): Promise<'named' | 'overtaken' | { refused: string }> {
    await condition(
      () =>
        (this.holder.state.alias === version && !this.holder.state.aliasUncertain) ||
        this.#wanted !== version ||
        this.holder.state.aliasProblem !== null,
    );
    if (this.#wanted !== version) return 'overtaken';
    const { aliasProblem } = this.holder.state;
    return aliasProblem === null ? 'named' : { refused: aliasProblem };
  }

  /** Gives up what is under way; what is not written goes into the next run of the workflow. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#writing?.scope.cancel();
    await this.#following;
  }

  get #wanted(): string | null {
    return this.holder.state.current?.version ?? null;
  }

  get #aliasBehind(): boolean {
    const { alias, aliasUncertain } = this.holder.state;
    return (aliasUncertain || alias !== this.#wanted) && this.#refused !== this.#wanted;
  }

  get #behind(): boolean {
    return this.#aliasBehind || this.holder.state.notes.length > 0;
  }

  /** Not ended by a cancellation of the workflow: what serves must be named. */
  #follow(): Promise<void> {
    return CancellationScope.nonCancellable(async () => {
      for (;;) {
        await condition(() => this.#stopped || this.#behind);
        if (this.#stopped) return;
        if (this.#aliasBehind) await this.#writeAlias();
        else await this.#writeNote();
      }
    });
  }

  async #writeAlias(): Promise<void> {
    const version = this.#wanted;
    const modelName = this.holder.state.table.endpoint;
    this.holder.state = { ...this.holder.state, aliasUncertain: true };
    try {
      await this.#cancellable(version, () => setChampion({ modelName, version }));
      this.holder.state = {
        ...this.holder.state,
        alias: version,
        aliasUncertain: false,
        aliasProblem: null,
      };
    } catch (error) {
      if (isCancellation(error)) return;
      log.error(`the alias champion of ${modelName} cannot be set: ${words(error)}`);
      this.#refused = version;
      this.holder.state = { ...this.holder.state, aliasProblem: words(error) };
    }
  }

  async #writeNote(): Promise<void> {
    const [note] = this.holder.state.notes;
    if (!note) return;
    const modelName = this.holder.state.table.endpoint;
    try {
      await this.#cancellable(this.#wanted, () => tagVersion({ modelName, ...note }));
    } catch (error) {
      if (isCancellation(error)) return;
      log.error(`version ${note.version} of ${modelName} could not be tagged: ${words(error)}`);
    }
    this.holder.state = {
      ...this.holder.state,
      notes: this.holder.state.notes.filter((other) => other !== note),
    };
  }

  async #cancellable(version: string | null, work: () => Promise<void>): Promise<void> {
    const scope = new CancellationScope({ cancellable: true });
    this.#writing = { version, scope };
    try {
      await scope.run(work);
    } finally {
      this.#writing = undefined;
    }
  }
}
