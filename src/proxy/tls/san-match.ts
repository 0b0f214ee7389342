/** Whether a name in a certificate stands for a host (RFC 9525 §6.3; Envoy `Utility::dnsNameMatch`). */

/** `pattern` is the certificate's; a wildcard stands for one whole first label. */
export function dnsMatches(pattern: string, host: string): boolean {
  const wanted = host.toLowerCase().replace(/\.$/, '')
  const given = pattern.toLowerCase().replace(/\.$/, '')
  if (given === wanted) return true
  if (!given.startsWith('*.')) return false
  const dot = wanted.indexOf('.')
  return dot > 0 && wanted.slice(dot) === given.slice(1)
}
