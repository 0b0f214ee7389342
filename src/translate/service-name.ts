/** By which names clients may call a service. */
import type { Service } from '../registry/service.ts'
import { isWildcard, shortNamesOf } from './host-name.ts'

/** Names under which clients of a namespace may call a service, its own first. */
export function namesOf(service: Service, clientNamespace: string): string[] {
  return [
    service.hostname,
    ...(isWildcard(service.hostname) ? [] : [`${service.hostname}.`]),
    ...shortNamesOf(service.hostname, clientNamespace),
    ...service.addresses.filter((address) => address !== '0.0.0.0' && !address.includes('/')),
  ]
}
