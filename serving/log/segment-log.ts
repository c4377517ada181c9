import {
  closeRequestedAt,
  Segment,
  serverFolder,
  spooled,
  writerName,
} from '../../lib/predictions/segments.ts';
import type { Block, Spool } from '../../lib/predictions/spool.ts';
import type { BlobKey } from '../../lib/store/sealed-format.ts';

/** How a {@link SegmentLog} writes. */
export interface SegmentLogOptions {
  /** The folder of all servers' segments. */
  readonly folder: string;
  readonly serverId: string;
  /** The key of new segments; asked for each. `undefined`: not encrypted. */
  readonly key: () => Promise<BlobKey | undefined>;
  /** Milliseconds between two writes; a killed process loses no more. Default 100. */
  readonly writeMs?: number | undefined;
  /** Milliseconds between two synchronisations; a power cut loses no more. Default 1000. */
  readonly syncMs?: number | undefined;
  /** A segment is closed, and can be rolled, when it is so old, in milliseconds; default 5 minutes. */
  readonly rotateMs?: number | undefined;
  /** … or so large, in bytes; default 64 MiB. */
  readonly rotateBytes?: number | undefined;
  /** The most bytes of segments in the server's folder; beyond that nothing is recorded. Default 2 GB. */
  readonly spoolBytes?: number | undefined;
  /** Told when the disk fails and when it is back; not of every attempt between. */
  readonly onChange?: ((failing: string | undefined) => void) | undefined;
}

const RETRY_MS = { first: 500, most: 5_000 } as const;

/**
 * Writes what a spool holds to segment files, beside the requests. Where the disk fails, what was not written waits in
 * the spool's bounded memory, and is tried again until it goes: nobody who serves ever waits for it.
 */
export class SegmentLog {
  /** Bytes written since the start. */
  bytes = 0;
  /** Bytes of all segments in the server's folder, as of the last look. */
  spoolBytes = 0;
  /** Segments there that could not be read and were set aside, as of the last look. They do not count as bytes. */
  unreadable = 0;
  /** Why nothing can be written now, as a code of the system such as `ENOSPC`. */
  failing: string | undefined;
  readonly #writer = writerName();
  readonly #folder: string;
  readonly #writeMs: number;
  readonly #syncMs: number;
  readonly #rotateMs: number;
  readonly #rotateBytes: number;
  readonly #limit: number;
  #segment: Segment | undefined;
  #segments = 0;
  /** The oldest record that was written and not synchronised, milliseconds of `performance.now()`. */
  #unsyncedSince: number | undefined;
  #syncedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  /** A flush that waits for its round. */
  #flush: Promise<boolean> | undefined;
  /** Segments that could not be closed. */
  #unclosed: Segment[] = [];
  #retryMs: number = RETRY_MS.first;
  #closed = false;

  constructor(
    private readonly spool: Spool,
    private readonly options: SegmentLogOptions,
  ) {
    this.#folder = serverFolder(options.folder, options.serverId);
    this.#writeMs = options.writeMs ?? 100;
    this.#syncMs = options.syncMs ?? 1_000;
    this.#rotateMs = options.rotateMs ?? 300_000;
    this.#rotateBytes = options.rotateBytes ?? 64 * 2 ** 20;
    this.#limit = options.spoolBytes ?? 2e9;
    this.#plan(this.#writeMs);
  }

  /** Whether the disk holds so much that nothing more is taken. */
  get isFull(): boolean {
    return this.spoolBytes > this.#limit;
  }

  /** Seconds since the oldest record came that a power cut would lose; 0 where there is none. */
  get unsyncedSeconds(): number {
    const since = this.#unsyncedSince ?? this.spool.since;
    return since === undefined ? 0 : (performance.now() - since) / 1000;
  }

  /**
   * Puts everything on disk now.
   *
   * @returns whether that went well
   */
  flush(): Promise<boolean> {
    this.#flush ??= this.#flushed();
    return this.#flush;
  }

  async #flushed(): Promise<boolean> {
    // A round that is under way may have passed by what was added meanwhile.
    await this.#round;
    while (this.#round !== undefined) await this.#round;
    // Whoever comes from now on may be too late for this round; those who came before share it.
    this.#flush = undefined;
    await this.#run(true);
    return this.failing === undefined;
  }

  /** Writes what is left, once, and closes the segment. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.flush();
    await this.#rotate().catch(() => undefined);
  }

  #plan(afterMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#run(false).finally(() =>
        this.#plan(this.failing === undefined ? this.#writeMs : this.#retryMs),
      );
    }, afterMs);
    // Nobody keeps a server running to log what it does not answer.
    this.#timer.unref();
  }

  #run(sync: boolean): Promise<void> {
    this.#round ??= this.#work(sync).finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #work(sync: boolean): Promise<void> {
    try {
      for (let block = this.spool.take(); block; block = this.spool.take()) await this.#write(block);
      if (sync || performance.now() - this.#syncedAt >= this.#syncMs) await this.#sync();
      if (this.#unclosed.length > 0 || (this.#segment && (await this.#isDone(this.#segment))))
        await this.#rotate();
      this.#retryMs = RETRY_MS.first;
      if (this.failing !== undefined) this.#changed(undefined);
    } catch (error) {
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
      // The file ends with what was whole: a torn block can only be its last.
      await this.#rotate().catch(() => undefined);
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      if (this.failing !== code) this.#changed(code);
    }
  }

  async #write(block: Block): Promise<void> {
    try {
      this.#segment ??= await Segment.begin(
        this.#folder,
        this.#writer,
        this.#segments++,
        await this.options.key(),
      );
      const { buffer, since } = block;
      const before = this.#segment.bytes;
      await this.#segment.append(buffer.written());
      this.#unsyncedSince ??= since;
      this.bytes += this.#segment.bytes - before;
      this.spoolBytes += this.#segment.bytes - before;
    } catch (error) {
      this.spool.putBack(block);
      throw error;
    }
    this.spool.release(block);
  }

  async #sync(): Promise<void> {
    if (this.#unsyncedSince !== undefined) await this.#segment?.sync();
    this.#unsyncedSince = undefined;
    this.#syncedAt = performance.now();
    ({ bytes: this.spoolBytes, unreadable: this.unreadable } = await spooled(this.#folder));
  }

  async #isDone(segment: Segment): Promise<boolean> {
    if (segment.bytes >= this.#rotateBytes || Date.now() - segment.begunAt >= this.#rotateMs) return true;
    const asked = await closeRequestedAt(this.#folder);
    // A file system's clock may be coarser than this process's.
    return asked !== undefined && asked + 1 >= segment.begunAt;
  }

  async #rotate(): Promise<void> {
    if (this.#segment) this.#unclosed.push(this.#segment);
    this.#segment = undefined;
    this.#unsyncedSince = undefined;
    for (let segment = this.#unclosed[0]; segment; segment = this.#unclosed[0]) {
      await segment.close();
      this.#unclosed.shift();
    }
  }

  #changed(failing: string | undefined): void {
    this.failing = failing;
    this.options.onChange?.(failing);
  }
}
