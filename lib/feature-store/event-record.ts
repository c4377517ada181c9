import { crc32 } from 'node:zlib';
import { OnlineStoreError } from './online-store.ts';
import { addEvent, clearState, mergeState, STATE_WIDTH } from './window-state.ts';

/*
 * The events of one entity in one stretch of time, its bucket, as they lie in the online store. Few of them are one
 * record: all times, then the values column by column, then the states of blocks of events. Of many, the bucket is cut
 * into slices of time, each a record of its own, and the main record has the state of each and of all of them: what
 * lies between the edges of a window is then read as states, however many events there are. Where a slice is follows
 * from the time alone, so that a look-up knows what to ask for before it has read anything.
 *
 * ```
 * header, 16 bytes:  format 1 | kind | values, uint16 | count, uint32 | CRC-32 of all but these 4 bytes | 4 zeros
 * kind 0, events:    times | for each value: a double for each event | for each value: a state for each full block
 * kind 1, slices:    their numbers | for each value: the state of all | for each slice and value: its state
 * ```
 *
 * All numbers behind the header are doubles; all are little-endian, as all machines are that Node runs on but one.
 */

/** It is part of what a view's stretches are compared by: another format writes everything anew. */
export const RECORD_FORMAT = 1;
/** Slices of a bucket. */
export const SLICES = 64;
/** Events in a block: a look-up adds fewer than two blocks of single events at each edge. */
const BLOCK = 128;
/** More events than these are cut into slices. */
const MOST_TOGETHER = 512;

const HEADER = 16;
const DOUBLE = 8;
const CRC_AT = 8;
const EVENTS = 0;
const IN_SLICES = 1;

/** The record of a bucket itself; the others are slices, from 1 on. */
export const MAIN = 0;

/** A stretch of time: [start, start + length), microseconds. */
export interface Bucket {
  readonly start: number;
  readonly length: number;
}

/** Of which slice of a bucket a moment is: 1 to {@link SLICES}. Its writer and its reader only have to agree. */
export function sliceOf({ start, length }: Bucket, moment: number): number {
  return 1 + Math.min(SLICES - 1, Math.max(0, Math.floor(((moment - start) / length) * SLICES)));
}

/** Which bucket a moment is of; exact for whole microseconds. */
export function bucketOf(moment: number, length: number): number {
  const rest = moment % length;
  return (moment - (rest < 0 ? rest + length : rest)) / length;
}

/** Events in the order of their times. */
export interface Events {
  readonly times: Float64Array;
  /** For each value a column. */
  readonly values: readonly Float64Array[];
  readonly count: number;
}

/** The records of an entity's events in a bucket. @param mostTogether how many events are not cut into slices */
export function recordsOf(
  bucket: Bucket,
  events: Events,
  mostTogether = MOST_TOGETHER,
): { slice: number; bytes: Buffer }[] {
  if (events.count <= mostTogether) return [{ slice: MAIN, bytes: eventsRecord(events, 0, events.count) }];
  const width = events.values.length;
  const records: { slice: number; bytes: Buffer }[] = [];
  const states: number[] = [];
  const total = cleared(width);
  for (let from = 0; from < events.count; ) {
    const slice = sliceOf(bucket, events.times[from] ?? 0);
    let to = from + 1;
    while (to < events.count && sliceOf(bucket, events.times[to] ?? 0) === slice) to++;
    const state = cleared(width);
    for (let value = 0; value < width; value++) {
      const at = value * STATE_WIDTH;
      for (let place = from; place < to; place++)
        addEvent(state, at, events.values[value]?.[place] ?? Number.NaN, events.times[place] ?? 0);
      mergeState(total, at, state, at);
    }
    states.push(...state);
    records.push({ slice, bytes: eventsRecord(events, from, to) });
    from = to;
  }
  const body = [...records.map(({ slice }) => slice), ...total, ...states];
  const main = packed(IN_SLICES, width, records.length, body.length);
  main.body.set(body);
  return [{ slice: MAIN, bytes: finished(main.bytes) }, ...records];
}

function eventsRecord({ times, values }: Events, from: number, to: number): Buffer {
  const count = to - from;
  const blocks = Math.floor(count / BLOCK);
  const width = values.length;
  const { bytes, body } = packed(EVENTS, width, count, count * (1 + width) + blocks * width * STATE_WIDTH);
  body.set(times.subarray(from, to));
  values.forEach((column, value) => {
    body.set(column.subarray(from, to), count * (1 + value));
  });
  let at = count * (1 + width);
  for (let value = 0; value < width; value++)
    for (let block = 0; block < blocks; block++, at += STATE_WIDTH) {
      clearState(body, at);
      for (let place = block * BLOCK; place < (block + 1) * BLOCK; place++)
        addEvent(body, at, body[count * (1 + value) + place] ?? Number.NaN, body[place] ?? 0);
    }
  return finished(bytes);
}

function cleared(width: number): Float64Array<ArrayBuffer> {
  const states = new Float64Array(width * STATE_WIDTH);
  for (let value = 0; value < width; value++) clearState(states, value * STATE_WIDTH);
  return states;
}

