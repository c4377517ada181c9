import { createHash } from 'node:crypto';

/** 2^48: as many different points as six bytes have. */
const POINTS = 0x1_0000_0000_0000;

/**
 * Where an entity stands among all of an endpoint's, from 0 up to, not including, 1: the first six bytes of a
 * SHA-256. The same on every server and in every generation of the routes.
 */
export const stickyPoint = (endpoint: string, entity: string): number => pointOf(`${endpoint}\0${entity}`);

/**
 * Where a request stands among all, from 0 up to, not including, 1: what is sampled by request id is the same in every
 * process, and a smaller sample is a part of a larger one.
 */
export const samplePoint = (requestId: string): number => pointOf(requestId);

const pointOf = (text: string): number =>
  createHash('sha256').update(text).digest().readUIntBE(0, 6) / POINTS;
