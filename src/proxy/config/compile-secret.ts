/** TlsCertificate and CertificateValidationContext → what handshakes use; also the two kinds of Secret. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates, rootCertificates } from 'node:tls'

import { TrustBundle } from '../../identity/trust-bundle.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { typeNameOf } from '../../xds/any.ts'
import type { DataSource } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  type CertificateValidationContext,
  CertificateValidationContext_TrustChainVerification as ChainVerification,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType as SanType,
  type TlsCertificate,
} from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/common.ts'
import type { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { SPIFFECertValidatorConfig } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts'
import type { StringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { compileStringMatcher } from '../route/string-matcher.ts'
import { RootSet } from '../tls/root-set.ts'
import { dnsMatches } from '../tls/san-match.ts'
import type { SecretContent } from '../tls/secret-store.ts'
import type { KeyPair, Validation } from '../tls/tls-plan.ts'
import type { SanMatcher } from '../tls/trust.ts'
import { type Compiled, accepted, compiled, refused } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { decodeTyped } from './message-value.ts'
import { secretRule, spiffeValidatorRule } from './tls-fields.ts'

export function compileSecret(secret: Secret): Compiled<SecretContent> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(secret, secretRule, report)
  const content = secretContent(secret, report)
  if (report.reasons.length > 0 || content === undefined) return refused(...report.reasons)
  return compiled(content)
}

function secretContent(secret: Secret, report: FieldReport): SecretContent | undefined {
  const { type } = secret
  if (type?.$case === 'tlsCertificate') {
    const pair = compileKeyPair(type.value, at(report, 'tls_certificate'))
    return pair && { kind: 'key-pair', pair }
  }
  if (type?.$case === 'validationContext') {
    const validation = compileValidation(type.value, at(report, 'validation_context'))
    return { kind: 'validation', validation }
  }
  // Other kinds were refused by the table of fields.
  if (type === undefined) refuse(report, 'a secret needs tls_certificate or validation_context')
  return undefined
}

export function compileKeyPair(
  certificate: TlsCertificate,
  report: FieldReport,
): KeyPair | undefined {
  const before = report.reasons.length
  const inChain = at(report, 'certificate_chain')
  const inKey = at(report, 'private_key')
  const chainPem = readSource(certificate.certificateChain, inChain)
  const keyPem = readSource(certificate.privateKey, inKey)
  const passphrase = readSource(certificate.password, at(report, 'password'))
  if (chainPem === undefined) refuse(inChain, 'is required')
  if (keyPem === undefined) refuse(inKey, 'is required')
  if (chainPem === undefined || keyPem === undefined || report.reasons.length > before) {
    return undefined
  }
  const chain = readCertificates(chainPem, inChain)
  const [leaf] = chain
  const pair = { chainPem, keyPem, passphrase, chain, path: pathOf(certificate.certificateChain) }
  if (leaf === undefined || !keyFits(leaf, pair, inKey)) return undefined
  return pair
}

/** The error of a key that cannot be read may quote it, so only its code is told. */
function keyFits(leaf: X509Certificate, pair: KeyPair, report: FieldReport): boolean {
  const { keyPem, passphrase } = pair
  try {
    const key = createPrivateKey({ key: keyPem, ...(passphrase !== undefined && { passphrase }) })
    if (leaf.checkPrivateKey(key)) return true
    refuse(report, 'does not belong to the certificate')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    refuse(report, `cannot be read (${code})`)
  }
  return false
}

export function compileValidation(
  context: CertificateValidationContext,
  report: FieldReport,
): Validation {
  const sans = [
    ...context.matchTypedSubjectAltNames.map((matcher, index) =>
      compileSan(matcher, at(report, 'match_typed_subject_alt_names', index)),
    ),
    ...context.matchSubjectAltNames.map((matcher, index) =>
      textMatcher('any', matcher, at(report, 'match_subject_alt_names', index)),
    ),
  ].filter((matcher) => matcher !== undefined)
  const spiffe = compileSpiffe(context, report)
  const roots = spiffe === undefined ? compileRoots(context, report) : undefined
  const crlPems = compileRevocations(context, report)
  return {
    rules: {
      roots: roots?.set,
      bundle: spiffe,
      sans,
      hashes: new Set(context.verifyCertificateHash.map((hash) => hashText(hash, report))),
      spkis: new Set(context.verifyCertificateSpki),
      allowExpired: context.allowExpiredCertificate,
      acceptsUntrusted: context.trustChainVerification === ChainVerification.ACCEPT_UNTRUSTED,
      depthMax: context.maxVerifyDepth ?? 100,
    },
    crlPems,
    caPem: spiffe?.pem ?? roots?.pem ?? '',
    path: pathOf(context.trustedCa),
  }
}

function compileRoots(
  context: CertificateValidationContext,
  report: FieldReport,
): { readonly set: RootSet; readonly pem: string } | undefined {
  const here = at(report, 'trusted_ca')
  let pem = readSource(context.trustedCa, here)
  if (pem === undefined && context.systemRootCerts !== undefined) {
    const system = getCACertificates('system')
    pem = (system.length === 0 ? rootCertificates : system).join('\n')
  }
  if (pem === undefined) return undefined
  return { set: new RootSet(readCertificates(pem, here)), pem }
}

const listPattern = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g

