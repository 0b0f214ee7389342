/** An authority in a folder of its own, workloads with keys, and certificates that are wrong in one chosen way. */
import { X509Certificate, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  openCertificateAuthority,
  type CertificateAuthority,
  type CertificateAuthorityOptions,
  type SignedCertificate,
  type SignRequest,
} from '../../src/identity/certificate-authority.ts'
import { createCsr, createWorkloadKey } from '../../src/identity/key-and-csr.ts'
import { spiffeIdOf, type SpiffeId } from '../../src/identity/spiffe-id.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'

export interface TestWorkload {
  readonly spiffeId: SpiffeId
  readonly keyPem: string
  readonly key: KeyObject
  readonly signed: SignedCertificate
  /** PEM without the roots, for TLS. */
  readonly chainPem: string
  readonly chain: readonly X509Certificate[]
}

export class IdentityScene implements AsyncDisposable {
  readonly folder: string
  readonly ca: CertificateAuthority

  private constructor(folder: string, ca: CertificateAuthority) {
    this.folder = folder
    this.ca = ca
  }

  static async open(options: Partial<CertificateAuthorityOptions> = {}): Promise<IdentityScene> {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-ca-'))
    return new IdentityScene(folder, await openCa({ folder: join(folder, 'ca'), ...options }))
  }

  async workload(
    name = 'default/default',
    request: Partial<SignRequest> = {},
  ): Promise<TestWorkload> {
    const [namespace = '', serviceAccount = ''] = name.split('/')
    const spiffeId = spiffeIdOf({ trustDomain: this.ca.trustDomain, namespace, serviceAccount })
    const { key, pem } = await createWorkloadKey()
    const csrPem = createCsr(key, spiffeId)
    const signed = await this.ca.sign({ csrPem, spiffeId, via: 'test', ...request })
    const below = signed.chain.slice(0, -1)
    return {
      spiffeId,
      key,
      keyPem: pem,
      signed,
      chainPem: below.join(''),
      chain: below.map((one) => new X509Certificate(one)),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ca[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export function openCa(
  options: Partial<CertificateAuthorityOptions> & { readonly folder: string },
): Promise<CertificateAuthority> {
  return openCertificateAuthority({
    trustDomain: 'cluster.local',
    clock: systemClock,
    log: silentLog,
    ...options,
  })
}
