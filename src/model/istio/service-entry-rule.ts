/** What a ServiceEntry's resolution asks of its hosts, addresses, endpoints and ports. */
import { isHostName, isIpAddress, unixPrefix } from '../schema/host-format.ts'
import { entriesOf } from '../schema/rule.ts'
import { clip } from '../schema/shape.ts'
import type { Reading, Rule } from '../schema/shape.ts'
import { itemPath, keyPath } from '../schema/source-node.ts'
import { isHttpProtocol, isTcpProtocol, isTlsProtocol } from './protocol.ts'
import type { ServiceEntrySpec } from './service-entry.ts'
import { checkAddress } from './workload-entry-shape.ts'
import type { WorkloadEntrySpec } from './workload-entry.ts'

type Spec = Partial<ServiceEntrySpec>
type SpecRule = Rule<ServiceEntrySpec>

const checkNone: SpecRule = (value, path, reading) => {
  if ((value.resolution ?? 'NONE') !== 'NONE') return
  if ((value.endpoints?.length ?? 0) > 0) {
    reading.report(`${path}.endpoints`, {
      message: 'resolution NONE cannot have endpoints: the address that the client dialled is used',
      remedy: 'Set resolution STATIC or DNS, or remove endpoints.',
    })
  }
  if (value.workloadSelector !== undefined) {
    reading.report(`${path}.workloadSelector`, {
      code: 'IST0133',
      severity: 'warning',
      message: 'workloadSelector has no effect with resolution NONE',
      remedy: 'Set resolution STATIC, or remove workloadSelector.',
    })
  }
  for (const [index, port] of entriesOf(value.ports)) {
    if ((port.targetPort ?? 0) > 0) {
      reading.report(`${itemPath(`${path}.ports`, index)}.targetPort`, {
        code: 'IST0133',
        severity: 'warning',
        message: 'targetPort has no effect with resolution NONE',
        remedy: 'Remove targetPort, or set another resolution.',
      })
    }
  }
}

const checkStatic: SpecRule = (value, path, reading) => {
  if (value.resolution !== 'STATIC') return
  for (const [index, endpoint] of entriesOf(value.endpoints)) {
    const at = itemPath(`${path}.endpoints`, index)
    checkAddress(endpoint, at, reading)
    const { address = '' } = endpoint
    if (address.startsWith(unixPrefix)) {
      if (value.ports?.length === 1) continue
      reading.report(`${at}.address`, {
        message: `a Unix socket serves exactly 1 port, got ${String(value.ports?.length ?? 0)}`,
        remedy: 'Keep one port, or use an IP address.',
      })
    } else if (address !== '' && !isIpAddress(address) && isHostName(address)) {
      reading.report(`${at}.address`, {
        message: `must be an IP address with resolution STATIC, got "${clip(address)}"`,
        remedy: 'Use an IP address, or set resolution DNS.',
      })
    }
  }
}

const checkDns: SpecRule = (value, path, reading) => {
  const { resolution, endpoints = [] } = value
  if (resolution !== 'DNS' && resolution !== 'DNS_ROUND_ROBIN') return
  if (endpoints.length === 0) checkHostsResolvable(value, path, reading)
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) {
    reading.report(`${path}.endpoints`, {
      message: `DNS_ROUND_ROBIN mode cannot have multiple endpoints, got ${String(endpoints.length)}`,
      remedy: 'Keep one endpoint, or set resolution DNS.',
    })
  }
  for (const [index, endpoint] of entriesOf(endpoints)) {
    checkDnsAddress(endpoint, itemPath(`${path}.endpoints`, index), reading)
  }
}

const warnAmbiguous: SpecRule = (value, path, reading) => {
  const { resolution } = value
  if (resolution !== 'DNS' && resolution !== 'DNS_ROUND_ROBIN') return
  if ((value.addresses?.length ?? 0) === 0 || (value.hosts?.length ?? 0) < 2) return
  if (![...entriesOf(value.ports)].some(([, port]) => isTcpProtocol(port.protocol))) return
  reading.report(`${path}.hosts`, {
    code: 'IST0133',
    severity: 'warning',
    message: 'several hosts cannot be told apart on a TCP port with addresses',
    remedy: 'Declare one host with its own addresses.',
  })
}

function checkHostsResolvable(value: Spec, path: string, reading: Reading): void {
  for (const [index, host] of entriesOf(value.hosts)) {
    if (isHostName(host)) continue
    reading.report(itemPath(`${path}.hosts`, index), {
      message: `host "${host}" cannot be resolved: resolution ${String(value.resolution)} needs full host names or endpoints`,
      remedy: 'Write a host without a wildcard, or add endpoints.',
    })
  }
}

