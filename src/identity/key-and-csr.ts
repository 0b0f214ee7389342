/**
 * The workload's own key, and the request (PKCS#10, RFC 2986) for a certificate over it.
 *
 * The request carries the wanted SPIFFE id as Istio's agent puts it there; the authority takes nothing from it
 * but the key. Written as DER by hand, so that a sidecar never loads an X.509 library.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  sign,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'

import { MeshError } from '../lib/mesh-error.ts'
import { extensionOids } from './certificate.ts'
import { derTags, writeDer, writeOid } from './der.ts'
import type { SpiffeId } from './spiffe-id.ts'

export interface WorkloadKey {
  /** PKCS#8 PEM: for a file with owner-only rights and for the proxy, nowhere else. */
  readonly pem: string
  readonly key: KeyObject
}

const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const sha256WithRsa = '1.2.840.113549.1.1.11'
/** PKCS#9 extensionRequest: extensions that the certificate should have. */
const extensionRequest = '1.2.840.113549.1.9.14'

/** A new key on P-256. */
export async function createWorkloadKey(): Promise<WorkloadKey> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return { pem: privateKey.export({ type: 'pkcs8', format: 'pem' }), key: privateKey }
}

/** Rejections: MESH_IDENTITY_INVALID. The message never holds the text. */
export function readWorkloadKey(pem: string): WorkloadKey {
  try {
    return { pem, key: createPrivateKey(pem) }
  } catch {
    // The cause might quote what it could not read.
    throw new MeshError('MESH_IDENTITY_INVALID', 'the private key cannot be read', {
      remedy: 'remove the file; a new key is made at the next start',
    })
  }
}

/** PEM. Keys on P-256 and RSA keys; others throw MESH_IDENTITY_INVALID. */
export function createCsr(key: KeyObject, spiffeId: SpiffeId): string {
  const algorithm = signatureAlgorithmOf(key)
  const names = writeDer(derTags.sequence, writeDer(0x86, Buffer.from(spiffeId, 'latin1')))
  const extension = writeDer(
    derTags.sequence,
    writeOid(extensionOids.subjectAltName),
    writeDer(derTags.octetString, names),
  )
  const attribute = writeDer(
    derTags.sequence,
    writeOid(extensionRequest),
    writeDer(derTags.set, writeDer(derTags.sequence, extension)),
  )
  const info = writeDer(
    derTags.sequence,
    writeDer(derTags.integer, Buffer.from([0])),
    writeDer(derTags.sequence), // No subject.
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    writeDer(0xa0, attribute),
  )
  const signature = sign('sha256', info, key)
  const request = writeDer(
    derTags.sequence,
    info,
    algorithm,
    writeDer(derTags.bitString, Buffer.from([0]), signature),
  )
  return pemText('CERTIFICATE REQUEST', request)
}

function signatureAlgorithmOf(key: KeyObject): Buffer {
  const { asymmetricKeyType, asymmetricKeyDetails } = key
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') {
    return writeDer(derTags.sequence, writeOid(ecdsaWithSha256))
  }
  if (asymmetricKeyType === 'rsa') {
    // RFC 4055 §5: parameters are NULL.
    return writeDer(derTags.sequence, writeOid(sha256WithRsa), Buffer.from([0x05, 0x00]))
  }
  throw new MeshError(
    'MESH_IDENTITY_INVALID',
    `a request over a key of type ${asymmetricKeyType ?? 'unknown'} is not implemented, expected P-256 or RSA`,
  )
}

export function pemText(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** Whether the key is the one that a certificate was made for. */
export function belongTogether(
  key: KeyObject,
  certificate: { readonly publicKey: KeyObject },
): boolean {
  return createPublicKey(key).equals(certificate.publicKey)
}
