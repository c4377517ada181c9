import type { FastifyReply, RouteShorthandOptions } from 'fastify';
import type { DataPlane, Inference } from '../data-plane.ts';
import type { Protocol } from './errors.ts';
import type { ServingMetrics } from './metrics.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whose words an error on this route uses; default `v2`. */
    protocol?: Protocol;
    /** Whether this route predicts, and so is counted. */
    predicts?: boolean;
  }
}

/** What the routes of both protocols share. */
export interface RouteContext {
  readonly dataPlane: DataPlane;
  readonly metrics: ServingMetrics;
  /** This package's version. */
  readonly version: string;
  /** Options of a route that predicts: protocol of its errors, authentication, limits. */
  inference(protocol: Protocol): RouteShorthandOptions;
  /** Sends a written answer with the headers that say which version gave it. */
  answer(reply: FastifyReply, inference: Inference, text: string): FastifyReply;
}