/** Each list by itself: OpenSSL, as Node calls it, reads the first of a text only. */
function compileRevocations(
  context: CertificateValidationContext,
  report: FieldReport,
): readonly string[] {
  const here = at(report, 'crl')
  const pem = readSource(context.crl, here)
  if (pem === undefined) return []
  if (context.customValidatorConfig !== undefined) {
    refuse(here, 'revocation lists beside a validator of another kind are not implemented')
  } else if (context.trustedCa === undefined) {
    refuse(here, `Failed to load CRL from ${pathOf(context.crl)} without trusted CA`)
  }
  const lists = pem.match(listPattern) ?? []
  if (lists.length === 0) refuse(here, 'holds no revocation list in PEM form')
  try {
    createSecureContext({ crl: [...lists] })
    return lists
  } catch (error) {
    refuse(here, `holds a revocation list that cannot be read: ${describeError(error)}`)
    return []
  }
}

const spiffeName = 'envoy.tls.cert_validator.spiffe'

function compileSpiffe(
  context: CertificateValidationContext,
  report: FieldReport,
): TrustBundle | undefined {
  const custom = context.customValidatorConfig
  if (custom === undefined) return undefined
  const here = at(report, 'custom_validator_config')
  const any = custom.typedConfig
  if (any === undefined || typeNameOf(any.typeUrl) !== spiffeValidatorRule.type) {
    refuse(here, `${custom.name} (${typeNameOf(any?.typeUrl ?? '')}) is not implemented`)
    return undefined
  }
  if (custom.name !== spiffeName) refuse(at(here, 'name'), `expected ${spiffeName}`)
  const inConfig = at(here, 'typed_config')
  const config = decodeTyped(any, SPIFFECertValidatorConfig, inConfig)
  if (config === undefined) return undefined
  checkFields(config, spiffeValidatorRule, inConfig)
  if (config.trustDomains.length === 0) {
    refuse(at(inConfig, 'trust_domains'), 'value must contain at least 1 item(s)')
  }
  const roots: Record<string, readonly X509Certificate[]> = {}
  for (const [index, domain] of config.trustDomains.entries()) {
    const inDomain = at(inConfig, 'trust_domains', index)
    if (roots[domain.name] !== undefined) refuse(inDomain, `${domain.name} is there twice`)
    const pem = readSource(domain.trustBundle, at(inDomain, 'trust_bundle'))
    if (pem === undefined) refuse(at(inDomain, 'trust_bundle'), 'is required')
    else roots[domain.name] = readCertificates(pem, at(inDomain, 'trust_bundle'))
  }
  return new TrustBundle(roots)
}

const sanTypes: Readonly<Record<number, Exclude<SanMatcher['type'], 'any'>>> = {
  [SanType.EMAIL]: 'email',
  [SanType.DNS]: 'dns',
  [SanType.URI]: 'uri',
  [SanType.IP_ADDRESS]: 'ip',
}

function compileSan(matcher: SubjectAltNameMatcher, report: FieldReport): SanMatcher | undefined {
  const type = sanTypes[matcher.sanType]
  if (type === undefined) {
    refuse(at(report, 'san_type'), `names of type ${matcher.sanType} are not implemented`)
    return undefined
  }
  const inMatcher = at(report, 'matcher')
  if (matcher.matcher === undefined) {
    refuse(inMatcher, 'is required')
    return undefined
  }
  return textMatcher(type, matcher.matcher, inMatcher)
}

/** An exact host matches a certificate's wildcard, as in Envoy. */
function textMatcher(
  type: SanMatcher['type'],
  matcher: StringMatcher,
  report: FieldReport,
): SanMatcher | undefined {
  const matches = accepted(compileStringMatcher(matcher), report)
  if (matches === undefined) return undefined
  const pattern = matcher.matchPattern
  const text = typeof pattern?.value === 'string' ? pattern.value : showValue(pattern?.value)
  if (type === 'dns' && pattern?.$case === 'exact') {
    const host = pattern.value
    return { type, matches: (name) => dnsMatches(name, host), text }
  }
  return { type, matches, text }
}

function hashText(hash: string, report: FieldReport): string {
  const bare = hash.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(bare)) {
    refuse(at(report, 'verify_certificate_hash'), `Invalid hex-encoded SHA-256 ${hash}`)
  }
  return bare
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function readCertificates(pem: string, report: FieldReport): readonly X509Certificate[] {
  const blocks = pem.match(certificatePattern) ?? []
  if (blocks.length === 0) refuse(report, 'holds no certificate in PEM form')
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (error) {
    refuse(report, `holds a certificate that cannot be read: ${describeError(error)}`)
    return []
  }
}

/** Undefined when there is none; a file that cannot be read is a reason. */
export function readSource(
  source: DataSource | undefined,
  report: FieldReport,
): string | undefined {
  const specifier = source?.specifier
  switch (specifier?.$case) {
    case 'filename':
      try {
        return readFileSync(specifier.value, 'utf8')
      } catch (error) {
        refuse(at(report, 'filename'), describeError(error))
        return undefined
      }
    case 'inlineBytes':
      return Buffer.from(specifier.value).toString('utf8')
    case 'inlineString':
      return specifier.value
    case 'environmentVariable': // refused by the table of fields
    case undefined:
    default:
      return undefined
  }
}

function pathOf(source: DataSource | undefined): string {
  const specifier = source?.specifier
  return specifier?.$case === 'filename' ? specifier.value : '<inline>'
}
