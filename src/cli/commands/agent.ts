/** `tulle agent`: one workload of `tulle up`, in a process of its own. Its plan comes from the supervisor. */
import { openIdentity } from '../../agent/open-identity.ts'
import { openRelay } from '../../agent/open-relay.ts'
import { openSidecar } from '../../agent/open-sidecar.ts'
import { RunningWorkload } from '../../agent/run-workload.ts'
import type { WorkloadPlan } from '../../agent/workload-plan.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { usageError, type Command } from '../command.ts'

export const agentCommand: Command = {
  name: 'agent',
  summary: 'run one workload for tulle up',
  isInternal: true,
  flags: [],
  examples: [],
  async run({ context }) {
    const { supervisor } = context
    if (supervisor === undefined)
      throw usageError('tulle agent is started by tulle up', 'use tulle run')
    // Sent by planMesh on the other side of the channel.
    const plan = (await supervisor.firstMessage) as WorkloadPlan
    const workload = new RunningWorkload({
      plan,
      env: context.env,
      stdio: ['ignore', 'inherit', 'inherit'],
      capture: 'env',
      clock: systemClock,
      random: systemRandom,
      log: createLog({ name: plan.instance, level: 'warn' }),
      openIdentity,
      openRelay,
      openSidecar,
      onEvent: (event) => supervisor.send(event),
    })
    using _stop = context.onStop(() => void workload.stop())
    try {
      return { exitCode: await workload.run() }
    } catch {
      // It has been told as an event; the supervisor says it.
      return { exitCode: 1 }
    }
  },
}
