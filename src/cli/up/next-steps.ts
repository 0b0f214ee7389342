/** What a person can try when the mesh is up: one command for each thing that there is to see. */
import { relative } from 'node:path'

import type { ReadyEvent, ReadyWorkload } from './ready-event.ts'

export function nextSteps(event: ReadyEvent, cwd = ''): string {
  const serving = event.workloads.filter((workload) => workload.service !== undefined)
  const last = serving.at(-1)
  const lines = [
    `mesh ${event.mesh} is up: ${count(event.workloads.length, 'workload')}, API ${event.api}`,
    ...event.workloads
      .filter(({ isHealthy }) => !isHealthy)
      .map(({ name }) => `  not healthy: ${name}`),
    '',
    'Try next, in another terminal:',
    ...callLines(last),
    '  tulle top                                     # live rate, success and latency by version',
    '  tulle status                                  # who is connected, what was rejected and why',
    ...breakLines(last),
    `Edit the YAML beside ${shortPath(event.file, cwd)}: it takes effect as you save. Ctrl-C ends everything.`,
  ]
  return lines.join('\n')
}

function callLines(last: ReadyWorkload | undefined): readonly string[] {
  const port = last?.ports[0]?.servicePort
  if (last === undefined || port === undefined) return []
  return [`  tulle run -- curl -s http://${last.service}:${port}/`]
}

/** The application's own port, past the sidecar, so that exactly this one is asked. */
function breakLines(last: ReadyWorkload | undefined): readonly string[] {
  const address = last?.ports[0]?.app
  if (last === undefined || address === undefined) return []
  return [
    `  tulle proxy-config endpoints ${last.name}    # its sidecar's view of every endpoint`,
    `${last.name} itself listens on http://${address}, past its sidecar.`,
  ]
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}

function shortPath(path: string, cwd: string): string {
  const short = cwd === '' ? path : relative(cwd, path)
  return short.startsWith('..') ? path : short
}
