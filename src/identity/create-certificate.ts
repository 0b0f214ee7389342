/**
 * Makes certificates: roots, intermediates, and those of workloads and of the control plane. What stands in them
 * is decided here and by the caller, never by a request.
 */
import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'

import { MeshError } from '../lib/mesh-error.ts'
import { usageOids } from './certificate.ts'
import { loadX509, type X509Library } from './x509-library.ts'

/** Who signs: a certificate's subject and its key. */
export interface Signer {
  readonly certificatePem: string
  readonly key: KeyObject
}

export interface Validity {
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface AuthorityCertificateOptions extends Validity {
  /** `O=cluster.local,CN=…` */
  readonly name: string
  readonly key: KeyObject
  /** Undefined: it signs itself. */
  readonly signer: Signer | undefined
  /** Authorities that may stand below it. */
  readonly pathLength: number
}

export interface LeafCertificateOptions extends Validity {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer
  readonly spiffeId: string
  readonly signer: Signer
  readonly workloadGroup?: string | undefined
  /** Host names and addresses; of the control plane only. */
  readonly hosts?: readonly string[]
}

export async function createAuthorityKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' })
}

/** PEM. */
export async function createAuthorityCertificate(
  options: AuthorityCertificateOptions,
): Promise<string> {
  const x509 = await loadX509()
  const { name, key, signer, pathLength } = options
  const { KeyUsageFlags } = x509
  const publicKey = new x509.PublicKey(spkiOf(key))
  const signing = signingOf(signer?.key ?? key)
  const certificate = await x509.X509CertificateGenerator.create({
    ...validityOf(options),
    subject: name,
    issuer:
      signer === undefined ? name : new x509.X509Certificate(signer.certificatePem).subjectName,
    publicKey,
    ...signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, pathLength, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ...(signer === undefined ? [] : [await authorityKeyId(x509, signer)]),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** PEM. */
export async function createLeafCertificate(options: LeafCertificateOptions): Promise<string> {
  const x509 = await loadX509()
  const { publicKey: spki, spiffeId, signer, workloadGroup, hosts = [] } = options
  const { KeyUsageFlags } = x509
  const publicKey = new x509.PublicKey(spki)
  const signing = signingOf(signer.key)
  const names = [
    { type: 'url' as const, value: spiffeId },
    ...(workloadGroup === undefined
      ? []
      : [{ type: 'dn' as const, value: `OU=${checkWorkloadGroup(workloadGroup)}` }]),
    ...hosts.map((host) => ({
      type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const),
      value: host,
    })),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    ...validityOf(options),
    // As Istio: no subject, so the name must be understood (RFC 5280 §4.2.1.6).
    subject: '',
    issuer: new x509.X509Certificate(signer.certificatePem).subjectName,
    publicKey,
    ...signing,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([usageOids.server, usageOids.client]),
      new x509.SubjectAlternativeNameExtension(names, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await authorityKeyId(x509, signer),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

function validityOf({ serial, notBefore, notAfter }: Validity) {
  return { serialNumber: serial, notBefore, notAfter }
}

function authorityKeyId(x509: X509Library, { certificatePem }: Signer) {
  const { publicKey } = new x509.X509Certificate(certificatePem)
  return x509.AuthorityKeyIdentifierExtension.create(publicKey)
}

/** WebCrypto's form of a key, with the signature that fits it. */
function signingOf(key: KeyObject) {
  const { asymmetricKeyType, asymmetricKeyDetails } = key
  if (asymmetricKeyType === 'rsa') {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    const signingKey = key.toCryptoKey(algorithm, false, ['sign'])
    return { signingKey, signingAlgorithm: algorithm }
  }
  const curve = asymmetricKeyDetails?.namedCurve ?? ''
  const found = curves[curve]
  if (asymmetricKeyType !== 'ec' || found === undefined) {
    throw new MeshError(
      'MESH_IDENTITY_INVALID',
      `an authority's key of type ${asymmetricKeyType ?? ''} ${curve} is not implemented`,
      { remedy: 'use RSA, P-256 or P-384' },
    )
  }
  const [namedCurve, hash] = found
  const signingKey = key.toCryptoKey({ name: 'ECDSA', namedCurve }, false, ['sign'])
  return { signingKey, signingAlgorithm: { name: 'ECDSA', hash } }
}

const curves: Readonly<Record<string, readonly [curve: string, hash: string]>> = {
  prime256v1: ['P-256', 'SHA-256'],
  secp384r1: ['P-384', 'SHA-384'],
}

/** SubjectPublicKeyInfo, DER. */
export function spkiOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

/** Text that needs no escaping in a directory name: names of WorkloadGroups are DNS names. Throws MESH_IDENTITY_INVALID. */
export function checkWorkloadGroup(group: string): string {
  if (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(group)) return group
  throw new MeshError(
    'MESH_IDENTITY_INVALID',
    `${JSON.stringify(group)} is no name of a WorkloadGroup`,
    { remedy: 'use lower-case letters, digits, "-" and "."' },
  )
}
