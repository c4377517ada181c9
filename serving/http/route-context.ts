import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { DataPlane } from '../data-plane.ts';
import type { Prediction, PredictionCall } from '../prediction.ts';
import type { Protocol } from './errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whose words an error on this route uses; default `v2`. */
    protocol?: Protocol;
    /** Whether this route predicts, and so is counted. */
    predicts?: boolean;
  }
}

/** What a caller may do: ask for predictions; tell the truth about them; ask versions that take no traffic, and look inside. */
export type ServerRole = 'predict' | 'feedback' | 'operate';

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
  /** This package's version. */
  readonly version: string;
  /** Options of a route that only callers with a role may use; without authentication, anybody may. */
  guarded(role: ServerRole): Pick<RouteShorthandOptions, 'onRequest'>;
  /** Options of a route that predicts: protocol of its errors, authentication, limits. */
  inference(protocol: Protocol): RouteShorthandOptions;
  /** Predicts, tells the listeners, and sends the answer with the headers that say which version gave it. */
  predict(request: FastifyRequest, reply: FastifyReply, asked: ProtocolRequest): Promise<FastifyReply>;
}
