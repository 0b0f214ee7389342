/** A workload has one agent: whoever started a second one in its state folder would take its sockets away from the first. */
import { MeshError } from '../lib/mesh-error.ts'
import { isListening } from '../lib/unix-socket.ts'
import { agentSocketPath } from './socket-path.ts'
import type { WorkloadPlan } from './workload-plan.ts'

/** Rejections: MESH_USAGE when an agent listens there, whether it answers or not. */
export async function requireSoleAgent({
  instance,
  stateFolder,
}: Pick<WorkloadPlan, 'instance' | 'stateFolder'>): Promise<void> {
  if (!(await isListening(agentSocketPath(stateFolder, 'agent.sock')))) return
  throw new MeshError('MESH_USAGE', `a workload named ${instance} runs already on this host`, {
    remedy: 'end it, or give this one another name (tulle run --name)',
  })
}
