/**
 * Hosts, addresses and ports as Istio takes them: letters of both cases, a wildcard as the first label or before
 * it, sockets by path.
 */
import { isIP, isIPv4 } from 'node:net'

import { check, mismatch } from './format.ts'
import type { Problem } from './shape.ts'

export const portRange = { min: 1, max: 65_535 }

const istioLabel = /^[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/
const istioWildcardLabel = /^(?:\*|(?:\*|\*-)?[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)$/

export function isIstioLabel(value: string): boolean {
  return istioLabel.test(value)
}

/** Istio's DNS label: upper case too. Names of subsets, ports, namespaces in references. */
export const hostLabel = check(
  isIstioLabel,
  'a DNS label (letters, digits and "-", at most 63)',
  'Use letters, digits and "-", beginning and ending with a letter or digit.',
)

/** Istio's FQDN: labels of letters, digits and "-"; one trailing dot; the last label is not a number. */
export function isHostName(value: string): boolean {
  if (value === '' || value.length > 255) return false
  return areHostLabels(value.split('.'))
}

function areHostLabels(parts: readonly string[]): boolean {
  const last = parts.length - 1
  if (/^[+-]?\d+$/.test(parts[last] ?? '')) return false
  return parts.every((part, index) => isIstioLabel(part) || (index === last && part === ''))
}

/** As `isHostName`, or with a wildcard in the first label: `*`, `*.example.com`, `*-test.example.com`. */
export function isWildcardHostName(value: string): boolean {
  if (value === '' || value.length > 255) return false
  const [first = '', ...rest] = value.split('.')
  const isFirstGood = first.length <= 63 && istioWildcardLabel.test(first)
  return isFirstGood && (rest.length === 0 || areHostLabels(rest))
}

const hostRemedy = 'Write a host such as reviews, reviews.prod.svc.cluster.local or *.example.com.'

export const hostName = check(
  isHostName,
  'a host name without wildcards',
  'Write a host such as reviews or reviews.prod.svc.cluster.local.',
)

export const wildcardHostName = check(
  isWildcardHostName,
  'a host name (a wildcard only as its first label)',
  hostRemedy,
)

export function isIpAddress(value: string): boolean {
  return isIP(value) !== 0
}

export const ipAddress = check(isIpAddress, 'an IP address', 'Write an address such as 10.0.0.7.')

export const ipOrHostName = check(
  (value) => isIpAddress(value) || isHostName(value),
  'an IP address or a host name',
  'Write an address such as 10.0.0.7 or a host such as db.example.com.',
)

export const ipOrSubnet = check(
  (value) => isIpAddress(value) || isSubnet(value),
  'an IP address or a subnet in CIDR form',
  'Write an address such as 10.0.0.7 or a subnet such as 10.0.0.0/8.',
)

function isSubnet(value: string): boolean {
  const [address = '', bits = '', ...rest] = value.split('/')
  if (rest.length > 0 || !isIpAddress(address) || address.includes('%')) return false
  return /^(?:0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128)
}

/** `unix:///path` or `unix://@abstract`. */
export const unixPrefix = 'unix://'

export function checkUnixAddress(value: string): Problem | undefined {
  const path = value.slice(unixPrefix.length)
  if (path.startsWith('@') && path.length > 1) return undefined
  if (path.startsWith('/') && !path.endsWith('/')) return undefined
  return mismatch(
    'unix:// with an absolute path to a socket, or unix://@name',
    value,
    'Write unix:///run/app.sock or unix://@name.',
  )
}
