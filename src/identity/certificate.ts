/**
 * What the mesh reads in a certificate: names, rights and critical extensions, from the DER itself.
 *
 * Node's `subjectAltName` is text in which names are joined, and it says nothing of path lengths or of critical
 * extensions that nobody understands. Parsed certificates are remembered by their object, not copied.
 */
import { X509Certificate } from 'node:crypto'

import { MeshError } from '../lib/mesh-error.ts'
import { derTags, oidText, readDer, readInside, type DerValue } from './der.ts'

/** Extensions of RFC 5280 §4.2 that are read here. */
export const extensionOids = {
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
} as const

export const usageOids = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
  any: '2.5.29.37.0',
} as const

export interface CertificateRights {
  /** URI names, as they stand; bytes beyond ASCII make a text that no check accepts. */
  readonly uris: readonly string[]
  readonly isCa: boolean
  /** Authorities that may stand below this one; undefined: any number. */
  readonly pathLengthMax: number | undefined
  /** Undefined: not limited. */
  readonly extendedUsages: readonly string[] | undefined
  /** Critical extensions that are not understood here. */
  readonly unknownCritical: readonly string[]
  /**
   * WorkloadGroup that the holder may join, and no other: `OU` of a directory name beside the SPIFFE id. Standard,
   * so that no software that checks certificates stumbles over it.
   */
  readonly workloadGroup: string | undefined
}

const organizationalUnit = '2.5.4.11'

interface Extension {
  readonly oid: string
  readonly isCritical: boolean
  readonly value: Buffer
}

/** Rejections: MESH_IDENTITY_INVALID. */
export function readRights(certificate: X509Certificate): CertificateRights {
  const extensions = readExtensions(certificate.raw)
  const find = (oid: string) => extensions.find((extension) => extension.oid === oid)?.value
  const known = new Set<string>(Object.values(extensionOids))
  return {
    ...readNames(find(extensionOids.subjectAltName)),
    ...readConstraints(find(extensionOids.basicConstraints), find(extensionOids.keyUsage)),
    extendedUsages: readUsages(find(extensionOids.extendedKeyUsage)),
    unknownCritical: extensions
      .filter(({ oid, isCritical }) => isCritical && !known.has(oid))
      .map(({ oid }) => oid),
  }
}

function readExtensions(raw: Buffer): readonly Extension[] {
  const [certificate] = readDer(raw)
  const [tbs] = readInside(certificate, derTags.sequence)
  // RFC 5280 §4.1: extensions [3] EXPLICIT stand at the end of the part that is signed.
  const wrapper = readInside(tbs, derTags.sequence).find(({ tag }) => tag === 0xa3)
  if (wrapper === undefined) return []
  const [list] = readDer(wrapper.content)
  const extensions = readInside(list, derTags.sequence).map(readExtension)
  if (new Set(extensions.map(({ oid }) => oid)).size < extensions.length) {
    throw new MeshError('MESH_IDENTITY_INVALID', 'a certificate has an extension twice')
  }
  return extensions
}

function readExtension(value: DerValue): Extension {
  const parts = readInside(value, derTags.sequence)
  const [oid] = parts
  const critical = parts.find(({ tag }) => tag === derTags.boolean)
  const content = parts.at(-1)
  return {
    oid: oidText(oid?.content ?? Buffer.alloc(0)),
    isCritical: critical !== undefined && critical.content[0] !== 0,
    value: content?.tag === derTags.octetString ? content.content : Buffer.alloc(0),
  }
}

/** GeneralName [6] uniformResourceIdentifier, IA5String; [4] directoryName. */
function readNames(value: Buffer | undefined) {
  if (value === undefined) return { uris: [], workloadGroup: undefined }
  const [list] = readDer(value)
  const names = readInside(list, derTags.sequence)
  const directoryName = names.find(({ tag }) => tag === 0xa4)
  return {
    uris: names.filter(({ tag }) => tag === 0x86).map(({ content }) => content.toString('latin1')),
    workloadGroup: directoryName === undefined ? undefined : readUnit(directoryName),
  }
}

/** Name: a sequence of sets of pairs. */
function readUnit(directoryName: DerValue): string | undefined {
  const [name] = readDer(directoryName.content)
  const pairs = readInside(name, derTags.sequence)
    .flatMap((set) => readInside(set, derTags.set))
    .map((pair) => readInside(pair, derTags.sequence))
  const found = pairs.find(
    ([type]) => type !== undefined && oidText(type.content) === organizationalUnit,
  )
  return found?.[1]?.content.toString('utf8')
}

function readConstraints(constraints: Buffer | undefined, keyUsage: Buffer | undefined) {
  const nothing = { isCa: false, pathLengthMax: undefined }
  if (constraints === undefined) return nothing
  const [sequence] = readDer(constraints)
  const parts = readInside(sequence, derTags.sequence)
  const ca = parts.find(({ tag }) => tag === derTags.boolean)
  if (ca === undefined || ca.content[0] === 0 || !maySign(keyUsage)) return nothing
  const length = parts.find(({ tag }) => tag === derTags.integer)
  return { isCa: true, pathLengthMax: length?.content.readUIntBE(0, length.content.byteLength) }
}

/** Bit 5 is keyCertSign; without the extension everything is allowed. */
function maySign(keyUsage: Buffer | undefined): boolean {
  if (keyUsage === undefined) return true
  const [bits] = readDer(keyUsage)
  return bits?.tag === derTags.bitString && ((bits.content[1] ?? 0) & 0x04) !== 0
}

function readUsages(value: Buffer | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined
  const [sequence] = readDer(value)
  return readInside(sequence, derTags.sequence).map(({ content }) => oidText(content))
}

const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** Certificates of a PEM text, in its order. Rejections: MESH_IDENTITY_INVALID. */
export function readCertificates(pem: string): X509Certificate[] {
  return [...pem.matchAll(pemBlock)].map(([block]) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new MeshError('MESH_IDENTITY_INVALID', 'read a certificate', { cause })
    }
  })
}

/** PEM blocks of a text, each ending in a newline. */
export function splitPem(pem: string): string[] {
  return [...pem.matchAll(pemBlock)].map(([block]) => `${block.replaceAll('\r\n', '\n')}\n`)
}

/** SHA-256 of the whole certificate, in lower-case hex: how the mesh names a root. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}
