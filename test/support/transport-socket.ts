/** TLS transport sockets of Envoy as JSON (flow YAML for a bootstrap) and as messages, from certificates of a test. */
import { MessageJson } from '../../src/xds/json.ts'
import { TransportSocket } from '../../src/xds/proto/generated/envoy/config/core/v3/base.ts'
import type { TestLeaf } from './test-certificate.ts'

export interface TlsWish {
  readonly certificate: TestLeaf | undefined
  /** Roots by trust domain, for the SPIFFE validator. */
  readonly bundles?: Readonly<Record<string, string>>
  /** Roots without trust domains. */
  readonly roots?: string
  /** Revocation lists, beside `roots`. */
  readonly revoked?: string
  /** Exact URI names that the peer must have one of. */
  readonly sans?: readonly string[]
  readonly alpn?: readonly string[]
  readonly minVersion?: 'TLSv1_2' | 'TLSv1_3'
}

export type DownstreamWish = TlsWish & { readonly requires: boolean }
export type UpstreamWish = TlsWish & { readonly serverName?: string }

const ns = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'

export const transportSocket = {
  downstream: (wish: DownstreamWish): TransportSocket => message(downstreamJson(wish)),
  upstream: (wish: UpstreamWish): TransportSocket => message(upstreamJson(wish)),
}

export function downstreamJson(wish: DownstreamWish): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${ns}.DownstreamTlsContext`,
      require_client_certificate: wish.requires,
      common_tls_context: commonJson(wish),
    },
  }
}

export function upstreamJson(wish: UpstreamWish): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${ns}.UpstreamTlsContext`,
      ...(wish.serverName !== undefined && { sni: wish.serverName }),
      common_tls_context: commonJson(wish),
    },
  }
}

function commonJson(wish: TlsWish): object {
  const { certificate, alpn = [], minVersion } = wish
  return {
    ...(certificate !== undefined && { tls_certificates: [certificateJson(certificate)] }),
    ...(hasValidation(wish) && { validation_context: validationJson(wish) }),
    alpn_protocols: alpn,
    tls_params: {
      tls_maximum_protocol_version: 'TLSv1_3',
      ...(minVersion !== undefined && { tls_minimum_protocol_version: minVersion }),
    },
  }
}

function hasValidation({ bundles, roots }: TlsWish): boolean {
  return bundles !== undefined || roots !== undefined
}

export function certificateJson(leaf: TestLeaf): object {
  return {
    certificate_chain: { inline_string: leaf.chainPem },
    private_key: { inline_string: leaf.keyPem },
  }
}

export function validationJson({ bundles, roots, revoked, sans = [] }: TlsWish): object {
  return {
    ...(roots !== undefined && { trusted_ca: { inline_string: roots } }),
    ...(revoked !== undefined && { crl: { inline_string: revoked } }),
    ...(bundles !== undefined && { custom_validator_config: spiffeJson(bundles) }),
    match_typed_subject_alt_names: sans.map((exact) => ({ san_type: 'URI', matcher: { exact } })),
  }
}

function spiffeJson(bundles: Readonly<Record<string, string>>): object {
  return {
    name: 'envoy.tls.cert_validator.spiffe',
    typed_config: {
      '@type': `${ns}.SPIFFECertValidatorConfig`,
      trust_domains: Object.entries(bundles).map(([name, pem]) => ({
        name,
        trust_bundle: { inline_string: pem },
      })),
    },
  }
}

function message(json: object): TransportSocket {
  return new MessageJson().parse('envoy.config.core.v3.TransportSocket', TransportSocket, json)
}

/** The same contexts with Istio's secrets by SDS: `default` and `ROOTCA`. */
export function secretDownstreamJson(alpn: readonly string[]): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${ns}.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: secretCommon([], alpn),
    },
  }
}

export function secretUpstreamJson(sans: readonly string[], alpn: readonly string[]): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${ns}.UpstreamTlsContext`,
      common_tls_context: secretCommon(sans, alpn),
    },
  }
}

function secretCommon(sans: readonly string[], alpn: readonly string[]): object {
  return {
    tls_certificate_sds_secret_configs: [secretConfig('default')],
    combined_validation_context: {
      default_validation_context: validationJson({ certificate: undefined, sans }),
      validation_context_sds_secret_config: secretConfig('ROOTCA'),
    },
    alpn_protocols: alpn,
    tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
  }
}

/** A secret by name from the static cluster `sds-grpc`. */
function secretConfig(name: string): object {
  return {
    name,
    sds_config: {
      resource_api_version: 'V3',
      initial_fetch_timeout: '0s',
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }],
      },
    },
  }
}
