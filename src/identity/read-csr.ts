/**
 * Reads a request for a certificate, as strictly as something from outside deserves: size, form, the signature by
 * its own key, and the kind and size of that key. The names in it are claims, for refusing those who claim too much.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'

import { MeshError } from '../lib/mesh-error.ts'
import { loadX509 } from './x509-library.ts'

export interface CertificateRequest {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer
  readonly claimedUris: readonly string[]
}

/** An RSA-4096 request with a few names has 2 KB. */
const requestBytesMax = 16_384
const curves = new Set(['prime256v1', 'secp384r1'])
const rsaBits = { min: 2_048, max: 4_096 }
const subjectAltName = '2.5.29.17'

/** Rejections: MESH_IDENTITY_INVALID. */
export async function readCsr(pem: string): Promise<CertificateRequest> {
  if (pem.length > requestBytesMax) {
    throw invalid(`has ${pem.length} bytes, expected at most ${requestBytesMax}`)
  }
  if (!/^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem)) {
    throw invalid('is no PEM of a CERTIFICATE REQUEST')
  }
  const x509 = await loadX509()
  let request
  let isSignedByItself = false
  try {
    request = new x509.Pkcs10CertificateRequest(pem)
    isSignedByItself = await request.verify()
  } catch (cause) {
    throw invalid('cannot be read', cause)
  }
  if (!isSignedByItself) throw invalid('is not signed by the key in it')
  const publicKey = Buffer.from(request.publicKey.rawData)
  checkKey(createPublicKey({ key: publicKey, format: 'der', type: 'spki' }))
  const names = request.getExtension(subjectAltName)
  const claimedUris =
    names instanceof x509.SubjectAlternativeNameExtension
      ? names.names.items.filter(({ type }) => type === 'url').map(({ value }) => value)
      : []
  return { publicKey, claimedUris }
}

function checkKey({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): void {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails
  if (asymmetricKeyType === 'ec' && curves.has(namedCurve)) return
  const isRsa = asymmetricKeyType === 'rsa'
  if (isRsa && modulusLength >= rsaBits.min && modulusLength <= rsaBits.max) return
  const got = isRsa ? `RSA of ${modulusLength} bits` : `${asymmetricKeyType ?? ''} ${namedCurve}`
  throw invalid(
    `has a key of kind ${got.trim()}, expected P-256, P-384 or RSA of 2048 to 4096 bits`,
  )
}

function invalid(what: string, cause?: unknown): MeshError {
  return new MeshError('MESH_IDENTITY_INVALID', `the certificate request ${what}`, {
    ...(cause === undefined ? {} : { cause }),
    remedy: 'make a new key and request; tulle run does it by itself',
  })
}
