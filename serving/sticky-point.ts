import { createHash } from 'node:crypto';

/** 2^48: as many different points as six bytes have. */
const POINTS = 0x1_0000_0000_0000;

/**
 * Where an entity stands among all of an endpoint's, from 0 up to, not including, 1: the first six bytes of a
 * SHA-256. The same on every server and in every generation of the routes.
 */
export const stickyPoint = (endpoint: string, entity: string): number =>
  createHash('sha256').update(`${endpoint}\0${entity}`).digest().readUIntBE(0, 6) / POINTS;
