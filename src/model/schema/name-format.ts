/** Names, labels and annotations of objects, as Kubernetes' API server takes them. */
import { check } from './format.ts'

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/

export const dnsLabel = check(
  (value) => label.test(value),
  'a DNS label (lower case letters, digits and "-", at most 63)',
  'Use lower case letters, digits and "-", beginning and ending with a letter or digit.',
)

export const dnsSubdomain = check(
  (value) => value.length <= 253 && value.split('.').every((part) => label.test(part)),
  'a DNS name (lower case letters, digits, "-" and ".", at most 253)',
  'Use lower case letters, digits, "-" and "."; every part begins and ends with a letter or digit.',
)

/** RFC 1035: what a Service may be called. */
export const serviceName = check(
  (value) => /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(value),
  'a DNS label that begins with a letter (at most 63)',
  'Use lower case letters, digits and "-", beginning with a letter.',
)

function isQualifiedName(value: string): boolean {
  const slash = value.indexOf('/')
  const prefix = value.slice(0, Math.max(slash, 0))
  const name = value.slice(slash + 1)
  const isPrefixGood = slash < 0 || dnsSubdomain(prefix) === undefined
  return isPrefixGood && /^[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(name)
}

export const labelKey = check(
  isQualifiedName,
  'a label key ([prefix/]name, the name at most 63)',
  'Use letters, digits, "-", "_" and "."; an optional prefix is a DNS name and "/".',
)

export const labelValue = check(
  (value) => /^(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/.test(value),
  'a label value (at most 63)',
  'Use letters, digits, "-", "_" and ".", beginning and ending with a letter or digit.',
)

export const annotationKey = check(
  (value) => isQualifiedName(value.toLowerCase()),
  'an annotation key ([prefix/]name, the name at most 63)',
  'Use letters, digits, "-", "_" and "."; an optional prefix is a DNS name and "/".',
)

/** IANA service name: what Kubernetes takes as a port's name in `targetPort`. */
export const portName = check(
  (value) => /^[a-z0-9-]{1,15}$/.test(value) && /[a-z]/.test(value) && !/^-|--|-$/.test(value),
  'a port name (lower case letters, digits and "-", at most 15, at least one letter)',
  'Use a number, or a name such as http.',
)
