/**
 * The host of a request: checked, in lower case, with its port kept or stripped (RFC 3986 §3.2.2, §3.2.3).
 * Policies and routes compare it, so it has one spelling from here on (CVE-2021-39155).
 */
import { isIPv6 } from 'node:net'

/** Lower-case form, or undefined when `value` is no host with an optional port. */
export function parseAuthority(value: string): string | undefined {
  const lower = value.toLowerCase()
  return authorityForm.test(lower) ? lower : undefined
}

// reg-name and IPv4: unreserved, sub-delims without what could end an authority, and percent signs, which nothing here
// decodes. No userinfo.
const authorityForm =
  /^(?:\[[0-9a-f:.]+(?:%25[0-9a-z._~-]+)?\]|[0-9a-z._~!$&'()*+;=%-]+)(?::\d{0,5})?$/

const portMax = 65_535

/**
 * Of a URL or a CONNECT more is asked than of a Host, as in Envoy: a port where there is a colon, one that can be, and
 * an address between brackets.
 */
export function isUrlAuthority(authority: string): boolean {
  const colon = portColon(authority)
  if (colon === authority.length - 1) return false
  if (colon !== -1 && Number(authority.slice(colon + 1)) > portMax) return false
  return !authority.startsWith('[') || isIPv6(authority.slice(1, authority.indexOf(']')))
}

/** Where the port's colon is, or -1. */
export function portColon(authority: string): number {
  const colon = authority.lastIndexOf(':')
  return colon > authority.lastIndexOf(']') ? colon : -1
}

/** The authority without its port. */
export function hostOf(authority: string): string {
  const colon = portColon(authority)
  return colon === -1 ? authority : authority.slice(0, colon)
}

/** The port of an authority, or undefined when it names none. */
export function portOf(authority: string): number | undefined {
  const colon = portColon(authority)
  if (colon === -1 || colon === authority.length - 1) return undefined
  return Number(authority.slice(colon + 1))
}

/** Removes a port (`any`, or `matching` the listener's own), and the dot at the end of a full name. */
export function stripAuthority(
  authority: string,
  options: {
    readonly port: 'none' | 'matching' | 'any'
    readonly listenerPort: number
    readonly trailingDot: boolean
  },
): string {
  let stripped = authority
  if (options.port !== 'none') {
    const port = portOf(stripped)
    const isOwn = port === options.listenerPort
    if (port !== undefined && (options.port === 'any' || isOwn)) stripped = hostOf(stripped)
  }
  return options.trailingDot ? stripDot(stripped) : stripped
}

function stripDot(authority: string): string {
  const host = hostOf(authority)
  return host.length > 1 && host.endsWith('.')
    ? host.slice(0, -1) + authority.slice(host.length)
    : authority
}
