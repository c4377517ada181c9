import { FrameBuffer } from './frame-buffer.ts';
import { layoutRoom, predictionRoom, truthRoom, writeLayout, writePrediction, writeTruth } from './frames.ts';
import type { FrameLayout, PredictionRecord, TruthRecord } from './records.ts';

/** Why a record was not taken. */
export type SpoolRefusal = 'memory' | 'size';

/** Limits of a {@link Spool}, in bytes. */
export interface SpoolLimits {
  /** Of one block, a multiple of 8; larger frames get a block of their own. Default 256 KiB. */
  readonly block?: number | undefined;
  /** Of all blocks that wait to be written. Default 32 MiB. */
  readonly memory?: number | undefined;
}

/** Frames that are written together: whole, readable without any other block. */
export class Block {
  readonly buffer: FrameBuffer;
  readonly layouts = new Map<FrameLayout, number>();
  records = 0;
  /** When the first record came, milliseconds of `performance.now()`. */
  since = 0;

  constructor(size: number) {
    this.buffer = new FrameBuffer(size);
  }

  reset(): void {
    this.buffer.reset();
    this.layouts.clear();
    this.records = 0;
  }

  count(): void {
    if (this.records === 0) this.since = performance.now();
    this.records += 1;
  }
}

const BLOCK = 256 * 1024;
const MEMORY = 32 * 1024 * 1024;
/** Written blocks that are kept for new records. */
const FREE_BLOCKS = 4;

/**
 * Records that wait to be written, in memory of a bounded size. Adding copies: whoever gave a record may use its memory
 * again at once.
 */
export class Spool {
  readonly #size: number;
  readonly #limit: number;
  readonly #full: Block[] = [];
  readonly #free: Block[] = [];
  #current: Block;
  /** Bytes of all blocks but the current one and the free ones. */
  #held = 0;

  constructor({ block = BLOCK, memory = MEMORY }: SpoolLimits = {}) {
    this.#size = block;
    this.#limit = memory;
    this.#current = new Block(block);
  }

  /** Bytes of records that wait. */
  get bytes(): number {
    return this.#held + this.#current.buffer.end;
  }

  get isEmpty(): boolean {
    return this.#held === 0 && this.#current.records === 0;
  }

  /** When the oldest record came, milliseconds of `performance.now()`. */
  get since(): number | undefined {
    const oldest = this.#full[0] ?? this.#current;
    return oldest.records === 0 ? undefined : oldest.since;
  }

  /** @returns why it was not taken */
  addPrediction(record: PredictionRecord): SpoolRefusal | undefined {
    const { layout } = record;
    const room = predictionRoom(record);
    let number = this.#current.layouts.get(layout);
    if (number === undefined || !this.#current.buffer.fits(room)) {
      const refusal = this.#provide(room + layoutRoom(layout));
      if (refusal) return refusal;
      const { layouts, buffer } = this.#current;
      number = layouts.size;
      writeLayout(buffer, layout, number);
      layouts.set(layout, number);
    }
    writePrediction(this.#current.buffer, record, number);
    this.#current.count();
    return undefined;
  }

  /** @returns why it was not taken */
  addTruth(truth: TruthRecord): SpoolRefusal | undefined {
    const refusal = this.#provide(truthRoom(truth));
    if (refusal) return refusal;
    writeTruth(this.#current.buffer, truth);
    this.#current.count();
    return undefined;
  }

  /** The oldest block, for writing; afterwards {@link release} it, or {@link putBack} where that failed. */
  take(): Block | undefined {
    const block = this.#full.shift();
    if (block) return block;
    if (this.#current.records === 0) return undefined;
    const taken = this.#current;
    this.#held += taken.buffer.size;
    this.#current = this.#free.pop() ?? new Block(this.#size);
    return taken;
  }

  release(block: Block): void {
    this.#held -= block.buffer.size;
    if (block.buffer.size !== this.#size || this.#free.length >= FREE_BLOCKS) return;
    block.reset();
    this.#free.push(block);
  }

  putBack(block: Block): void {
    this.#full.unshift(block);
  }

  /** Makes sure that the current block has room. */
  #provide(bytes: number): SpoolRefusal | undefined {
    if (this.#current.buffer.fits(bytes)) return undefined;
    const size = Math.max(this.#size, (bytes + 16) & -8);
    if (size > this.#limit) return 'size';
    if (this.#held + this.#current.buffer.size + size > this.#limit) return 'memory';
    if (this.#current.records > 0) {
      this.#full.push(this.#current);
      this.#held += this.#current.buffer.size;
    }
    this.#current = (size === this.#size ? this.#free.pop() : undefined) ?? new Block(size);
    return undefined;
  }
}
