/** Asks the agents of this host how they are: their sockets are in the state folder of the mesh. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { askAdmin } from '../../agent/admin-client.ts'
import { agentSocketPath } from '../../agent/socket-path.ts'
import type { AgentStatus } from '../../agent/status-server.ts'
import type { ProxyObject } from '../../api/view.ts'

/** By `namespace/name`. Agents of other hosts, and of an API that was given by its address, are not asked. */
export async function readAgents(
  proxies: readonly ProxyObject[],
  stateFolder: string | undefined,
): Promise<ReadonlyMap<string, AgentStatus>> {
  const agents = new Map<string, AgentStatus>()
  if (stateFolder === undefined) return agents
  const ask = async ({ metadata: { name, namespace = '' } }: ProxyObject) => {
    const path = agentSocketPath(join(stateFolder, namespace, name), 'agent.sock')
    if (!existsSync(path)) return
    try {
      const { text } = await askAdmin({ address: `unix:${path}`, path: '/status' })
      // Written by our own agent.
      agents.set(`${namespace}/${name}`, JSON.parse(text) as AgentStatus)
    } catch {
      // It may be ending or starting.
    }
  }
  await Promise.all(proxies.map(ask))
  return agents
}
