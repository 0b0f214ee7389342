/**
 * `address:port` of one end of a connection, as logs print it, in one piece: made by concatenation it would stay a tree,
 * and every comparison of it (each log line makes some) would be a call into the runtime.
 */
export function endText(address: string, port: number): string {
  // IPv6 stands in brackets.
  return address.includes(':') ? ['[', address, ']:', port].join('') : [address, ':', port].join('')
}
