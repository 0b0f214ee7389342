/**
 * A credential as Kubernetes would hold it in a Secret, in a folder of the client's host, one file for each key:
 *
 * | secret asked for | folder | files |
 * | --- | --- | --- |
 * | kubernetes://NAME | NAME | `cert` and `key`, else `tls.crt` and `tls.key` |
 * | kubernetes://NAME-cacert | NAME-cacert, else NAME | `cacert`, else `ca.crt`; revocation lists in `crl` or `ca.crl` beside |
 *
 * What cannot be used is said by the name of its file, and never by its content.
 */
import type { KeyObject, X509Certificate } from 'node:crypto'
import { type Stats, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { readCertificates } from '../../identity/certificate.ts'
import { belongTogether, readWorkloadKey } from '../../identity/key-and-csr.ts'
import { encodeResource } from '../../xds/encode.ts'
import {
  CertificateValidationContext,
  TlsCertificate,
} from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/common.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { type EncodedResource, typeUrls } from '../../xds/resource-set.ts'

export const credentialScheme = 'kubernetes://'

export type CredentialReading =
  | {
      readonly state: 'good'
      readonly secret: EncodedResource
      /** Who else may read the key; that its certificate has ended. */
      readonly warnings: readonly string[]
    }
  | { readonly state: 'missing' | 'broken'; readonly reason: string }

/** What files look like from outside: equal while nothing was written. */
export interface CredentialFile {
  readonly path: string
  readonly stats: Stats
}

const authoritySuffix = '-cacert'
/** Of a Secret in Kubernetes. */
const fileBytesMax = 1024 * 1024
const namePattern = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?(?:-cacert)?$/
const readableByOthers = 0o044

/** Files that a secret may be in, as far as they are there. Names that could leave the folder have none. */
export function filesOf(folder: string, secretName: string): readonly CredentialFile[] {
  const name = secretName.slice(credentialScheme.length)
  if (!secretName.startsWith(credentialScheme) || !namePattern.test(name)) return []
  const isAuthority = name.endsWith(authoritySuffix)
  const names = isAuthority ? authorityNames : pairNames
  return foldersOf(name)
    .map((each) => names.flatMap((file) => fileAt(join(folder, each, file)) ?? []))
    .reduce((first, second) => (first.length > 0 ? first : second), [])
}

const pairNames = ['cert', 'key', 'tls.crt', 'tls.key']
const authorityNames = ['cacert', 'ca.crt', 'crl', 'ca.crl']

function foldersOf(name: string): readonly string[] {
  return name.endsWith(authoritySuffix) ? [name, name.slice(0, -authoritySuffix.length)] : [name]
}

function fileAt(path: string): CredentialFile | undefined {
  try {
    const stats = statSync(path)
    return stats.isFile() ? { path, stats } : undefined
  } catch {
    // Not there, or not for us: told as missing.
    return undefined
  }
}

export interface CredentialPlace {
  readonly folder: string
  readonly secretName: string
  readonly files: readonly CredentialFile[]
  readonly nowMs: number
}

export function readCredential(place: CredentialPlace): CredentialReading {
  try {
    return place.secretName.endsWith(authoritySuffix) ? readAuthority(place) : readPair(place)
  } catch (error) {
    if (error instanceof Unusable) return { state: error.state, reason: error.message }
    throw error
  }
}

class Unusable extends Error {
  readonly state: 'missing' | 'broken'

  constructor(state: 'missing' | 'broken', reason: string) {
    super(reason)
    this.state = state
  }
}

function readPair({ folder, secretName, files, nowMs }: CredentialPlace): CredentialReading {
  const [certificate, key] =
    bothOf(files, ['cert', 'key']) ?? bothOf(files, ['tls.crt', 'tls.key']) ?? []
  if (certificate === undefined || key === undefined) {
    throw new Unusable('missing', `${placeText(folder, secretName)} has no tls.crt and tls.key`)
  }
  const chainPem = readText(certificate)
  const keyPem = readText(key)
  const [leaf] = certificatesOf(chainPem, certificate)
  if (leaf === undefined || !belongTogether(keyOf(keyPem, key), leaf)) {
    throw new Unusable('broken', `${key.path} is not the key of ${certificate.path}`)
  }
  const until = leaf.validToDate
  const warnings = [
    ...((key.stats.mode & readableByOthers) === 0
      ? []
      : [`${key.path} can be read by others than its owner: take the right away (chmod 600)`]),
    ...(until.getTime() > nowMs
      ? []
      : [`the certificate in ${certificate.path} ended at ${until.toISOString()}`]),
  ]
  const value = TlsCertificate.fromPartial({
    certificateChain: inline(chainPem),
    privateKey: inline(keyPem),
  })
  return {
    state: 'good',
    warnings,
    secret: secretOf(secretName, { $case: 'tlsCertificate', value }),
  }
}

function readAuthority({ folder, secretName, files }: CredentialPlace): CredentialReading {
  const named = (name: string) => files.find(({ path }) => path.endsWith(`/${name}`))
  const own = named('cacert')
  const roots = own ?? named('ca.crt')
  if (roots === undefined) {
    throw new Unusable('missing', `${placeText(folder, secretName)} has no ca.crt`)
  }
  const rootsPem = readText(roots)
  certificatesOf(rootsPem, roots)
  const lists = named(own === undefined ? 'ca.crl' : 'crl')
  const value = CertificateValidationContext.fromPartial({
    trustedCa: inline(rootsPem),
    ...(lists !== undefined && { crl: inline(readLists(lists)) }),
  })
  const secret = secretOf(secretName, { $case: 'validationContext', value })
  return { state: 'good', warnings: [], secret }
}

function bothOf(
  files: readonly CredentialFile[],
  names: readonly [string, string],
): readonly CredentialFile[] | undefined {
  const found = names.flatMap((name) => files.find(({ path }) => path.endsWith(`/${name}`)) ?? [])
  return found.length === names.length ? found : undefined
}

function placeText(folder: string, secretName: string): string {
  return foldersOf(secretName.slice(credentialScheme.length))
    .map((name) => join(folder, name))
    .join(' or ')
}

function readText({ path, stats }: CredentialFile): string {
  if (stats.size > fileBytesMax) {
    throw new Unusable('broken', `${path} is longer than ${fileBytesMax} bytes`)
  }
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    throw new Unusable('broken', `${path} cannot be read: ${code}`)
  }
}

function certificatesOf(pem: string, { path }: CredentialFile): readonly X509Certificate[] {
  let certificates: readonly X509Certificate[] = []
  try {
    certificates = readCertificates(pem)
  } catch {
    // Said below; the cause might quote what it could not read.
  }
  if (certificates.length === 0) throw new Unusable('broken', `${path} holds no certificate in PEM`)
  return certificates
}

function keyOf(pem: string, { path }: CredentialFile): KeyObject {
  try {
    return readWorkloadKey(pem).key
  } catch {
    throw new Unusable('broken', `${path} holds no private key in PEM without a passphrase`)
  }
}

function readLists(file: CredentialFile): string {
  const text = readText(file)
  if (text.includes('-----BEGIN X509 CRL-----')) return text
  throw new Unusable('broken', `${file.path} holds no revocation list in PEM`)
}

function secretOf(name: string, type: Secret['type']): EncodedResource {
  const message: Secret = { name, type }
  return encodeResource({ name, typeUrl: typeUrls.secret, codec: Secret, message })
}

/** Bytes, not text: whoever dumps configuration leaves them out. */
function inline(pem: string) {
  return { specifier: { $case: 'inlineBytes' as const, value: Buffer.from(pem) } }
}
