/** What we read of TLS contexts and secrets. Values of keys and passwords never get into a reason. */
import { configSourceFields } from './cluster-fields.ts'
import { type FieldRule, type MessageRule, ignored, refusedField, used } from './field-rule.ts'

const ns = 'envoy.extensions.transport_sockets.tls.v3'

const dataSource: MessageRule = {
  type: 'envoy.config.core.v3.DataSource',
  fields: {
    filename: used(undefined, 'read when the configuration comes; not watched'),
    inlineBytes: used(),
    inlineString: used(),
    environmentVariable: refusedField('secrets from the environment are not implemented'),
    watchedDirectory: refusedField('watching files is not implemented: secrets change by SDS'),
  },
}

const notWatched = refusedField('watching files is not implemented: secrets change by SDS')
const noProviders = refusedField('certificate providers are for gRPC clients')

const tlsCertificate: MessageRule = {
  type: `${ns}.TlsCertificate`,
  fields: {
    certificateChain: used(dataSource),
    privateKey: used(dataSource),
    pkcs12: secretRefused('PKCS #12 is not implemented: use certificate_chain and private_key'),
    watchedDirectory: notWatched,
    privateKeyProvider: secretRefused('private key providers are not implemented'),
    password: used(dataSource),
    ocspStaple: refusedField('OCSP staples are not implemented'),
    signedCertificateTimestamp: refusedField('certificate timestamps are not implemented'),
  },
}

const sanMatcher: MessageRule = {
  type: `${ns}.SubjectAltNameMatcher`,
  fields: {
    sanType: used(undefined, 'EMAIL, DNS, URI, IP_ADDRESS'),
    matcher: used(),
    oid: refusedField('names of another type are not implemented'),
  },
}

const validationContext: MessageRule = {
  type: `${ns}.CertificateValidationContext`,
  fields: {
    trustedCa: used(dataSource),
    caCertificateProviderInstance: noProviders,
    systemRootCerts: used({
      type: `${ns}.CertificateValidationContext.SystemRootCerts`,
      fields: {},
    }),
    watchedDirectory: notWatched,
    verifyCertificateSpki: used(),
    verifyCertificateHash: used(),
    matchTypedSubjectAltNames: used(sanMatcher),
    matchSubjectAltNames: used(undefined, 'names of any type'),
    requireSignedCertificateTimestamp: refusedField('Envoy does not implement it either', false),
    crl: used(dataSource, 'of every authority in a chain'),
    allowExpiredCertificate: used(),
    trustChainVerification: used(),
    customValidatorConfig: used(undefined, 'envoy.tls.cert_validator.spiffe'),
    onlyVerifyLeafCertCrl: refusedField(
      'lists are asked about every certificate of a chain',
      false,
    ),
    maxVerifyDepth: used(undefined, 'at most 10'),
  },
}

const secretConfig: MessageRule = {
  type: `${ns}.SdsSecretConfig`,
  fields: {
    name: used(),
    sdsConfig: used({
      type: 'envoy.config.core.v3.ConfigSource',
      fields: {
        ...configSourceFields,
        apiConfigSource: used(undefined, 'GRPC or DELTA_GRPC with envoy_grpc to a static cluster'),
      },
    }),
  },
}

const parameters: MessageRule = {
  type: `${ns}.TlsParameters`,
  fields: {
    tlsMinimumProtocolVersion: used(undefined, 'TLSv1_2 and TLSv1_3'),
    tlsMaximumProtocolVersion: used(undefined, 'TLSv1_2 and TLSv1_3; TLSv1_3 unless set'),
    cipherSuites: used(undefined, 'of TLS 1.2'),
    ecdhCurves: used(),
    signatureAlgorithms: used(),
    compliancePolicies: refusedField('compliance policies are not implemented'),
  },
}