function checkDnsAddress(endpoint: WorkloadEntrySpec, path: string, reading: Reading): void {
  const { address = '' } = endpoint
  if (isIpAddress(address) || isHostName(address)) return
  reading.report(`${path}.address`, {
    message: `must be an IP address or a host name, got "${clip(address)}"`,
    remedy: 'Write an address such as 10.0.0.7 or a host such as db.example.com.',
  })
}

/** Whatever host a client asks for is resolved then, so there is nothing else to say. */
const checkDynamicDns: SpecRule = (value, path, reading) => {
  if (value.resolution !== 'DYNAMIC_DNS') return
  for (const [index, host] of entriesOf(value.hosts)) {
    if (host.startsWith('*')) continue
    reading.report(itemPath(`${path}.hosts`, index), {
      message: `resolution DYNAMIC_DNS takes wildcard hosts only, got "${host}"`,
      remedy: 'Use a host such as *.example.com, or resolution DNS.',
    })
  }
  for (const name of ['addresses', 'endpoints'] as const) {
    if ((value[name]?.length ?? 0) === 0) continue
    reading.report(`${path}.${name}`, {
      message: `resolution DYNAMIC_DNS cannot have ${name}`,
      remedy: `Remove ${name}, or set resolution DNS.`,
    })
  }
  for (const [index, port] of entriesOf(value.ports)) {
    if (isHttpProtocol(port.protocol) || isTlsProtocol(port.protocol)) continue
    reading.report(`${itemPath(`${path}.ports`, index)}.protocol`, {
      message: `resolution DYNAMIC_DNS takes HTTP and TLS ports only, got ${port.protocol ?? 'none'}`,
      remedy: 'Set protocol HTTP, HTTP2, GRPC or TLS.',
    })
  }
}

const checkSubnets: SpecRule = (value, path, reading) => {
  const resolution = value.resolution ?? 'NONE'
  if (resolution === 'NONE' || resolution === 'STATIC') return
  for (const [index, address] of entriesOf(value.addresses)) {
    if (!address.includes('/')) continue
    reading.report(itemPath(`${path}.addresses`, index), {
      message: `CIDR addresses are allowed only for NONE/STATIC resolution types, got "${address}"`,
      remedy: 'Use single addresses, or resolution NONE or STATIC.',
    })
  }
}

/** Endpoints refer to ports by name. */
const checkEndpointPorts: SpecRule = (value, path, reading) => {
  const names = new Set(Array.from(entriesOf(value.ports), ([, port]) => port.name))
  for (const [index, endpoint] of entriesOf(value.endpoints)) {
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (names.has(name)) continue
      reading.report(keyPath(`${itemPath(`${path}.endpoints`, index)}.ports`, name), {
        message: `port "${name}" is not one of this ServiceEntry (${[...names].join(', ')})`,
        remedy: 'Use the name of one of its ports.',
      })
    }
  }
}

/** On plain TCP nothing tells several hosts apart. */
const checkHostsApart: SpecRule = (value, path, reading) => {
  if ((value.resolution ?? 'NONE') === 'NONE' || (value.hosts?.length ?? 0) < 2) return
  for (const [index, port] of entriesOf(value.ports)) {
    if (isHttpProtocol(port.protocol) || isTlsProtocol(port.protocol)) continue
    reading.report(`${itemPath(`${path}.ports`, index)}.protocol`, {
      message: `several hosts need HTTP or TLS ports, got ${port.protocol ?? 'none'}`,
      remedy: 'Declare one host, or set protocol HTTP, HTTP2, GRPC, HTTPS or TLS.',
    })
    return
  }
}

/** Istio gives other resolutions an address of their own; with NONE a TCP port takes every address. */
const warnAddresses: SpecRule = (value, path, reading) => {
  if ((value.resolution ?? 'NONE') !== 'NONE' || (value.addresses?.length ?? 0) > 0) return
  for (const [index, port] of entriesOf(value.ports)) {
    const protocol = (port.protocol ?? '').toUpperCase()
    if (protocol !== '' && protocol !== 'TCP') continue
    reading.report(itemPath(`${path}.ports`, index), {
      code: 'IST0134',
      severity: 'warning',
      message: `port ${String(port.number)} serves TCP and the ServiceEntry has no addresses`,
      remedy: 'Add addresses, or set the protocol.',
    })
  }
}

export const serviceEntryRules: readonly SpecRule[] = [
  checkNone,
  checkStatic,
  checkDns,
  warnAmbiguous,
  checkDynamicDns,
  checkSubnets,
  checkEndpointPorts,
  checkHostsApart,
  warnAddresses,
]
