/** By which names clients may call a service. */
import { isIP } from 'node:net'

import type { Service } from '../registry/service.ts'
import { shortNamesOf } from './host-name.ts'

/** Names under which clients of a namespace may call a service, its own first. */
export function namesOf(service: Service, clientNamespace: string): string[] {
  return [
    service.hostname,
    ...(isIP(service.hostname) === 0 ? [`${service.hostname}.`] : []),
    ...shortNamesOf(service.hostname, clientNamespace),
    ...service.addresses.filter((address) => address !== '0.0.0.0' && !address.includes('/')),
  ]
}
