import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { ServerRole } from '../../contracts/server-keys.ts';
import type { DataPlane } from '../data-plane.ts';
import type { Prediction, PredictionCall } from '../prediction.ts';
import type { Caller } from '../security/caller.ts';
import type { Protocol } from './errors.ts';
import type { OpenApiSource } from './openapi.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whose words an error on this route uses; default `v2`. */
    protocol?: Protocol;
    /** Whether this route predicts, and so is counted. */
    predicts?: boolean;
  }
  interface FastifyRequest {
    /** Who asks, once a route's guard let the request pass. */
    caller: Caller | null;
  }
}

/** A prediction request as a protocol has read it. */
export interface ProtocolRequest extends Pick<PredictionCall, 'endpoint' | 'version' | 'entity' | 'read'> {
  /** The client's own, where the protocol carries one. */
  readonly id?: string | undefined;
  /** Writes the answer. */
  write(prediction: Prediction): string | Buffer;
  /** Content type of the answer, default JSON. */
  readonly contentType?: string | undefined;
}

/** What the routes of both protocols share. */
export interface RouteContext {
  readonly dataPlane: DataPlane;
  /** Whether requests may say when they happened: see `replayed-time.ts`. */
  readonly replay: boolean;
  /** This package's version. */
  readonly version: string;
  /** Puts what a file of routes says of itself into the OpenAPI document. */
  describe(source: OpenApiSource): void;
  /**
   * Options of a route that only callers with a role may use; without authentication, anybody may.
   *
   * @param body of a route that takes one: whether it is held in memory as a whole, or streamed; its requests are then
   *   among those under way
   */
  guarded(role: ServerRole, body?: 'held' | 'streamed'): Pick<RouteShorthandOptions, 'onRequest'>;
  /** Options of a route that predicts: protocol of its errors, authentication, limits. */
  inference(protocol: Protocol): RouteShorthandOptions;
  /**
   * Whether the caller may ask this endpoint, and this version of it.
   *
   * @throws RequestError 403
   */
  allowed(request: FastifyRequest, endpoint: string, version: string | undefined): void;
  /** Predicts, tells the listeners, and sends the answer with the headers that say which version gave it. */
  predict(request: FastifyRequest, reply: FastifyReply, asked: ProtocolRequest): Promise<FastifyReply>;
}
