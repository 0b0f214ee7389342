/**
 * One authority: its root, and the intermediate that signs with its key. Made here, or plugged in by a folder with
 * Istio's names of files (`cacerts`): ca-cert.pem, ca-key.pem, cert-chain.pem, root-cert.pem.
 *
 * A made one keeps, in a folder of its own: root-cert.pem, root-key.pem, and signing.pem (key and chain of the
 * intermediate in one file, so that both are replaced at once). Keys are readable by their owner only and appear
 * nowhere else. A plugged one stays where it is and is read there.
 */
import { createPrivateKey, randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { MeshError } from '../lib/mesh-error.ts'
import { fingerprintOf, readCertificates, readRights, splitPem } from './certificate.ts'
import {
  createAuthorityCertificate,
  createAuthorityKey,
  keyPem,
  type Signer,
} from './create-certificate.ts'
import { openPrivateFolder, readIfThere, syncFolder, writeDurably } from './durable-file.ts'
import { belongTogether } from './key-and-csr.ts'

export interface Authority {
  /** The beginning of its root's SHA-256. */
  readonly id: string
  readonly kind: 'made' | 'plugged'
  readonly folder: string
  /** The one that signed, first; a plugged authority may bring others to believe in. */
  readonly roots: readonly X509Certificate[]
  readonly signer: Signer
  /** The certificate that signs. */
  readonly signing: X509Certificate
  /** PEM below the root: what callers get after their own certificate. */
  readonly intermediates: readonly string[]
}

export interface MakeOptions {
  /** That holds the authorities. */
  readonly folder: string
  readonly trustDomain: string
  readonly nowMs: number
  readonly rootLifetimeMs: number
  readonly intermediateLifetimeMs: number
  /** A serial for a certificate, once what it is for is in the book. */
  readonly record: (kind: 'root' | 'intermediate', name: string, notAfter: Date) => Promise<string>
}

const idLength = 12
/** Further back than any leaf, so that a leaf never begins before its authority. */
const backdateMs = 3_600_000
const stagingPrefix = 'new-'
const authorityName = /^[0-9a-f]{12}$/

/** A root and its intermediate, complete on the disk. Rejections: MESH_CA_UNAVAILABLE. */
export async function makeAuthority(options: MakeOptions): Promise<Authority> {
  const { folder, trustDomain, nowMs, rootLifetimeMs, record } = options
  const key = await createAuthorityKey()
  const name = `O=${trustDomain},CN=Tulle root ${randomBytes(4).toString('hex')}`
  const notAfter = wholeSecond(nowMs + rootLifetimeMs)
  const certificatePem = await createAuthorityCertificate({
    serial: await record('root', name, notAfter),
    notBefore: wholeSecond(nowMs - backdateMs),
    notAfter,
    name,
    key,
    signer: undefined,
    pathLength: 1,
  })
  const signing = await makeSigning({ certificatePem, key }, options)
  const id = idOf(new X509Certificate(certificatePem))
  const staged = join(folder, `${stagingPrefix}${id}`)
  mkdirSync(staged, { mode: 0o700 })
  writeDurably(join(staged, 'root-key.pem'), keyPem(key))
  writeDurably(join(staged, 'root-cert.pem'), certificatePem)
  writeDurably(join(staged, 'signing.pem'), signing)
  renameSync(staged, join(folder, id))
  syncFolder(folder)
  return readMadeAuthority(join(folder, id))
}

/** A new key and certificate that signs, by the same root. */
export async function renewSigning(authority: Authority, options: MakeOptions): Promise<Authority> {
  const key = readKey(join(authority.folder, 'root-key.pem'))
  const certificatePem = readText(join(authority.folder, 'root-cert.pem'))
  const signing = await makeSigning({ certificatePem, key }, options)
  writeDurably(join(authority.folder, 'signing.pem'), signing)
  return readMadeAuthority(authority.folder)
}

async function makeSigning(root: Signer, options: MakeOptions): Promise<string> {
  const { trustDomain, nowMs, intermediateLifetimeMs, record } = options
  const { validToDate, validFromDate } = new X509Certificate(root.certificatePem)
  const key = await createAuthorityKey()
  const name = `O=${trustDomain},CN=Tulle intermediate ${randomBytes(4).toString('hex')}`
  const endMs = Math.min(nowMs + intermediateLifetimeMs, validToDate.getTime())
  const startMs = Math.max(nowMs - backdateMs, validFromDate.getTime())
  const notAfter = wholeSecond(endMs)
  const certificate = await createAuthorityCertificate({
    serial: await record('intermediate', name, notAfter),
    notBefore: wholeSecond(startMs),
    notAfter,
    name,
    key,
    signer: root,
    pathLength: 0,
  })
  return `${keyPem(key)}${certificate}`
}

/** Rejections: MESH_CA_UNAVAILABLE, MESH_IDENTITY_INVALID. */
export function readMadeAuthority(folder: string): Authority {
  const [root] = readCertificates(readText(join(folder, 'root-cert.pem')))
  const signingText = readText(join(folder, 'signing.pem'))
  return assemble({
    kind: 'made',
    folder,
    key: readKey(join(folder, 'signing.pem')),
    chain: splitPem(signingText),
    roots: root === undefined ? [] : [root],
  })
}

/** Istio's plug-in folder. Rejections: MESH_CA_UNAVAILABLE, MESH_IDENTITY_INVALID. */
export function readPluggedAuthority(folder: string): Authority {
  const own = splitPem(readText(join(folder, 'ca-cert.pem'))).slice(0, 1)
  const above = splitPem(readIfThere(join(folder, 'cert-chain.pem')) ?? '')
  // Istio's cert-chain.pem begins with ca-cert.pem itself, and may end with the root.
  const chain = [...own, ...above.filter((pem) => !own.includes(pem))]
  const roots = readCertificates(readText(join(folder, 'root-cert.pem')))
  const key = readKey(join(folder, 'ca-key.pem'))
  return assemble({ kind: 'plugged', folder, key, chain, roots })
}

interface Parts {
  readonly kind: Authority['kind']
  readonly folder: string
  readonly key: KeyObject
  /** PEM, the certificate that signs first. */
  readonly chain: readonly string[]
  readonly roots: readonly X509Certificate[]
}

function assemble({ kind, folder, key, chain, roots }: Parts): Authority {
  const [certificatePem = ''] = chain
  const certificates = chain.map((pem) => new X509Certificate(pem))
  const [signing] = certificates
  if (signing === undefined || roots.length === 0) {
    throw unusable(folder, 'it lacks the certificate that signs, or a root')
  }
  if (!belongTogether(key, signing))
    throw unusable(folder, 'its key is not that of its certificate')
  if (!readRights(signing).isCa) throw unusable(folder, 'its certificate is no authority')
  const top = topOf(certificates)
  const root = roots.find((one) => isSame(one, top) || hasIssued(one, top))
  if (root === undefined) throw unusable(folder, 'its chain does not end at its root')
  const rootPrints = new Set(roots.map(fingerprintOf))
  return {
    id: idOf(root),
    kind,
    folder,
    roots: [root, ...roots.filter((one) => one !== root)],
    signer: { certificatePem, key },
    signing,
    intermediates: chain.filter((_pem, index) => {
      const certificate = certificates[index]
      return certificate !== undefined && !rootPrints.has(fingerprintOf(certificate))
    }),
  }
}

/** The last of the chain that each one's successor has issued. */
function topOf(certificates: readonly X509Certificate[]): X509Certificate {
  let [top] = certificates
  if (top === undefined) throw new MeshError('MESH_IDENTITY_INVALID', 'an empty chain')
  for (const next of certificates.slice(1)) if (hasIssued(next, top)) top = next
  return top
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function isSame(one: X509Certificate, other: X509Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256
}

function idOf(root: X509Certificate): string {
  return fingerprintOf(root).slice(0, idLength)
}

/** Ids of the authorities whose folders are complete. */
export function listAuthorities(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => authorityName.test(name))
}

/** What a run left that was killed while it made an authority. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(stagingPrefix)) rmSync(join(folder, name), { recursive: true, force: true })
  }
}

/** Files with keys that others than their owner may read. */
export function findOpenKeys({ folder, kind }: Authority): readonly string[] {
  const names = kind === 'made' ? ['root-key.pem', 'signing.pem'] : ['ca-key.pem']
  return names
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0)
}

export function openAuthorityFolder(folder: string): void {
  openPrivateFolder(folder)
  removeUnfinished(folder)
}

function readText(path: string): string {
  const text = readIfThere(path)
  if (text === undefined) throw new MeshError('MESH_CA_UNAVAILABLE', `${path} is missing`)
  return text
}

function readKey(path: string): KeyObject {
  const text = readText(path)
  try {
    return createPrivateKey(text)
  } catch {
    // The cause might quote what it could not read.
    throw new MeshError('MESH_CA_UNAVAILABLE', `the key in ${path} cannot be read`)
  }
}

function unusable(folder: string, what: string): MeshError {
  return new MeshError(
    'MESH_IDENTITY_INVALID',
    `the authority in ${folder} cannot be used: ${what}`,
  )
}

/** X.509 counts whole seconds. */
export function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1_000) * 1_000)
}
