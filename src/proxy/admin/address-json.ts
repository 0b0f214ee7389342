/** Addresses as Envoy's admin answers print them. */
import type { WireAddress } from '../wire/wire.ts'

export function addressJson(address: WireAddress): object {
  switch (address.kind) {
    case 'ip':
      return { socket_address: { address: address.address, port_value: address.port } }
    case 'unix':
      return { pipe: { path: address.path } }
    case 'internal':
      return { envoy_internal_address: { server_listener_name: address.listener } }
    default:
      return {}
  }
}
