/**
 * Istio's rules for host names: how a short name becomes a full one, what a wildcard covers, and by which names
 * a client may call a service.
 */

/** Suffix of every service that has a name and a namespace. */
export const serviceDomain = 'cluster.local'

/** `reviews` in namespace `default` → `reviews.default.svc.cluster.local`; anything with a dot stays. */
export function resolveHost(host: string, namespace: string): string {
  const lower = host.toLowerCase()
  if (lower === '*' || lower.includes('.') || lower.includes(':')) return lower
  return `${lower}.${namespace}.svc.${serviceDomain}`
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*')
}

/** Whether every name that `host` stands for is one that `pattern` stands for. */
export function isCoveredBy(host: string, pattern: string): boolean {
  if (!isWildcard(pattern)) return host === pattern
  const suffix = pattern.slice(1)
  if (isWildcard(host)) return host.length >= pattern.length && host.slice(1).endsWith(suffix)
  return host.length > suffix.length ? host.endsWith(suffix) : suffix === ''
}

/** Whether two names, each perhaps a wildcard, have a host in common. */
export function overlaps(left: string, right: string): boolean {
  if (isWildcard(left) && isWildcard(right)) {
    const [short, long] = left.length < right.length ? [left, right] : [right, left]
    return long.slice(1).endsWith(short.slice(1))
  }
  return isWildcard(left) ? isCoveredBy(right, left) : isCoveredBy(left, right)
}

/** Most specific first: a longer wildcard covers less. */
export function bySpecificity(left: string, right: string): number {
  if (isWildcard(left) !== isWildcard(right)) return isWildcard(left) ? 1 : -1
  return right.length - left.length || (left < right ? -1 : Number(left > right))
}

/** The shorter names of `name.namespace.svc.cluster.local`, as a client in `clientNamespace` may use them. */
export function shortNamesOf(hostname: string, clientNamespace: string): string[] {
  const suffix = `.svc.${serviceDomain}`
  if (!hostname.endsWith(suffix)) return []
  const qualified = hostname.slice(0, -suffix.length)
  const dot = qualified.indexOf('.')
  if (dot <= 0 || dot !== qualified.lastIndexOf('.')) return []
  const names = [`${qualified}.svc`, qualified]
  return qualified.slice(dot + 1) === clientNamespace ? [qualified.slice(0, dot), ...names] : names
}

/** Whether an `exportTo` list of something in `own` namespace lets `client` namespace see it. */
export function isExportedTo(
  exportTo: readonly string[],
  namespaces: { readonly own: string; readonly client: string },
): boolean {
  return exportTo.some(
    (target) =>
      target === '*' ||
      target === namespaces.client ||
      (target === '.' && namespaces.own === namespaces.client),
  )
}

export function clusterName(port: number, subset: string, hostname: string): string {
  return `outbound|${port}|${subset}|${hostname}`
}

export function inboundClusterName(appPort: number): string {
  return `inbound|${appPort}||`
}
