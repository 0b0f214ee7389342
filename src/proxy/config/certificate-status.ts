/** What /certs says: each certificate and bundle that TLS uses now, once, without its key. */
import type { X509Certificate } from 'node:crypto'

import { certificateFacts } from '../tls/certificate-facts.ts'
import type { LiveTls } from '../tls/live-tls.ts'
import type { Validation } from '../tls/tls-plan.ts'
import type { CertificateEntry, CertificateStatus } from './data-plane.ts'

export function certificateStatus(contexts: readonly LiveTls[]): readonly CertificateStatus[] {
  const seen = new Map<string, CertificateStatus>()
  for (const context of contexts) {
    const state = context.current
    if (state === undefined) continue
    const chains = state.pairs.map((pair) => pair.chain.map((one) => entry(one, pair.path)))
    const authorities = authoritiesOf(state.validation)
    const status = { chain: chains.flat(), authorities }
    seen.set(JSON.stringify(status), status)
  }
  return [...seen.values()]
}

/** Of many (the system's, say) only the first hundred: nobody reads on. */
const authoritiesMax = 100

function authoritiesOf(validation: Validation | undefined): readonly CertificateEntry[] {
  if (validation === undefined) return []
  const { bundle, roots } = validation.rules
  const all = bundle?.trustDomains.flatMap((domain) => bundle.rootsOf(domain)) ?? roots?.roots ?? []
  return all.slice(0, authoritiesMax).map((one) => entry(one, validation.path))
}

function entry(certificate: X509Certificate, path: string): CertificateEntry {
  const { serial, dns, uris, ips, notBeforeMs, notAfterMs } = certificateFacts(certificate)
  return { path, serial, dns, uris, ips, notBeforeMs, notAfterMs }
}
