/** What TLS would have proved of a client whose certificate says what a test wants. */
import type { CertificateFacts, ConnectionSecurity } from '../../src/proxy/connection-security.ts'

export function fakeSecurity(names: Partial<CertificateFacts>): ConnectionSecurity {
  const peer: CertificateFacts = {
    fingerprint256: '00',
    fingerprint1: '00',
    serial: '1',
    subject: 'CN=a',
    issuer: 'CN=b',
    uris: [],
    dns: [],
    ips: [],
    notBeforeMs: 0,
    notAfterMs: 0,
    pem: '',
    ...names,
  }
  return {
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    serverName: undefined,
    applicationProtocol: undefined,
    isResumed: false,
    local: undefined,
    peer,
    peerChain: [peer],
    isLeaving: false,
  }
}
