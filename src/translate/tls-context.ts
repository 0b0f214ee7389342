/**
 * Envoy's TLS contexts: those of connections between sidecars, and those to servers outside the mesh.
 *
 * Between sidecars certificate and roots come by SDS from the agent, under Istio's names `default` and `ROOTCA`.
 * Elsewhere they are files of the host that the sidecar runs on, or a credential of that host, by SDS too.
 */
import { isIP } from 'node:net'

import type { IngressTls } from '../model/istio/sidecar.ts'
import { isKnownCurve } from '../model/mesh/mesh-setting-shape.ts'
import type { TransportSocket } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { TransportSocket as TransportSocketCodec } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  ApiVersion,
  ApiConfigSource_ApiType,
} from '../xds/proto/generated/envoy/config/core/v3/config_source.ts'
import { RawBuffer } from '../xds/proto/generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts'
import {
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as TlsProtocol,
} from '../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/common.ts'
import {
  DownstreamTlsContext,
  UpstreamTlsContext,
} from '../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts'
import { trustDomainsOf } from './identity.ts'
import type { MeshSettings } from './input.ts'
import { durationOf, noTimeout, packed } from './message.ts'

/** Names of secrets, as Istio's agent serves them. */
export const secretNames = { certificate: 'default', roots: 'ROOTCA' } as const

/** Static cluster of the bootstrap: the agent's socket. */
const secretCluster = 'sds-grpc'

/** Istio's list for TLS 1.2; 1.3 has suites of its own. */
const istioCipherSuites = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
]

const protocols = { '1.2': TlsProtocol.TLSv1_2, '1.3': TlsProtocol.TLSv1_3 } as const

/** What a sidecar demands of whoever connects to a mesh port. */
export function mutualDownstream(mesh: MeshSettings, alpn: readonly string[]): TransportSocket {
  return tlsSocket(
    packed(DownstreamTlsContext, 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      commonTlsContext: {
        ...meshParameters(mesh),
        ...ownCertificate(),
        validationContextType: meshRoots(
          trustDomainsOf(mesh).map((domain) => ({
            sanType: SanType.URI,
            matcher: { matchPattern: { $case: 'prefix', value: `spiffe://${domain}/` } },
          })),
        ),
        alpnProtocols: [...alpn],
      },
      requireClientCertificate: true,
    }),
  )
}

/** How a sidecar serves the application's own certificate, to callers from outside the mesh. */
export function serverDownstream(tls: IngressTls, mesh: MeshSettings): TransportSocket {
  const { mode, serverCertificate = '', privateKey = '', caCertificates = '' } = tls
  const verifiesClient = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL'
  return tlsSocket(
    packed(DownstreamTlsContext, 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      commonTlsContext: {
        tlsParams: {
          ...defaultParameters(mesh),
          tlsMinimumProtocolVersion:
            tlsVersion(tls.minProtocolVersion) ??
            tlsVersion(mesh.tlsDefaults.minProtocolVersion) ??
            TlsProtocol.TLSv1_2,
          tlsMaximumProtocolVersion: tlsVersion(tls.maxProtocolVersion) ?? TlsProtocol.TLSv1_3,
          ...(tls.cipherSuites && { cipherSuites: [...tls.cipherSuites] }),
        },
        tlsCertificates: [
          { certificateChain: fileSource(serverCertificate), privateKey: fileSource(privateKey) },
        ],
        ...(verifiesClient && {
          validationContextType: {
            $case: 'validationContext',
            value: {
              trustedCa: fileSource(caCertificates),
              ...revokedIn(tls.caCrl),
              verifyCertificateSpki: [...(tls.verifyCertificateSpki ?? [])],
              verifyCertificateHash: [...(tls.verifyCertificateHash ?? [])],
            },
          },
        }),
        alpnProtocols: ['h2', 'http/1.1'],
      },
      requireClientCertificate: mode === 'MUTUAL',
    }),
  )
}

/** The file of revocation lists, where one is named. */
function revokedIn(file: string | undefined) {
  return file === undefined || file === '' ? {} : { crl: fileSource(file) }
}

/** What cannot be served: no certificate is named. */
export function isUnservable({ serverCertificate, privateKey }: IngressTls): boolean {
  return !serverCertificate || !privateKey
}

const tlsVersions = {
  TLS_AUTO: undefined,
  TLSV1_0: TlsProtocol.TLSv1_0,
  TLSV1_1: TlsProtocol.TLSv1_1,
  TLSV1_2: TlsProtocol.TLSv1_2,
  TLSV1_3: TlsProtocol.TLSv1_3,
} as const

function tlsVersion(version: IngressTls['minProtocolVersion']): TlsProtocol | undefined {
  return version && tlsVersions[version]
}

export interface MutualUpstreamInput {
  readonly mesh: MeshSettings
  readonly sni: string
  readonly alpn: readonly string[]
  /** Empty: whoever has a certificate of the mesh. */
  readonly subjectAltNames: readonly string[]
}

/** How a sidecar calls another. */
export function mutualUpstream(input: MutualUpstreamInput): TransportSocket {
  return upstreamSocket({
    commonTlsContext: {
      ...meshParameters(input.mesh),
      ...ownCertificate(),
      validationContextType: meshRoots(input.subjectAltNames.map(exactMatcher)),
      alpnProtocols: [...input.alpn],
    },
    sni: input.sni,
  })
}

export interface ServerUpstreamInput {
  readonly mesh: MeshSettings
  readonly sni: string
  readonly alpn: readonly string[]
  /** Undefined: files, as named below. */
  readonly credential: string | undefined
  /** Of a credential. */
  readonly presentsCertificate: boolean
  readonly clientCertificate: { readonly chain: string; readonly key: string } | undefined
  /** File of authorities; undefined: the server is not verified. */
  readonly caFile: string | undefined
  /** File of revocation lists; read beside authorities. */
  readonly crlFile: string | undefined
  readonly subjectAltNames: readonly string[]
}

