/** WorkloadEntry, field by field; also the endpoints of a ServiceEntry and the template of a WorkloadGroup. */
import { labels, namedPorts } from '../schema/field-shape.ts'
import { checkUnixAddress, isHostName, isIpAddress, unixPrefix } from '../schema/host-format.ts'
import { clip, int, object, text, uint32Max } from '../schema/shape.ts'
import type { Reading, Rule, Shape } from '../schema/shape.ts'
import type { WorkloadEntrySpec } from './workload-entry.ts'

export function workloadEntry(
  ...rules: readonly Rule<WorkloadEntrySpec>[]
): Shape<WorkloadEntrySpec> {
  return object<WorkloadEntrySpec>(
    {
      address: text(),
      ports: namedPorts(),
      labels: labels(),
      network: text(),
      locality: text(),
      weight: int({ min: 0, max: uint32Max }),
      serviceAccount: text(),
    },
    ...rules,
  )
}

/** An address, unless the workload stands behind the gateway of its network. */
export function checkAddress(
  value: Partial<WorkloadEntrySpec>,
  path: string,
  reading: Reading,
): void {
  const { address, network } = value
  if (address === undefined || address === '') {
    if (reading.isPresent(`${path}.address`) && address === undefined) return
    reportNoAddress(network, path, reading)
  } else if (address.startsWith(unixPrefix)) {
    checkUnixEndpoint(value, path, reading)
  } else if (!isIpAddress(address) && !isHostName(address)) {
    reading.report(`${path}.address`, {
      message: `must be an IP address, a host name or unix://, got "${clip(address)}"`,
      remedy: 'Write an address such as 10.0.0.7, a host such as db.example.com, or unix:///path.',
    })
  }
}

function reportNoAddress(network: string | undefined, path: string, reading: Reading): void {
  if (network === undefined || network === '') {
    reading.report(`${path}.address`, {
      message: 'address is required (unless network is set)',
      remedy: 'Add the address of the workload.',
    })
    return
  }
  reading.report(`${path}.network`, {
    code: 'IST0133',
    severity: 'warning',
    message: `no address: the gateway of network "${network}" is used`,
    remedy: 'Add the address when the workload can be reached directly.',
  })
}

function checkUnixEndpoint(
  value: Partial<WorkloadEntrySpec>,
  path: string,
  reading: Reading,
): void {
  const problem = checkUnixAddress(value.address ?? '')
  if (problem !== undefined) reading.report(`${path}.address`, problem)
  if (Object.keys(value.ports ?? {}).length === 0) return
  reading.report(`${path}.ports`, {
    message: 'a Unix socket has no ports',
    remedy: 'Remove ports.',
  })
}

export const workloadEntryShape: Shape<WorkloadEntrySpec> = workloadEntry(checkAddress)
