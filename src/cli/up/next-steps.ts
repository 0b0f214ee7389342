/**
 * What a person can try when the mesh is up. The mesh file may bring its own in the annotation `tulle.dev/next`,
 * where `${WORKLOAD}` stands for the address of that workload's application, past its sidecar.
 */
import type { ReadyEvent } from './ready-event.ts'

export function nextSteps(event: ReadyEvent, own: string | undefined): string {
  const count = event.workloads.length
  const unhealthy = event.workloads.filter(({ isHealthy }) => !isHealthy).map(({ name }) => name)
  return [
    `mesh ${event.mesh} is up: ${count} workload${count === 1 ? '' : 's'}, API ${event.api}`,
    ...(unhealthy.length === 0 ? [] : [`not healthy yet: ${unhealthy.join(', ')}`]),
    '',
    'Try next, in another terminal:',
    ...(own === undefined ? generalSteps(event) : ownSteps(event, own)),
    '',
    'Ctrl-C ends everything.',
  ].join('\n')
}

function generalSteps(event: ReadyEvent): readonly string[] {
  const serving = event.workloads.find(({ service }) => service !== undefined)
  const port = serving?.ports[0]?.servicePort
  return [
    ...(port === undefined ? [] : [`  tulle run -- curl -s http://${serving?.service}:${port}/`]),
    '  tulle top       # live rate, success and latency by version',
    '  tulle status    # who is connected, what was rejected and why',
  ]
}

function ownSteps(event: ReadyEvent, own: string): readonly string[] {
  const addresses = new Map(
    event.workloads.map(({ name, ports }) => [name, ports[0]?.app] as const),
  )
  const text = own.replaceAll(
    /\$\{([a-z0-9-]+)\}/g,
    (placeholder, name: string) => addresses.get(name) ?? placeholder,
  )
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
}
