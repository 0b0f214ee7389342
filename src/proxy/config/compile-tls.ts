/** DownstreamTlsContext and UpstreamTlsContext → plans. */
import { hash } from 'node:crypto'

import { typeNameOf } from '../../xds/any.ts'
import type { TransportSocket } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { ApiConfigSource_ApiType as ApiType } from '../../xds/proto/generated/envoy/config/core/v3/config_source.ts'
import type { UpstreamHttpProtocolOptions } from '../../xds/proto/generated/envoy/config/core/v3/protocol.ts'
import { ProxyProtocolConfig_Version } from '../../xds/proto/generated/envoy/config/core/v3/proxy_protocol.ts'
import { ProxyProtocolUpstreamTransport } from '../../xds/proto/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts'
import {
  type TlsParameters,
  TlsParameters_TlsProtocol as Protocol,
} from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/common.ts'
import type { SdsSecretConfig } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import {
  type CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type {
  CertificateSource,
  DownstreamTlsPlan,
  SecretOrigin,
  SecretRef,
  TlsPlan,
  TlsVersion,
  UpstreamTlsPlan,
  ValidationSource,
} from '../tls/tls-plan.ts'
import type { TransportPlan } from '../tls/upstream-transports.ts'
import type { SecretSources } from './compile-scope.ts'
import { compileKeyPair, compileValidation } from './compile-secret.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'
import { downstreamTlsRule, proxyTransportRule, upstreamTlsRule } from './tls-fields.ts'

export const rawBuffer = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'

/** Undefined: plaintext, or refused. */
export function compileDownstreamTls(
  socket: TransportSocket | undefined,
  secrets: SecretSources,
  report: FieldReport,
): DownstreamTlsPlan | undefined {
  const any = typedSocket(socket, downstreamTlsRule.type, report)
  if (any === undefined) return undefined
  const here = at(report, 'typed_config')
  const context = decodeTyped(any, DownstreamTlsContext, here)
  if (context === undefined) return undefined
  checkFields(context, downstreamTlsRule, here)
  const common = compileCommon(context.commonTlsContext, secrets, at(here, 'common_tls_context'))
  const { validation, certificates } = common
  if (certificates.length === 0) {
    refuse(here, 'No TLS certificates found for server context')
  }
  const requiresCertificate = context.requireClientCertificate ?? false
  if (requiresCertificate && validation.base === undefined && validation.ref === undefined) {
    refuse(here, 'require_client_certificate needs a validation context')
  }
  const tickets = context.sessionTicketKeysType
  const isStateless = tickets?.$case !== 'disableStatelessSessionResumption' || !tickets.value
  const timeoutMs = durationMs(context.sessionTimeout, { absentMs: 0 }, at(here, 'session_timeout'))
  return {
    ...common,
    key: keyOf(any),
    requiresCertificate,
    requiresServerName: context.requireSni ?? false,
    resumes: isStateless,
    sessionTimeoutSeconds: timeoutMs === 0 ? undefined : Math.max(1, Math.floor(timeoutMs / 1000)),
  }
}

export interface UpstreamTlsScope {
  readonly secrets: SecretSources
  /** Of the cluster's HTTP protocol options: names taken from requests. */
  readonly http: UpstreamHttpProtocolOptions | undefined
}

export function compileUpstreamTransport(
  socket: TransportSocket | undefined,
  scope: UpstreamTlsScope,
  report: FieldReport,
): TransportPlan {
  const wrapped = socket?.configType?.value
  if (wrapped !== undefined && typeNameOf(wrapped.typeUrl) === proxyTransportRule.type) {
    return compileProxyTransport(wrapped, scope, at(report, 'typed_config'))
  }
  return compileTlsTransport(socket, scope, report)
}

function compileTlsTransport(
  socket: TransportSocket | undefined,
  scope: UpstreamTlsScope,
  report: FieldReport,
): TransportPlan {
  const any = typedSocket(socket, upstreamTlsRule.type, report)
  const here = at(report, 'typed_config')
  const context = any && decodeTyped(any, UpstreamTlsContext, here)
  if (any === undefined || context === undefined) return { kind: 'plaintext' }
  checkFields(context, upstreamTlsRule, here)
  if (context.sni.length > 255) refuse(at(here, 'sni'), 'value length must be at most 255 bytes')
  const secrets = scope.secrets
  const common = compileCommon(context.commonTlsContext, secrets, at(here, 'common_tls_context'))
  if (common.certificates.length > 1) {
    refuse(here, 'Multiple TLS certificates are not supported for client contexts')
  }
  const { autoSni = false, autoSanValidation = false } = scope.http ?? {}
  const tls: UpstreamTlsPlan = {
    ...common,
    key: `${keyOf(any)} ${String(autoSni)} ${String(autoSanValidation)}`,
    serverName: context.sni,
    autoServerName: autoSni,
    autoSanValidation,
    resumes: (context.maxSessionKeys ?? 1) > 0,
  }
  return { kind: 'tls', tls }
}

function compileProxyTransport(
  any: Any,
  scope: UpstreamTlsScope,
  report: FieldReport,
): TransportPlan {
  const transport = decodeTyped(any, ProxyProtocolUpstreamTransport, report)
  if (transport === undefined) return { kind: 'plaintext' }
  checkFields(transport, proxyTransportRule, report)
  if (transport.transportSocket === undefined) refuse(at(report, 'transport_socket'), 'is required')
  const here = at(report, 'transport_socket')
  const inner = compileUpstreamTransport(transport.transportSocket, scope, here)
  if (inner.kind === 'proxy-protocol') refuse(here, 'a PROXY header is written once')
  const version = transport.config?.version === ProxyProtocolConfig_Version.V2 ? 2 : 1
  return { kind: 'proxy-protocol', version, inner }
}

/** The typed config of a TLS socket; raw buffers have none to speak of, and others are refused by name. */
function typedSocket(
  socket: TransportSocket | undefined,
  wanted: string,
  report: FieldReport,
): Any | undefined {
  if (socket === undefined) return undefined
  const any = socket.configType?.value
  const name = typeNameOf(any?.typeUrl ?? '')
  if (name === rawBuffer) return undefined
  if (name === wanted && any !== undefined) return any
  refuse(report, `${socket.name} (${name || 'no typed_config'}) is not implemented`)
  return undefined
}

function keyOf(any: Any): string {
  return hash('sha256', any.value, 'base64')
}

type CommonPlan = Omit<TlsPlan, 'key'>

function compileCommon(
  context: CommonTlsContext | undefined,
  secrets: SecretSources,
  report: FieldReport,
): CommonPlan {
  const inline = (context?.tlsCertificates ?? []).flatMap((certificate, index) => {
    const pair = compileKeyPair(certificate, at(report, 'tls_certificates', index))
    return pair === undefined ? [] : [{ kind: 'inline', pair } as const]
  })
  const here = 'tls_certificate_sds_secret_configs'
  const named = (context?.tlsCertificateSdsSecretConfigs ?? []).flatMap((config, index) => {
    const ref = compileRef(config, secrets, at(report, here, index))
    return ref === undefined ? [] : [{ kind: 'secret', ref } as const]
  })
  if (inline.length > 0 && named.length > 0) {
    refuse(report, 'tls_certificates and tls_certificate_sds_secret_configs exclude each other')
  }
  const certificates: readonly CertificateSource[] = [...inline, ...named]
  return {
    certificates,
    validation: compileValidationSource(context, secrets, report),
    alpn: context?.alpnProtocols ?? [],
    ...compileParameters(context?.tlsParams, at(report, 'tls_params')),
  }
}

function compileValidationSource(
  context: CommonTlsContext | undefined,
  secrets: SecretSources,
  report: FieldReport,
): ValidationSource {
  const type = context?.validationContextType
  switch (type?.$case) {
    case 'validationContext':
      return {
        base: compileValidation(type.value, at(report, 'validation_context')),
        ref: undefined,
      }
    case 'validationContextSdsSecretConfig': {
      const here = at(report, 'validation_context_sds_secret_config')
      return { base: undefined, ref: compileRef(type.value, secrets, here) }
    }
    case 'combinedValidationContext': {
      const here = at(report, 'combined_validation_context')
      const { defaultValidationContext: base, validationContextSdsSecretConfig: config } =
        type.value
      if (config === undefined) {
        refuse(at(here, 'validation_context_sds_secret_config'), 'is required')
      }
      return {
        base: base && compileValidation(base, at(here, 'default_validation_context')),
        ref:
          config && compileRef(config, secrets, at(here, 'validation_context_sds_secret_config')),
      }
    }
    // Certificate providers were refused by the table of fields.
    case 'validationContextCertificateProvider':
    case 'validationContextCertificateProviderInstance':
    case undefined:
    default:
      return { base: undefined, ref: undefined }
  }
}

function compileRef(
  config: SdsSecretConfig,
  secrets: SecretSources,
  report: FieldReport,
): SecretRef | undefined {
  if (config.name === '') {
    refuse(at(report, 'name'), 'value length must be at least 1 characters')
    return undefined
  }
  const source = config.sdsConfig
  const fetchTimeoutMs = durationMs(
    source?.initialFetchTimeout,
    { absentMs: 15_000 },
    at(report, 'sds_config', 'initial_fetch_timeout'),
  )
  const origin = secretOrigin(config, secrets, at(report, 'sds_config'))
  return origin && { name: config.name, origin, fetchTimeoutMs }
}

function secretOrigin(
  config: SdsSecretConfig,
  secrets: SecretSources,
  report: FieldReport,
): SecretOrigin | undefined {
  const specifier = config.sdsConfig?.configSourceSpecifier
  if (specifier === undefined) {
    if (secrets.hasStatic(config.name)) return { kind: 'static' }
    refuse(report, `no static secret named ${showValue(config.name)}`)
    return undefined
  }
  if (specifier.$case === 'ads') return { kind: 'ads' }
  if (specifier.$case !== 'apiConfigSource') return undefined
  const { apiType, grpcServices } = specifier.value
  const here = at(report, 'api_config_source')
  const isDelta = apiType === ApiType.DELTA_GRPC
  if (apiType !== ApiType.GRPC && !isDelta) {
    refuse(at(here, 'api_type'), 'must be GRPC or DELTA_GRPC')
  }
  const target = grpcServices[0]?.targetSpecifier
  if (target?.$case !== 'envoyGrpc') {
    refuse(at(here, 'grpc_services'), 'needs one service with envoy_grpc')
    return undefined
  }
  const { clusterName } = target.value
  if (!secrets.hasServer(clusterName)) {
    refuse(at(here, 'grpc_services', 0), `no static cluster named ${showValue(clusterName)}`)
    return undefined
  }
  return { kind: 'sds', cluster: clusterName, isDelta }
}

type ParameterPlan = Pick<
  TlsPlan,
  'minVersion' | 'maxVersion' | 'ciphers' | 'curves' | 'signatures'
>

function compileParameters(
  parameters: TlsParameters | undefined,
  report: FieldReport,
): ParameterPlan {
  const version = (value: Protocol | undefined, absent: TlsVersion, field: string): TlsVersion => {
    if (value === undefined || value === Protocol.TLS_AUTO) return absent
    if (value === Protocol.TLSv1_2) return 'TLSv1.2'
    if (value === Protocol.TLSv1_3) return 'TLSv1.3'
    refuse(at(report, field), 'TLS 1.0 and 1.1 are not implemented: use TLSv1_2')
    return absent
  }
  const { tlsMinimumProtocolVersion: min, tlsMaximumProtocolVersion: max } = parameters ?? {}
  const minVersion = version(min, 'TLSv1.2', 'tls_minimum_protocol_version')
  const maxVersion = version(max, 'TLSv1.3', 'tls_maximum_protocol_version')
  if (minVersion > maxVersion) refuse(report, `${minVersion} is above ${maxVersion}`)
  return {
    minVersion,
    maxVersion,
    ciphers: listOf(parameters?.cipherSuites.map(withoutGroups)),
    curves: listOf(parameters?.ecdhCurves),
    signatures: listOf(parameters?.signatureAlgorithms),
  }
}

/** BoringSSL's `[A|B]` says that A and B are equally good; OpenSSL has no word for that. */
function withoutGroups(cipher: string): string {
  return cipher.replace(/^\[|\]$/g, '').replaceAll('|', ':')
}

function listOf(names: readonly string[] | undefined): string | undefined {
  return names === undefined || names.length === 0 ? undefined : names.join(':')
}
