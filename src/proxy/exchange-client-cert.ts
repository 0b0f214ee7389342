/**
 * `x-forwarded-client-cert`: who called, for the application behind a sidecar (Envoy's `forward_client_cert_details`;
 * the header's format is that of Envoy's HTTP header manipulation page).
 *
 * A header that came from outside is never believed but where the mode says so: without a certificate on this very
 * connection it is removed. Our own element is the same for every request of a connection and is made once.
 */
import { printableName, type ConnectionSecurity } from './connection-security.ts'
import type { HeaderList } from './http/header-list.ts'
import type { ClientCertForwarding } from './listener/listener-config.ts'

export const clientCertHeader = 'x-forwarded-client-cert'

/** Whose certificate it is, and where the element made of it is kept. */
export interface ClientCertSource {
  readonly security: ConnectionSecurity | undefined
  readonly clientCertElement: ClientCertElement
}

export function shapeClientCert(
  headers: HeaderList,
  forwarding: ClientCertForwarding,
  { security, clientCertElement }: ClientCertSource,
): void {
  const { mode } = forwarding
  if (mode === 'always-forward-only') return
  if (mode === 'sanitize' || security?.peer === undefined) {
    headers.remove(clientCertHeader)
    return
  }
  if (mode === 'forward-only') return
  const own = elementText(clientCertElement, forwarding, security)
  const before = mode === 'append-forward' ? headers.getAll(clientCertHeader) : undefined
  headers.set(clientCertHeader, before === undefined ? own : `${before},${own}`)
}

/** The element of one connection; made again when a new config of the listener has other settings. */
export interface ClientCertElement {
  settings: ClientCertForwarding | undefined
  text: string
}

function elementText(
  element: ClientCertElement,
  settings: ClientCertForwarding,
  security: ConnectionSecurity,
): string {
  if (element.settings !== settings) {
    element.text = buildElement(settings, security)
    element.settings = settings
  }
  return element.text
}

function buildElement(settings: ClientCertForwarding, security: ConnectionSecurity): string {
  const { local, peer } = security
  if (peer === undefined) return ''
  const parts = (local?.uris ?? []).map((uri) => `By=${nameText(uri)}`)
  parts.push(`Hash=${peer.fingerprint256}`)
  for (const detail of settings.details) {
    if (detail === 'cert') parts.push(`Cert="${encodeURIComponent(peer.pem)}"`)
    if (detail === 'chain') parts.push(`Chain="${encodedChain(security)}"`)
    if (detail === 'subject') parts.push(`Subject="${peer.subject}"`)
    // The key is there even without a name.
    if (detail === 'uri') {
      parts.push(
        ...(peer.uris.length === 0 ? ['URI='] : peer.uris.map((uri) => `URI=${nameText(uri)}`)),
      )
    }
    if (detail === 'dns') parts.push(...peer.dns.map((name) => `DNS=${nameText(name)}`))
  }
  return parts.join(';')
}

/** What the header's own grammar reads is quoted, so that no name becomes an element or a key of its own. */
function nameText(name: string): string {
  const text = printableName(name)
  return /[",;]/.test(text) ? `"${text.replaceAll('"', '\\"')}"` : text
}

function encodedChain(security: ConnectionSecurity): string {
  return security.peerChain.map(({ pem }) => encodeURIComponent(pem)).join('')
}
