/**
 * How connections of one cluster are secured: what a DestinationRule's `tls` says, else auto-mTLS.
 *
 * With auto-mTLS the choice is made endpoint by endpoint, by the mark that it carries (endpoint.ts): those with a
 * sidecar that takes mTLS get it, others plaintext. Istio decides by the namespace's PeerAuthentication first, for
 * the whole cluster; here only the marks decide, so that a workload whose own policy differs from its
 * namespace's is reached.
 *
 * What a rule asks for and is not implemented is refused: the cluster gets no endpoints, and nothing leaves in
 * plaintext.
 */
import { unreachable } from '../lib/assert.ts'
import type { ClientTlsSettings } from '../model/istio/destination-rule.ts'
import type { Service, ServicePort } from '../registry/service.ts'
import type { TransportSocket } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { isAutomatic } from './between-sidecars.ts'
import type { HttpVersion } from './connection-pool.ts'
import type { MeshSettings } from './input.ts'
import { mutualUpstream, plaintextSocket, serverUpstream } from './tls-context.ts'
import { isHttp } from './virtual-host.ts'

export interface ClusterTlsInput {
  readonly tls: ClientTlsSettings | undefined
  readonly service: Service
  readonly port: ServicePort
  /** Empty: the whole service. */
  readonly subset: string
  readonly mesh: MeshSettings
  /** Names that the service's workloads may prove to have. */
  readonly identities: readonly string[]
  /** That requests go there with; read for ports that speak HTTP. */
  readonly httpVersion: HttpVersion
  /** File of the authorities that the host of the client trusts. */
  readonly systemRoots: string
}

export interface ClusterTls {
  /** Fields of the cluster. */
  readonly fields: {
    readonly transportSocket?: TransportSocket
    readonly transportSocketMatches?: {
      readonly name: string
      readonly match: { readonly [key: string]: unknown }
      readonly transportSocket: TransportSocket
    }[]
  }
  /** Whether the server's name, and the name that it must prove, follow from each request. */
  readonly autoSni: boolean
  readonly autoSanValidation: boolean
}

export const noTls: ClusterTls = { fields: {}, autoSni: false, autoSanValidation: false }

/** ALPN between sidecars: the first name tells the far side what comes, the last is for servers that know no mesh. */
const meshAlpn = {
  'http/1': ['istio-http/1.1', 'istio', 'http/1.1'],
  'http/2': ['istio-h2', 'istio', 'h2'],
  /** No version is agreed on, so that the far side goes by the first bytes. */
  client: ['istio'],
  tcp: ['istio-peer-exchange', 'istio'],
} as const

/** Istio's word for the authorities that the host trusts. */
const systemRootsName = 'system'

/**
 * Why what the rule asks for cannot be given; undefined: it can. A credential is given to chosen workloads only, so
 * that no other waits for one that it does not have; for them it names a folder of their host.
 */
export function tlsRefusal(
  tls: ClientTlsSettings | undefined,
  isForChosen: boolean,
): 'selector' | 'name' | undefined {
  if (tls?.mode !== 'SIMPLE' && tls?.mode !== 'MUTUAL') return undefined
  if (!isSet(tls.credentialName)) return undefined
  if (!isForChosen) return 'selector'
  return credentialOf(tls) === undefined ? 'name' : undefined
}

/** Names of Kubernetes' objects. It becomes a folder's, so that nothing else may get through. */
const credentialPattern = /^(?:kubernetes:\/\/)?([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/

/** The credential's name, without the scheme that it may be written with. */
function credentialOf({ credentialName }: ClientTlsSettings): string | undefined {
  return credentialPattern.exec(credentialName ?? '')?.[1]
}

export function translateClusterTls(input: ClusterTlsInput): ClusterTls {
  const { tls } = input
  const mode = tls?.mode
  switch (mode) {
    case undefined:
      // Protobuf's zero value: a block without a mode is DISABLE.
      return tls === undefined ? autoMtls(input) : noTls
    case 'DISABLE':
      return noTls
    case 'ISTIO_MUTUAL':
      return { ...noTls, fields: { transportSocket: istioMutual(input, tls) } }
    case 'SIMPLE':
    case 'MUTUAL':
      return server(input, tls ?? {})
    default:
      return unreachable(mode)
  }
}

function autoMtls(input: ClusterTlsInput): ClusterTls {
  const { service, mesh } = input
  if (!isAutomatic(service, mesh)) return noTls
  return {
    ...noTls,
    fields: {
      transportSocketMatches: [
        {
          name: 'tlsMode-istio',
          match: { tlsMode: 'istio' },
          transportSocket: istioMutual(input, undefined),
        },
        { name: 'tlsMode-disabled', match: {}, transportSocket: plaintextSocket() },
      ],
    },
  }
}

function istioMutual(input: ClusterTlsInput, tls: ClientTlsSettings | undefined): TransportSocket {
  const { mesh, port, subset, service, identities } = input
  return mutualUpstream({
    mesh,
    sni: isSet(tls?.sni) ? tls.sni : `outbound_.${port.number}_.${subset}_.${service.hostname}`,
    alpn: meshAlpn[protocolOf(input)],
    subjectAltNames: tls?.subjectAltNames ?? identities,
  })
}

function protocolOf({ port, httpVersion }: ClusterTlsInput): keyof typeof meshAlpn {
  return isHttp(port) ? httpVersion : 'tcp'
}

/** SIMPLE and MUTUAL: by the rules of the public web, with files or a credential of the client's host. */
function server(input: ClusterTlsInput, tls: ClientTlsSettings): ClusterTls {
  const isVerified = tls.insecureSkipVerify !== true
  const own = tls.subjectAltNames ?? []
  const isNamed = isSet(tls.sni)
  return {
    fields: {
      transportSocket: serverUpstream({
        mesh: input.mesh,
        sni: tls.sni ?? '',
        alpn: protocolOf(input) === 'http/2' ? ['h2'] : [],
        credential: credentialOf(tls),
        presentsCertificate: tls.mode === 'MUTUAL',
        clientCertificate: clientCertificateOf(tls),
        crlFile: isSet(tls.caCrl) ? tls.caCrl : undefined,
        caFile: isVerified ? rootsOf(tls, input.systemRoots) : undefined,
        subjectAltNames: own.length > 0 ? own : input.service.subjectAltNames,
      }),
    },
    autoSni: !isNamed,
    autoSanValidation: isVerified && !isNamed && own.length === 0,
  }
}

function rootsOf({ caCertificates }: ClientTlsSettings, systemRoots: string): string {
  return isSet(caCertificates) && caCertificates !== systemRootsName ? caCertificates : systemRoots
}

/** Both files are there: the model refuses MUTUAL without them or a credential. */
function clientCertificateOf({ mode, clientCertificate, privateKey }: ClientTlsSettings) {
  return mode === 'MUTUAL' && isSet(clientCertificate) && isSet(privateKey)
    ? { chain: clientCertificate, key: privateKey }
    : undefined
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}
