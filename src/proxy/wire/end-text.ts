/**
 * `address:port` of one end of a connection, as logs print it, in one piece: made by concatenation it would stay a tree,
 * and every comparison of it (each log line makes some) would be a call into the runtime.
 */
export function endText(address: string, port: number): string {
  // IPv6 stands in brackets.
  return address.includes(':') ? ['[', address, ']:', port].join('') : [address, ':', port].join('')
}

/** The far end of a connection, as `endText`; empty where it has no port. */
export function remoteText({ remoteAddress, remotePort }: Ends): string {
  return remotePort === 0 ? '' : endText(remoteAddress, remotePort)
}

interface Ends {
  readonly remoteAddress: string
  readonly remotePort: number
}
