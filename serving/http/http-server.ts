import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { RequestLimits } from '../request-limits.ts';
import type { TlsMaterial } from '../security/tls.ts';

/** Longer than load balancers keep an idle connection, so that they end it and not we in the middle of a request. */
const KEEP_ALIVE_MS = 72_000;

/** Node's server, over TLS where there is a certificate, with limits for slow clients. HTTP/1.1. */
export function createHttpServer(
  limits: RequestLimits,
  tls: TlsMaterial | undefined,
  handler: RequestListener,
): Server {
  const times = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.headersMs + limits.bodyMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node looks for slow clients every 30 s by itself.
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.headersMs / 4, limits.bodyMs / 4)),
  };
  const server = tls
    ? createTlsServer({ ...tls, ...times, handshakeTimeout: limits.headersMs }, handler)
    : createServer(times, handler);
  server.maxConnections = limits.connections;
  return server;
}
