/** By which names clients may call a service. */
import { isIP } from 'node:net'

import type { Service } from '../registry/service.ts'
import { shortNamesOf } from './host-name.ts'

/** Names under which clients of a namespace may call a service, its own first. */
export function namesOf(service: Service, clientNamespace: string): string[] {
  const { hostname, aliases = [] } = service
  const names = [hostname, ...aliases].flatMap((host) => [
    host,
    ...(isIP(host) === 0 ? [`${host}.`] : []),
    ...shortNamesOf(host, clientNamespace),
  ])
  return [
    ...names,
    ...service.addresses.filter((address) => address !== '0.0.0.0' && !address.includes('/')),
  ]
}
