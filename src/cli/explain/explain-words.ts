/** Small texts of an explanation: times, security, changes of headers. */
import type { HeaderChanges } from '../../proxy/explain/explanation.ts'

/** `250ms`, `1.5s`, `2m` */
export function timeText(ms: number): string {
  if (ms < 1000) return `${Number(ms.toFixed(3))}ms`
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${Number((ms / 1000).toFixed(3))}s`
}

export function securityText(security: string): string {
  return security === '' ? 'plaintext' : security
}

/** What Envoy adds on every hop is no news. */
const ownHeaders = new Set(['x-envoy-expected-rq-timeout-ms', 'x-envoy-original-path'])

export function headerLines(what: string, { set, removed }: HeaderChanges): readonly string[] {
  const changed = Object.entries(set).filter(([name]) => !ownHeaders.has(name))
  const parts = [
    ...changed.map(([name, value]) => `${name}: ${value}`),
    ...removed.map((name) => `no ${name}`),
  ]
  return parts.length === 0 ? [] : [`${what} gets ${parts.join(', ')}`]
}
