/** What is counted of identity, under Istio's names where Istio has them. */
import type { CertificateAuthority } from '../../identity/certificate-authority.ts'
import { Counter, type ControlPlaneMetrics } from '../metrics.ts'

export class IdentityMetrics {
  readonly requests = new Counter()
  readonly issued = new Counter()
  readonly unreadable = new Counter()
  /** By reason. */
  readonly refusals = new Counter()
  /** By reason. */
  readonly refusedJoins = new Counter()
  /** By reason. */
  readonly refusedConnections = new Counter()
}

export function addIdentityMetrics(
  metrics: ControlPlaneMetrics,
  identity: IdentityMetrics,
  authority: CertificateAuthority,
): void {
  const { requests, issued, unreadable, refusals, refusedJoins, refusedConnections } = identity
  metrics.counter('citadel_server_csr_count', 'Calls for a certificate.', requests)
  metrics.counter(
    'citadel_server_success_cert_issuance_count',
    'Certificates given to workloads.',
    issued,
  )
  metrics.counter(
    'citadel_server_csr_parsing_err_count',
    'Certificate requests that could not be read, or are not signed by their key.',
    unreadable,
  )
  metrics.counter(
    'citadel_server_authentication_failure_count',
    'Callers that got no certificate, by reason.',
    refusals,
  )
  metrics.counter(
    'tulle_xds_refused_joins',
    'Clients whose node claims more than their certificate gives, by reason.',
    refusedJoins,
  )
  metrics.counter(
    'tulle_xds_refused_connections',
    'Connections to the TLS port that came to nothing, by reason.',
    refusedConnections,
  )
  const signing = () => authority.roots()[0]
  metrics.gauge(
    'citadel_server_root_cert_expiry_timestamp',
    'When the root that signs ends, in seconds since the epoch.',
    () => (signing()?.notAfterMs ?? 0) / 1_000,
  )
  metrics.gauge(
    'citadel_server_cert_chain_expiry_timestamp',
    'When the certificate that signs ends, in seconds since the epoch.',
    () => (signing()?.signingNotAfterMs ?? 0) / 1_000,
  )
  metrics.gauge('tulle_ca_roots', 'Roots that the mesh believes.', () => authority.roots().length)
}
