import getPort, { portNumbers } from 'get-port';

const EACH = 1_000;

/**
 * A free port below those that the system gives to whoever asks for any (32,768 and more on Linux), out of a thousand of
 * this worker's own: a server that binds it only seconds later still finds it free.
 */
export function freePort(): Promise<number> {
  const first = 10_000 + EACH * (Number(process.env.VITEST_POOL_ID ?? 0) % 20);
  return getPort({ host: '127.0.0.1', port: portNumbers(first, first + EACH - 1) });
}