/** How a sidecar calls a server that is none of the mesh's. */
export function serverUpstream(input: ServerUpstreamInput): TransportSocket {
  const { credential } = input
  return upstreamSocket({
    commonTlsContext: {
      tlsParams: {
        ...defaultParameters(input.mesh),
        // The mesh's lowest version is for those who are served, as in Istio.
        tlsMinimumProtocolVersion: TlsProtocol.TLSv1_2,
        tlsMaximumProtocolVersion: TlsProtocol.TLSv1_3,
      },
      ...(credential === undefined ? fromFiles(input) : fromCredential(credential, input)),
      alpnProtocols: [...input.alpn],
    },
    sni: input.sni,
  })
}

function fromFiles({ caFile, crlFile, clientCertificate, subjectAltNames }: ServerUpstreamInput) {
  return {
    ...(clientCertificate !== undefined && {
      tlsCertificates: [
        {
          certificateChain: fileSource(clientCertificate.chain),
          privateKey: fileSource(clientCertificate.key),
        },
      ],
    }),
    ...(caFile !== undefined && {
      validationContextType: {
        $case: 'validationContext',
        value: {
          trustedCa: fileSource(caFile),
          ...revokedIn(crlFile),
          matchTypedSubjectAltNames: subjectAltNames.map(exactMatcher),
        },
      },
    }),
  }
}

/** Names as Istio's: that of the authorities has a suffix. The agent serves both. */
function fromCredential(
  name: string,
  { caFile, presentsCertificate, subjectAltNames }: ServerUpstreamInput,
) {
  const secret = `kubernetes://${name}`
  const timeout = durationOf(credentialWaitMs)
  return {
    ...(presentsCertificate && {
      tlsCertificateSdsSecretConfigs: [agentSecret(secret, timeout)],
    }),
    ...(caFile !== undefined && {
      validationContextType: {
        $case: 'combinedValidationContext',
        value: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: subjectAltNames.map(exactMatcher),
          },
          validationContextSdsSecretConfig: agentSecret(`${secret}-cacert`, timeout),
        },
      },
    }),
  }
}

/**
 * How long a cluster that lacks its credential holds others up: a real Envoy starts no listener before. After that it
 * refuses every connection until the credential comes.
 */
const credentialWaitMs = 5_000

export function plaintextSocket(): TransportSocket {
  return TransportSocketCodec.fromPartial({
    name: 'envoy.transport_sockets.raw_buffer',
    configType: {
      $case: 'typedConfig',
      value: packed(RawBuffer, 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', {}),
    },
  })
}

function upstreamSocket(context: object): TransportSocket {
  const name = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
  return tlsSocket(packed(UpstreamTlsContext, name, context))
}

function tlsSocket(value: ReturnType<typeof packed>): TransportSocket {
  return TransportSocketCodec.fromPartial({
    name: 'envoy.transport_sockets.tls',
    configType: { $case: 'typedConfig', value },
  })
}

function meshParameters({ mtlsVersionMin, mtlsCipherSuites }: MeshSettings) {
  const cipherSuites = mtlsCipherSuites ?? istioCipherSuites
  return {
    tlsParams: {
      tlsMinimumProtocolVersion: protocols[mtlsVersionMin],
      tlsMaximumProtocolVersion: TlsProtocol.TLSv1_3,
      ...(mtlsVersionMin === '1.2' && { cipherSuites: distinct(cipherSuites) }),
    },
  }
}

/** What the mesh says of TLS with others, of both sides. */
function defaultParameters({ tlsDefaults }: MeshSettings) {
  const { cipherSuites = [], ecdhCurves = [] } = tlsDefaults
  const curves = distinct(ecdhCurves).filter(isKnownCurve)
  return {
    ...(cipherSuites.length > 0 && { cipherSuites: distinct(cipherSuites) }),
    ...(curves.length > 0 && { ecdhCurves: curves }),
  }
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)]
}

function ownCertificate() {
  return { tlsCertificateSdsSecretConfigs: [agentSecret(secretNames.certificate)] }
}

function meshRoots(matchTypedSubjectAltNames: readonly object[]) {
  return {
    $case: 'combinedValidationContext',
    value: {
      defaultValidationContext: { matchTypedSubjectAltNames },
      validationContextSdsSecretConfig: agentSecret(secretNames.roots),
    },
  }
}

/** Nothing is served without it, however long it takes to come. */
function agentSecret(name: string, initialFetchTimeout = noTimeout) {
  return {
    name,
    sdsConfig: {
      configSourceSpecifier: {
        $case: 'apiConfigSource',
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          transportApiVersion: ApiVersion.V3,
          grpcServices: [
            { targetSpecifier: { $case: 'envoyGrpc', value: { clusterName: secretCluster } } },
          ],
          setNodeOnFirstMessageOnly: true,
        },
      },
      initialFetchTimeout,
      resourceApiVersion: ApiVersion.V3,
    },
  }
}

/** Istio looks for a name among those of every kind; its own text says of which it can be. */
function exactMatcher(name: string) {
  return {
    sanType: sanTypeOf(name),
    matcher: { matchPattern: { $case: 'exact', value: name } },
  }
}

function sanTypeOf(name: string): SanType {
  if (isIP(name) !== 0) return SanType.IP_ADDRESS
  if (name.includes(':')) return SanType.URI
  return name.includes('@') ? SanType.EMAIL : SanType.DNS
}

function fileSource(filename: string) {
  return { specifier: { $case: 'filename', value: filename } }
}
