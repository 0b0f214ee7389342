/**
 * The smallest things that the agent can open beside an application: a relay that writes health down, and a
 * sidecar that answers the few admin paths that the agent asks. For tests of the agent alone.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'

import type { OpenIdentity, OpenRelay, OpenSidecar } from '../../src/agent/sidecar.ts'

export interface StandIns {
  readonly openIdentity: OpenIdentity
  readonly openRelay: OpenRelay
  readonly openSidecar: OpenSidecar
  /** What happened, in order: `relay open`, `health true`, `drain`, … */
  readonly journal: string[]
  /** What `/ready` answers. */
  isLive: boolean
  /** Requests under way, as `/stats` says. */
  activeRequests: number
  /** Connections that are open, the same. */
  activeConnections: number
  /** Ends the sidecar as if it had crashed. */
  crash(): void
}

export function standIns(): StandIns {
  const journal: string[] = []
  const stand: StandIns = {
    journal,
    isLive: true,
    activeRequests: 0,
    activeConnections: 0,
    crash: () => {},
    openIdentity: () => Promise.resolve(undefined),
    openRelay: () => {
      journal.push('relay open')
      return Promise.resolve({
        address: '127.0.0.1:1',
        reportHealth: (isHealthy, message) => {
          journal.push(`health ${isHealthy}${message === '' ? '' : `: ${message}`}`)
        },
        [Symbol.asyncDispose]: () => {
          journal.push('relay closed')
          return Promise.resolve()
        },
      })
    },
    openSidecar: async ({ bootstrap, onFailure }) => {
      journal.push('sidecar open')
      stand.crash = () => onFailure(new Error('the sidecar crashed'))
      const server = createServer((request, response) => {
        const path = request.url?.split('?')[0]
        if (path === '/ready') response.statusCode = stand.isLive ? 200 : 503
        if (request.url === '/drain_listeners?inboundonly') journal.push('door closed')
        else if (path === '/drain_listeners') journal.push('drain')
        if (path === '/stats') {
          response.write(
            `http.inbound_127.0.0.1_80.downstream_rq_active: ${stand.activeRequests}\n` +
              `http.inbound_127.0.0.1_80.downstream_cx_active: ${stand.activeConnections}\n`,
          )
        }
        response.end()
      })
      server.listen(adminPort(bootstrap), '127.0.0.1')
      await once(server, 'listening')
      return {
        upgrade: (command) => {
          journal.push(`upgrade ${command.join(' ')}`)
          return Promise.resolve()
        },
        async [Symbol.asyncDispose]() {
          journal.push('sidecar closed')
          server.close()
          server.closeAllConnections()
          await once(server, 'close')
        },
      }
    },
  }
  return stand
}

function adminPort(bootstrap: unknown): number {
  const { admin } = bootstrap as { admin: { address: { socket_address: { port_value: number } } } }
  return admin.address.socket_address.port_value
}
