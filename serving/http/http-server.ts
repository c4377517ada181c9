import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { RequestLimits } from '../request-limits.ts';
import type { TlsMaterial } from '../security/tls.ts';
import { answerAndEnd } from './client-error.ts';

/** Longer than load balancers keep an idle connection, so that they end it and not we in the middle of a request. */
const KEEP_ALIVE_MS = 72_000;

/**
 * Node's server, over TLS where there is a certificate, with limits for slow clients. HTTP/1.1. What Node would refuse
 * by itself with an empty answer, or none, gets one in JSON.
 */
export function createHttpServer(
  limits: RequestLimits,
  tls: TlsMaterial | undefined,
  handler: RequestListener,
): Server {
  const settings = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.headersMs + limits.bodyMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Looked at below.
    requireHostHeader: false,
    // Node looks for slow clients every 30 s by itself.
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.headersMs / 4, limits.bodyMs / 4)),
  };
  const withHost: RequestListener = (request, response) => {
    if (request.headers.host === undefined && request.httpVersion === '1.1')
      refuseUnread(response, 400, 'HTTP/1.1 requests must have the header Host');
    else handler(request, response);
  };
  const server = tls
    ? createTlsServer({ ...tls, ...settings, handshakeTimeout: limits.headersMs }, withHost)
    : createServer(settings, withHost);
  server.maxConnections = limits.connections;
  server.on('checkExpectation', (_request, response: ServerResponse) =>
    refuseUnread(response, 417, 'of the header Expect, only 100-continue is understood'),
  );
  server.on('connect', (_request, socket) => answerAndEnd(socket, 405, 'this server is no proxy'));
  return server;
}

/** Whether a body follows is not known: the connection ends with the answer. */
function refuseUnread(response: ServerResponse, status: number, message: string): void {
  const body = JSON.stringify({ error: message });
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    })
    .end(body);
}