function packed(kind: number, width: number, count: number, doubles: number) {
  const memory = new ArrayBuffer(HEADER + doubles * DOUBLE);
  const bytes = Buffer.from(memory);
  bytes.writeUInt8(RECORD_FORMAT, 0);
  bytes.writeUInt8(kind, 1);
  bytes.writeUInt16LE(width, 2);
  bytes.writeUInt32LE(count, 4);
  return { bytes, body: new Float64Array(memory, HEADER) };
}

function finished(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(checksum(bytes), CRC_AT);
  return bytes;
}

const checksum = (bytes: Uint8Array): number =>
  crc32(bytes.subarray(CRC_AT + 4), crc32(bytes.subarray(0, CRC_AT)));

/**
 * Memory for the records of one look-up, used again for the next: numbers have to stand at multiples of eight bytes, and
 * memory for each record would be given and taken a hundred thousand times a second.
 */
export class RecordMemory {
  #memory = new ArrayBuffer(0);
  #used = 0;

  /** What was copied before is not used any more. */
  clear(): void {
    this.#used = 0;
  }

  copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const at = this.#used;
    const end = at + bytes.length;
    if (end > this.#memory.byteLength) {
      // Records that were copied already keep the memory that they are in.
      this.#memory = new ArrayBuffer(Math.max(2 * this.#memory.byteLength, bytes.length));
      this.#used = 0;
      return this.copyOf(bytes);
    }
    this.#used = Math.ceil(end / DOUBLE) * DOUBLE;
    const copy = new Uint8Array(this.#memory, at, bytes.length);
    copy.set(bytes);
    return copy;
  }
}

/** A record that is asked for events; of the main record of a sliced bucket, together with its slices. */
export class EventRecord {
  private constructor(
    private readonly kind: number,
    private readonly count: number,
    private readonly width: number,
    private readonly body: Float64Array,
  ) {}

  /**
   * @param bytes are copied
   * @param width how many values an event has
   * @param memory to copy them to
   * @throws OnlineStoreError where these are not the bytes of such a record
   */
  static read(bytes: Uint8Array, width: number, memory = new RecordMemory()): EventRecord {
    const copy = memory.copyOf(bytes);
    if (copy.length < HEADER) throw damaged();
    const header = new DataView(copy.buffer, copy.byteOffset);
    if (header.getUint8(0) !== RECORD_FORMAT)
      throw new OnlineStoreError(
        `the online store has a record of format ${header.getUint8(0)}, this version reads ${RECORD_FORMAT}; run the same version on workers and servers, and materialise the view again`,
      );
    const kind = header.getUint8(1);
    const count = header.getUint32(4, true);
    const doubles =
      kind === EVENTS
        ? count * (1 + width) + Math.floor(count / BLOCK) * width * STATE_WIDTH
        : count + (count + 1) * width * STATE_WIDTH;
    if (
      kind > IN_SLICES ||
      header.getUint16(2, true) !== width ||
      copy.length !== HEADER + doubles * DOUBLE ||
      header.getUint32(CRC_AT, true) !== checksum(copy)
    )
      throw damaged();
    return new EventRecord(
      kind,
      count,
      width,
      new Float64Array(copy.buffer, copy.byteOffset + HEADER, doubles),
    );
  }

  /**
   * Adds the events of [from, to) of the bucket to the state of one value.
   *
   * @param slice gives the record of a slice
   * @throws OnlineStoreError where a slice is missing
   */
  add(
    states: Float64Array,
    at: number,
    value: number,
    bucket: Bucket,
    [from, to]: readonly [number, number],
    slice: (slice: number) => EventRecord | undefined,
  ): void {
    if (this.kind === EVENTS) {
      this.#addEvents(states, at, value, from, to);
      return;
    }
    const { count, width, body } = this;
    const first = from <= bucket.start ? MAIN : sliceOf(bucket, from);
    const last = to >= bucket.start + bucket.length ? SLICES + 1 : sliceOf(bucket, to);
    if (first === MAIN && last === SLICES + 1) {
      mergeState(states, at, body, count + value * STATE_WIDTH);
      return;
    }
    for (let place = 0; place < count; place++) {
      const number = body[place] ?? 0;
      if (number < first || number > last) continue;
      if (number > first && number < last)
        mergeState(states, at, body, count + ((place + 1) * width + value) * STATE_WIDTH);
      else {
        const record = slice(number);
        if (record?.kind !== EVENTS) throw damaged();
        record.#addEvents(states, at, value, from, to);
      }
    }
  }

  #addEvents(states: Float64Array, at: number, value: number, from: number, to: number): void {
    const { count, body } = this;
    const end = this.#firstFrom(to);
    const column = count * (1 + value);
    const blocks = count * (1 + this.width) + value * Math.floor(count / BLOCK) * STATE_WIDTH;
    for (let place = this.#firstFrom(from); place < end; )
      if (place % BLOCK === 0 && place + BLOCK <= end) {
        mergeState(states, at, body, blocks + (place / BLOCK) * STATE_WIDTH);
        place += BLOCK;
      } else {
        addEvent(states, at, body[column + place] ?? Number.NaN, body[place] ?? 0);
        place++;
      }
  }

  /** The first event at or after a moment. */
  #firstFrom(moment: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.body[middle] ?? 0) < moment) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const damaged = (): OnlineStoreError =>
  new OnlineStoreError(
    'a record of the online store is damaged, or of another view; remove the view from the store and materialise it again',
  );
