/** A control plane with its authority, everything that it ever said, and workloads that ask it for certificates. */
import { X509Certificate, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  openControlPlane,
  type ControlPlane,
  type ControlPlaneOptions,
} from '../../src/control/control-plane.ts'
import { requireJoinToken } from '../../src/identity/join-token.ts'
import { createCsr, createWorkloadKey } from '../../src/identity/key-and-csr.ts'
import {
  controlPlaneName,
  verifyServerChain,
  type ServerTrust,
} from '../../src/identity/server-trust.ts'
import { spiffeIdOf } from '../../src/identity/spiffe-id.ts'
import { TrustBundle } from '../../src/identity/trust-bundle.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { createCertificate } from '../../src/xds/ca-client.ts'
import type { GrpcClientTls } from '../../src/xds/grpc/grpc-client.ts'
import { AdsPeer } from './ads-peer.ts'
import { ownerCall, type OwnerAnswer } from './owner-call.ts'

export interface HeldCertificate {
  readonly key: KeyObject
  readonly keyPem: string
  readonly chainPem: string
  readonly rootsPem: string
  readonly leaf: X509Certificate
}

export interface Wish {
  /** `namespace/service-account` that the request names. */
  readonly as?: string
  readonly token?: string
  /** Certificate to renew. */
  readonly current?: HeldCertificate
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly key?: { readonly key: KeyObject; readonly pem: string }
}

export class IdentityControlPlane implements AsyncDisposable {
  readonly folder: string
  readonly lines: string[] = []
  #controlPlane: ControlPlane | undefined

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(
    config: string,
    options: Partial<ControlPlaneOptions> = {},
  ): Promise<IdentityControlPlane> {
    const scene = new IdentityControlPlane(mkdtempSync(join(tmpdir(), 'tulle-ca-')))
    writeFileSync(join(scene.folder, 'config.yaml'), config)
    scene.#controlPlane = await scene.start(options)
    return scene
  }

  start(options: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
    return openControlPlane({
      configPaths: [join(this.folder, 'config.yaml')],
      xds: { host: '127.0.0.1', port: 0 },
      api: { host: '127.0.0.1', port: 0 },
      stateFolder: join(this.folder, 'state'),
      clock: systemClock,
      random: seededRandom(5),
      log: this.#log(),
      debounce: { leadingMs: 1, quietMs: 5 },
      ...options,
    })
  }

  get controlPlane(): ControlPlane {
    if (this.#controlPlane === undefined) throw new Error('not open')
    return this.#controlPlane
  }

  owner(target: string, body?: unknown): Promise<OwnerAnswer> {
    return ownerCall(this.controlPlane.handOver, target, body)
  }

  async token(fields: object = {}): Promise<string> {
    const wish = { namespace: 'shop', serviceAccount: 'cart', ttlSeconds: 60, uses: 1, ...fields }
    const { body, text } = await this.owner('POST /tokens', wish)
    if (body.token === undefined) throw new Error(text)
    return body.token as string
  }

  async certificate(wish: Wish = {}): Promise<HeldCertificate> {
    const [namespace = '', serviceAccount = ''] = (wish.as ?? 'shop/cart').split('/')
    const { key, pem } = wish.key ?? (await createWorkloadKey())
    const spiffeId = spiffeIdOf({ trustDomain: 'cluster.local', namespace, serviceAccount })
    const { metadata } = wish
    const chain = await createCertificate({
      target: this.controlPlane.xdsAddress,
      tls: await this.#tlsOf(wish),
      csrPem: createCsr(key, spiffeId),
      token: wish.token,
      ...(metadata === undefined ? {} : { metadata }),
      clock: systemClock,
    })
    return {
      key,
      keyPem: pem,
      chainPem: chain.slice(0, -1).join(''),
      rootsPem: chain.at(-1) ?? '',
      leaf: new X509Certificate(chain[0] ?? ''),
    }
  }

  /** What the refusal says. */
  async refusal(wish: Wish): Promise<string> {
    try {
      await this.certificate(wish)
      return 'given'
    } catch (error) {
      return (error as Error).message
    }
  }

  /** Opens an ADS stream as this node. */
  connect(held: HeldCertificate, nodeId: string, metadata: object): AdsPeer {
    const bundle = new TrustBundle({ any: held.rootsPem })
    const peer = new AdsPeer(this.controlPlane.xdsAddress, 'delta', tlsTo(bundle, held))
    peer.send({
      node: { id: nodeId, metadata },
      typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
    })
    return peer
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.controlPlane.apiUrl}/metrics`)).text()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controlPlane?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #tlsOf({ token, current }: Wish): Promise<GrpcClientTls> {
    if (current !== undefined) return tlsTo(new TrustBundle({ any: current.rootsPem }), current)
    if (token?.startsWith('tulle-') === true && token.split('.').length > 3) {
      return tlsTo({ hashes: requireJoinToken(token).rootHashes })
    }
    const { body } = await this.owner('GET /roots')
    return tlsTo(
      new TrustBundle({ any: body.items.map(({ pem }: { pem: string }) => pem).join('') }),
    )
  }

  #log(): Log {
    const write = (level: string) => (fields: object, message: string) => {
      this.lines.push(JSON.stringify({ level, ...fields, message }))
    }
    const log: Log = {
      level: 'debug',
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: () => log,
    }
    return log
  }
}

function tlsTo(roots: ServerTrust['roots'], own?: HeldCertificate): GrpcClientTls {
  return {
    certificate: own,
    serverName: controlPlaneName,
    verifyServer: (chain) =>
      verifyServerChain(chain, { roots, serverName: controlPlaneName, nowMs: Date.now() }),
  }
}
