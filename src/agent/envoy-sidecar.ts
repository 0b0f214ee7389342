/** Runs a real Envoy as the sidecar, from the same bootstrap file. */
import { dirname } from 'node:path'

import { MeshError } from '../lib/mesh-error.ts'
import { ProcessGroup } from './process/process-group.ts'
import type { OpenSidecarOptions, WorkloadSidecar } from './sidecar.ts'
import { threadsOf } from './thread-count.ts'

const flags = ['--use-dynamic-base-id', '--log-level', 'error']
const stopGraceMs = 1_000

export async function openEnvoySidecar(options: OpenSidecarOptions): Promise<WorkloadSidecar> {
  const { plan, bootstrapFile, env, reaper, clock, onFailure } = options
  const { program = 'envoy', drainTimeMs, environment } = plan.proxy
  const drainTime = ['--drain-time-s', String(Math.ceil(drainTimeMs / 1_000))]
  const group = await ProcessGroup.start({
    command: [
      program,
      '-c',
      bootstrapFile,
      '--concurrency',
      String(threadsOf(plan.proxy)),
      ...drainTime,
      ...flags,
    ],
    cwd: dirname(bootstrapFile),
    env: { ...env, ...environment },
    // Its access log goes to standard output, its own log to standard error.
    stdio: ['ignore', 'inherit', 'inherit'],
    reaper,
    clock,
  })
  let isClosing = false
  const watch = async () => {
    const { code } = await group.exited
    const message = `${program} ended with code ${code}`
    if (!isClosing) onFailure(new MeshError('MESH_COMMAND_FAILED', message))
  }
  void watch()
  return {
    upgrade: () =>
      Promise.reject(
        new MeshError('MESH_NOT_IMPLEMENTED', 'the sidecar is an Envoy, which is not upgraded', {
          remedy: 'end the workload and start it again',
        }),
      ),
    async [Symbol.asyncDispose]() {
      isClosing = true
      await group.stop(stopGraceMs)
    },
  }
}
