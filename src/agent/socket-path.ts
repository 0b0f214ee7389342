/** Where the sockets of a workload's agent are: in its state folder, where nobody else may enter. */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type AgentSocket = 'relay.sock' | 'agent.sock' | 'take-over.sock'

/** The kernel's own limit is 108 bytes on Linux, 104 on macOS. */
const socketPathBytesMax = 100

/** In a folder of its own below the system's temporary one, when the state folder's path is too long. */
export function agentSocketPath(stateFolder: string, name: AgentSocket): string {
  const path = join(stateFolder, name)
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const digest = createHash('sha256').update(stateFolder).digest('hex').slice(0, 16)
  return join(tmpdir(), `tulle-${digest}`, name)
}
