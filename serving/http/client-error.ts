import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Codes of Node's HTTP parser that are told in other words than "malformed". */
const ANSWERS: Readonly<Record<string, { status: number; message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request took too long to arrive' },
  HPE_HEADER_OVERFLOW: { status: 431, message: 'the headers are too large' },
};

const MALFORMED = { status: 400, message: 'the HTTP request is malformed' };

/** The answer to what never became a request: malformed, or sent too slowly. The connection ends with it. */
export function clientErrorAnswer(error: Error, socket: Socket): void {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, message } = ANSWERS[code] ?? MALFORMED;
  answerAndEnd(socket, status, message);
}

/** Writes an error answer onto a connection that has no response of its own, and ends it. */
export function answerAndEnd(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({ error: message });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
