/**
 * The environment that an application runs in: the agent's own, where to listen, what the plan says, and the
 * variables that lead its traffic through the sidecar.
 *
 * | variable | what |
 * | --- | --- |
 * | PORT | where the first port of the service is to be listened on |
 * | PORT_NAME | the same for each port by its name: PORT_HTTP, PORT_GRPC_WEB |
 * | TULLE_NODE | the Node that runs Tulle |
 * | TULLE_WORKLOAD, TULLE_NAMESPACE | who it is |
 */
import { captureEnvironment, type CaptureMode } from '../capture/environment.ts'
import type { WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ApplicationEnvironmentOptions {
  readonly plan: WorkloadPlan
  readonly addresses: WorkloadAddresses
  readonly base: Environment
  readonly node: string
  readonly capture: CaptureMode
}

/** Variables of our own process that an application must not inherit: a Node would talk to our supervisor. */
const ownVariables = new Set(['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'])

export function applicationEnvironment(options: ApplicationEnvironmentOptions): Environment {
  const { plan, addresses, node, capture } = options
  const base = Object.fromEntries(
    Object.entries(options.base).filter(([name]) => !ownVariables.has(name)),
  )
  const captured = captureEnvironment({
    mode: capture,
    httpProxyPort: addresses.httpProxyPort,
    upstreams: addresses.upstreams,
    base: { ...base, ...plan.application.env },
  })
  return {
    ...base,
    TULLE_NODE: node,
    TULLE_WORKLOAD: plan.instance,
    TULLE_NAMESPACE: plan.namespace,
    ...portVariables(addresses),
    ...plan.application.env,
    ...captured,
  }
}

function portVariables(addresses: WorkloadAddresses): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const { name, appPort } of addresses.ports.toReversed()) {
    variables[`PORT_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`] = String(appPort)
    variables['PORT'] = String(appPort)
  }
  return variables
}