const commonTls: MessageRule = {
  type: `${ns}.CommonTlsContext`,
  fields: {
    tlsParams: used(parameters),
    tlsCertificates: used(tlsCertificate),
    tlsCertificateSdsSecretConfigs: used(secretConfig),
    tlsCertificateProviderInstance: noProviders,
    tlsCertificateCertificateProvider: noProviders,
    tlsCertificateCertificateProviderInstance: noProviders,
    validationContext: used(validationContext),
    validationContextSdsSecretConfig: used(secretConfig),
    combinedValidationContext: used({
      type: `${ns}.CommonTlsContext.CombinedCertificateValidationContext`,
      fields: {
        defaultValidationContext: used(validationContext),
        validationContextSdsSecretConfig: used(secretConfig),
        validationContextCertificateProvider: noProviders,
        validationContextCertificateProviderInstance: noProviders,
      },
    }),
    validationContextCertificateProvider: noProviders,
    validationContextCertificateProviderInstance: noProviders,
    alpnProtocols: used(
      undefined,
      'h2 and istio-h2 are not offered for HTTP, until HTTP/2 is implemented',
    ),
    customHandshaker: refusedField('custom handshakers are not implemented'),
    keyLog: refusedField('logging keys is not implemented'),
    customTlsCertificateSelector: refusedField('certificate selectors are not implemented'),
  },
}

export const downstreamTlsRule: MessageRule = {
  type: `${ns}.DownstreamTlsContext`,
  fields: {
    commonTlsContext: used(commonTls),
    requireClientCertificate: used(),
    requireSni: used(),
    sessionTicketKeys: secretRefused('session ticket keys of one’s own are not implemented'),
    sessionTicketKeysSdsSecretConfig: refusedField('session ticket keys are not implemented'),
    disableStatelessSessionResumption: used(),
    disableStatefulSessionResumption: ignored('sessions are resumed by tickets only'),
    sessionTimeout: used(),
    ocspStaplePolicy: refusedField('only LENIENT_STAPLING: OCSP staples are not implemented'),
    fullScanCertsOnSniMismatch: ignored('OpenSSL chooses by the client’s abilities'),
    preferClientCiphers: ignored('all ciphers that are offered are good'),
  },
}

export const upstreamTlsRule: MessageRule = {
  type: `${ns}.UpstreamTlsContext`,
  fields: {
    commonTlsContext: used(commonTls),
    sni: used(),
    allowRenegotiation: refusedField('renegotiation is not implemented', false),
    maxSessionKeys: used(undefined, '0 switches resumption off; one session is kept otherwise'),
    enforceRsaKeyUsage: ignored('OpenSSL enforces key usage'),
  },
}

const noTlvs = 'TLVs in PROXY headers are not implemented'

export const proxyTransportRule: MessageRule = {
  type: 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
  fields: {
    config: used({
      type: 'envoy.config.core.v3.ProxyProtocolConfig',
      fields: {
        version: used(),
        passThroughTlvs: refusedField(noTlvs),
        addedTlvs: refusedField(noTlvs),
      },
    }),
    transportSocket: used(undefined, 'envoy.transport_sockets.tls and raw_buffer'),
    allowUnspecifiedAddress: refusedField('unspecified addresses are not implemented'),
    tlvAsPoolKey: refusedField(noTlvs),
  },
}

export const secretRule: MessageRule = {
  type: `${ns}.Secret`,
  fields: {
    name: used(),
    tlsCertificate: used(tlsCertificate),
    validationContext: used(validationContext),
    sessionTicketKeys: secretRefused('session ticket keys are not implemented'),
    genericSecret: secretRefused('generic secrets have no reader here'),
  },
}

export const spiffeValidatorRule: MessageRule = {
  type: `${ns}.SPIFFECertValidatorConfig`,
  fields: {
    trustDomains: used({
      type: `${ns}.SPIFFECertValidatorConfig.TrustDomain`,
      fields: { name: used(), trustBundle: used(dataSource) },
    }),
    trustBundles: refusedField('a SPIFFE bundle document is not implemented: use trust_domains'),
  },
}

/** Refused without its value: it may hold a key. */
function secretRefused(note: string): FieldRule {
  return { is: 'refused', note, accepts: [], isSecret: true }
}
