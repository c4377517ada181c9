import getPort, { clearLockedPorts } from 'get-port';
import type { PortClaims } from './port-claims.ts';

/** What needs a port of its own. */
export const PORT_NAMES = ['temporal', 'temporalUi', 'mlflow', 'server'] as const;
export type PortName = (typeof PORT_NAMES)[number];
export type Ports = Record<PortName, number>;

/** The ports that are taken where nobody else has them: the usual ones of Temporal, its UI, MLflow and a web server. */
export const PREFERRED_PORTS: Ports = { temporal: 7233, temporalUi: 8233, mlflow: 5000, server: 8080 };

/**
 * A free port for each name, all different. For each: the one that was asked for, then the one used last time (so
 * that links stay valid), then the usual one, then any.
 *
 * @param wanted ports that the user asked for
 * @param previous ports of the last start
 * @param claims takes each of them; a port that another platform has claimed is not free
 * @example const ports = await choosePorts({ mlflow: 5001 }, {}, new PortClaims())
 */
export async function choosePorts(
  wanted: Partial<Ports>,
  previous: Partial<Ports>,
  claims: PortClaims,
): Promise<Ports> {
  // get-port keeps what it handed out for half a minute; a platform that is started again wants the same ports.
  clearLockedPorts();
  const chosen: Partial<Ports> = {};
  const taken: number[] = [];
  // The ports of parts that come later are kept free for them: no other part falls back onto one.
  const reserved = (own: PortName): number[] =>
    PORT_NAMES.filter((name) => name !== own).flatMap((name) => wanted[name] ?? previous[name] ?? []);
  for (const name of PORT_NAMES) {
    for (;;) {
      const port = await getPort({
        port: [wanted[name], previous[name], PREFERRED_PORTS[name]].filter((value) => value !== undefined),
        exclude: [...taken, ...reserved(name).filter((value) => value !== wanted[name])],
      });
      taken.push(port);
      if (!claims.take(port)) continue;
      chosen[name] = port;
      break;
    }
  }
  return { ...PREFERRED_PORTS, ...chosen };
}
