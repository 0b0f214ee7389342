/**
 * `hosts` of a Sidecar's egress listeners: `namespace/host`, where the namespace is a name, `.` for the Sidecar's own, `*` for
 * any, or `~` for none, and the host a name, a wildcard, or `*`. `~` before a namespace leaves out what the rest names;
 * alone it stands for every namespace, and `~/*` is nothing at all.
 */
import { isWildcardHostName } from '../schema/host-format.ts'
import { entriesOf } from '../schema/rule.ts'
import { clip, list, refine, text } from '../schema/shape.ts'
import type { Check, Problem, Reading, Shape } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'

const namespacePattern = /^~?(?:\*|\.|[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$|^~$/

const checkHost: Check<string> = (value) => {
  const parts = value.split('/')
  const [namespace = '', host = ''] = parts
  if (parts.length !== 2 || namespace === '' || host === '') {
    return {
      message: `must be of the form namespace/dnsName, got "${clip(value)}"`,
      remedy: 'Write ./reviews.default.svc.cluster.local, */*, or istio-system/*.',
    }
  }
  if (!namespacePattern.test(namespace)) {
    return {
      message: `invalid namespace value "${clip(namespace)}" in sidecar`,
      remedy:
        'Use the name of a namespace, "." for its own, "*" for any, or "~" for none; "~" before a namespace leaves it out.',
    }
  }
  return dnsNameProblem(host)
}

/** A name with a domain, `*`, or `*.` before a name. */
function dnsNameProblem(host: string): Problem | undefined {
  if (host.startsWith('*') && host !== '*' && !host.startsWith('*.')) {
    return {
      message: `partial wildcard "${clip(host)}" not allowed`,
      remedy: 'Use a whole label: *.example.com.',
    }
  }
  if (host === '*' || (isWildcardHostName(host) && (host.includes('.') || host.startsWith('*')))) {
    return undefined
  }
  return {
    message: `short names (non FQDN) are not allowed, got "${clip(host)}"`,
    remedy: 'Write the full name, such as reviews.default.svc.cluster.local.',
  }
}

export function sidecarHosts(): Shape<readonly string[]> {
  return refine(list(text(checkHost), { itemsMin: 1 }), warnRepeats)
}

/** `~/*` is none: it names nothing, and leaves the other hosts alone. */
export function isExclusion(host: string): boolean {
  return host.startsWith('~') && host !== '~/*'
}

function warnRepeats(hosts: readonly string[], path: string, reading: Reading): void {
  const seen = new Map<string, Set<string>>()
  for (const [index, host] of entriesOf(hosts)) {
    const [written = '', name = ''] = host.split('/')
    const namespace = written === '.' ? reading.namespace : written
    const names = seen.get(namespace) ?? new Set()
    const isRepeated = name === '*' ? names.size > 0 : names.has(name) || names.has('*')
    if (isRepeated) warn(itemPath(path, index), `duplicated egress host: ${host}`, reading)
    seen.set(namespace, names.add(name))
  }
  // What is left out of everything is no second saying of it.
  const named = [...entriesOf(hosts)].map(([, host]) => host).filter((host) => !isExclusion(host))
  const namespaces = new Set(named.map((host) => host.slice(0, host.indexOf('/'))))
  if (!named.includes('*/*') || namespaces.size === 1) return
  warn(path, '`*/*` host select all resources, no other hosts can be added', reading)
}

function warn(path: string, message: string, reading: Reading): void {
  reading.report(path, {
    code: 'IST0133',
    severity: 'warning',
    message,
    remedy: 'Remove what another host says already.',
  })
}
