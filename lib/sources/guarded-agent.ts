import type { Agent } from 'node:http';
import { Socket } from 'node:net';
import { AddressDenied } from './addresses.ts';
import type { HostRules } from './hosts.ts';

/**
 * The same agent, whose every connection goes to an allowed address: names are looked up so that only such come of
 * it, and the peer is looked at again once it is connected.
 */
export function guardedAgent<A extends Agent>(agent: A, hosts: HostRules): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const place = { hostname: String(options.host ?? ''), port: Number(options.port) };
    const socket = connect({ ...options, ...hosts.lookupFor(place) }, callback);
    if (socket instanceof Socket)
      socket.once('connect', () => {
        if (!hosts.allowsPeer(place, socket.remoteAddress)) socket.destroy(new AddressDenied());
      });
    return socket;
  };
  return agent;
}
