/** Whether a name in a certificate stands for a host (RFC 6125 §6.4.3; Envoy `Utility::dnsNameMatch`). */

/** `pattern` is the certificate's; one `*` stands for a part of the first label, or the whole. */
export function dnsMatches(pattern: string, host: string): boolean {
  const wanted = host.toLowerCase().replace(/\.$/, '')
  const given = pattern.toLowerCase().replace(/\.$/, '')
  if (given === wanted) return given !== ''
  const [label, domain] = splitFirst(given)
  const [wantedLabel, wantedDomain] = splitFirst(wanted)
  if (domain === '' || domain !== wantedDomain || wantedLabel === '') return false
  // In a label of Punycode a part says nothing.
  if (label.startsWith('xn--')) return false
  return labelMatches(label, wantedLabel)
}

function labelMatches(pattern: string, label: string): boolean {
  const [start = '', end, more] = pattern.split('*')
  if (end === undefined || more !== undefined) return false
  return pattern.length <= label.length + 1 && label.startsWith(start) && label.endsWith(end)
}

function splitFirst(name: string): readonly [label: string, domain: string] {
  const dot = name.indexOf('.')
  return dot === -1 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1)]
}
