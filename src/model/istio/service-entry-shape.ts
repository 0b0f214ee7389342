/** ServiceEntry, field by field. Rules that depend on its resolution are in service-entry-rule.ts. */
import { exportTo, labels, port, portOrZero } from '../schema/field-shape.ts'
import { hostLabel, ipOrSubnet, isWildcardHostName } from '../schema/host-format.ts'
import { excludes, reportRepeats } from '../schema/rule.ts'
import { clip, list, object, oneOf, refine, required, text } from '../schema/shape.ts'
import type { Check, Reading, Shape } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'
import { checkProtocol } from './protocol.ts'
import { serviceEntryRules } from './service-entry-rule.ts'
import type { ServiceEntryPort, ServiceEntrySpec, WorkloadSelector } from './service-entry.ts'
import { workloadEntry } from './workload-entry-shape.ts'

const checkHost: Check<string> = (host) => {
  if (host === '*') {
    return { message: 'hostname cannot be wildcard "*"', remedy: 'Name the host.' }
  }
  if (!isWildcardHostName(host)) {
    return {
      message: `must be a host name (a wildcard only as its first label), got "${clip(host)}"`,
      remedy: 'Write a host such as api.example.com or *.example.com.',
    }
  }
  if (!host.startsWith('*') || host.startsWith('*.')) return undefined
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `partial wildcard "${host}" matches nothing that clients send`,
    remedy: 'Use a whole label: *.example.com.',
  }
}

const servicePort: Shape<ServiceEntryPort> = object<ServiceEntryPort>({
  number: required(port()),
  name: required(text(hostLabel)),
  protocol: text(checkProtocol),
  targetPort: portOrZero(),
})

function checkPorts(ports: readonly ServiceEntryPort[], path: string, reading: Reading): void {
  for (const name of ['name', 'number'] as const) {
    reportRepeats(
      ports,
      (entry) => entry[name],
      (index, key) => {
        reading.report(`${itemPath(path, index)}.${name}`, {
          message: `port ${name} ${String(key)} is there twice`,
          remedy: `Give each port a ${name} of its own.`,
        })
      },
    )
  }
}

const selector: Shape<WorkloadSelector> = object<WorkloadSelector>(
  { labels: labels() },
  (value, path, reading) => {
    if (reading.isPresent(`${path}.labels`) && Object.keys(value.labels ?? {}).length > 0) return
    reading.report(path, {
      code: 'IST0133',
      severity: 'warning',
      message: 'a workloadSelector without labels selects every workload of the namespace',
      remedy: 'Add labels, or remove the selector.',
    })
  },
)

export const serviceEntryShape: Shape<ServiceEntrySpec> = object<ServiceEntrySpec>(
  {
    hosts: required(list(text(checkHost), { itemsMin: 1, itemsMax: 256 })),
    addresses: list(text(ipOrSubnet), { itemsMax: 256 }),
    ports: refine(list(servicePort), checkPorts),
    location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
    resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
    endpoints: list(workloadEntry(), { itemsMax: 4096 }),
    workloadSelector: selector,
    exportTo: exportTo({ isNobodyAllowed: true }),
    subjectAltNames: list(text()),
  },
  excludes<ServiceEntrySpec>('workloadSelector', 'endpoints'),
  ...serviceEntryRules,
)
