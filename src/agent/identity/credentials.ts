/**
 * What a workload proves itself with: its key, the chain of its certificate, and the roots that it believes. And
 * the files that they are kept in, so that a restart needs no token.
 *
 * | file | what |
 * | --- | --- |
 * | identity.pem | key, leaf, intermediates: one file, so that a key and its certificate are replaced at once |
 * | root-cert.pem | roots of the mesh |
 * | next-key.pem | key of a request that was not answered yet: sent again, it costs no second use of a token |
 *
 * All are readable by their owner only; the key appears nowhere else.
 */
import { X509Certificate } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { readCertificates, readRights, splitPem } from '../../identity/certificate.ts'
import { openPrivateFolder, readIfThere, writeDurably } from '../../identity/durable-file.ts'
import {
  belongTogether,
  createWorkloadKey,
  readWorkloadKey,
  type WorkloadKey,
} from '../../identity/key-and-csr.ts'
import type { SpiffeId } from '../../identity/spiffe-id.ts'
import { TrustBundle, verifyPeerChain } from '../../identity/trust-bundle.ts'
import { MeshError } from '../../lib/mesh-error.ts'

export interface Credentials {
  readonly keyPem: string
  /** Leaf first, without roots. */
  readonly chainPem: string
  readonly rootsPem: string
  /** Roots by trust domain, the workload's own one and its former names. */
  readonly bundle: TrustBundle
  readonly serial: string
  readonly notBeforeMs: number
  /** When the first certificate of the chain ends. */
  readonly notAfterMs: number
}

/** Whose credentials they have to be. */
export interface Holder {
  readonly spiffeId: SpiffeId
  /** The own one first. */
  readonly trustDomains: readonly string[]
}

/**
 * Puts together what an authority answered: PEM of the leaf and its intermediates, and of the roots in the last
 * element. Refuses what others would refuse. Throws MESH_IDENTITY_INVALID.
 */
export function credentialsOf(
  key: WorkloadKey,
  answer: readonly string[],
  { holder, nowMs }: { readonly holder: Holder; readonly nowMs: number },
): Credentials {
  const rootsPem = answer.at(-1) ?? ''
  const chainPem = answer.slice(0, -1).join('')
  const chain = readCertificates(chainPem)
  const [leaf] = chain
  const roots = readCertificates(rootsPem)
  if (leaf === undefined || roots.length === 0) {
    throw invalid('the authority answered without a certificate and its roots')
  }
  if (!belongTogether(key.key, leaf)) {
    throw invalid('the certificate was made for another key')
  }
  const bundle = new TrustBundle(
    Object.fromEntries(holder.trustDomains.map((domain) => [domain, roots])),
  )
  const expected = new Set([holder.spiffeId])
  const verdict = verifyPeerChain(chain, bundle, { nowMs, expected })
  if (!verdict.ok) throw invalid(`the certificate is refused: ${verdict.reason}: ${verdict.detail}`)
  return {
    keyPem: key.pem,
    chainPem,
    rootsPem,
    bundle,
    serial: leaf.serialNumber.toLowerCase(),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: verdict.notAfterMs,
  }
}

/** WorkloadGroup that a certificate is bound to. */
export function groupOf({ chainPem }: Credentials): string | undefined {
  return readRights(new X509Certificate(chainPem)).workloadGroup
}

const keyBlock = /-----BEGIN PRIVATE KEY-----[\s\S]*?-----END PRIVATE KEY-----\n?/

export class CredentialFiles {
  readonly folder: string

  /** Makes the folder, or takes rights from everybody but its owner. */
  constructor(folder: string) {
    openPrivateFolder(folder)
    this.folder = folder
  }

  /**
   * Undefined when there are none. Those that are expired, or of somebody else, or damaged are told as a reason:
   * they are replaced, not used.
   */
  read(options: {
    readonly holder: Holder
    readonly nowMs: number
  }): { readonly credentials: Credentials } | { readonly reason: string } | undefined {
    const text = readIfThere(this.#path('identity.pem'))
    if (text === undefined) return undefined
    const [keyPem] = keyBlock.exec(text) ?? []
    if (keyPem === undefined) return { reason: 'identity.pem holds no key' }
    const answer = [...splitPem(text), readIfThere(this.#path('root-cert.pem')) ?? '']
    try {
      return { credentials: credentialsOf(readWorkloadKey(keyPem), answer, options) }
    } catch (error) {
      return { reason: error instanceof MeshError ? error.message : 'identity.pem is damaged' }
    }
  }

  write({ keyPem, chainPem, rootsPem }: Credentials): void {
    // Roots first: a chain that was signed by a new root is of no use without it.
    writeDurably(this.#path('root-cert.pem'), rootsPem)
    writeDurably(this.#path('identity.pem'), `${keyPem}${chainPem}`)
    rmSync(this.#path('next-key.pem'), { force: true })
  }

  /** The key to ask a certificate for: a new one, or that of the last request when it was never answered. */
  async nextKey(): Promise<WorkloadKey> {
    const path = this.#path('next-key.pem')
    if (existsSync(path)) {
      try {
        return readWorkloadKey(readIfThere(path) ?? '')
      } catch {
        // Half written by a run that was killed.
      }
    }
    const key = await createWorkloadKey()
    writeDurably(path, key.pem)
    return key
  }

  #path(name: string): string {
    return join(this.folder, name)
  }
}

function invalid(message: string): MeshError {
  return new MeshError('MESH_IDENTITY_INVALID', message)
}
