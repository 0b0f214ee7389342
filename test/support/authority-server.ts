/**
 * A control plane as far as agents need one for their certificates: an authority, tokens, and a TLS port with
 * CreateCertificate and an empty ADS. Who may have which identity is decided simply: a good token, or a certificate.
 */
import { join } from 'node:path'

import { openAdminServer } from '../../src/control/identity/admin-server.ts'
import { TrustView } from '../../src/control/identity/trust-view.ts'
import { rootHashOf } from '../../src/identity/join-token.ts'
import { readCsr } from '../../src/identity/read-csr.ts'
import { controlPlaneName } from '../../src/identity/server-trust.ts'
import { parseSpiffeId, spiffeIdOf } from '../../src/identity/spiffe-id.ts'
import { openTokenStore, type TokenGrant, type TokenStore } from '../../src/identity/token-store.ts'
import { verifyPeerChain } from '../../src/identity/trust-bundle.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import {
  adsPaths,
  createDiscoveryService,
  secretPaths,
  type DiscoveryService,
} from '../../src/xds/ads-server.ts'
import {
  createCaMethods,
  type CertificateAnswer,
  type CertificateCall,
} from '../../src/xds/ca-server.ts'
import { openGrpcServer, type GrpcServer } from '../../src/xds/grpc/grpc-server.ts'
import { grpcCodes } from '../../src/xds/grpc/grpc-status.ts'
import { TestSource } from './ads-source.ts'
import { IdentityScene } from './identity-scene.ts'

const trustDomain = 'cluster.local'
const serverId = spiffeIdOf({ trustDomain, namespace: 'istio-system', serviceAccount: 'istiod' })

export class AuthorityServer implements AsyncDisposable {
  readonly identity: IdentityScene
  readonly tokens: TokenStore
  readonly ads: DiscoveryService
  readonly trust: TrustView
  readonly secrets: DiscoveryService
  readonly handOver: string
  /** How each certificate was asked for. */
  readonly calls: ('token' | 'certificate' | 'nothing')[] = []
  readonly #stack = new AsyncDisposableStack()
  #grpc: GrpcServer | undefined

  private constructor(identity: IdentityScene) {
    this.identity = identity
    this.handOver = join(identity.folder, 'hand-over.sock')
    this.tokens = openTokenStore({ folder: join(identity.folder, 'tokens'), clock: systemClock })
    const common = { clock: systemClock, random: systemRandom, log: silentLog }
    this.trust = new TrustView(identity.ca.bundle)
    this.ads = createDiscoveryService({ ...common, paths: adsPaths, source: new TestSource() })
    this.secrets = createDiscoveryService({ ...common, paths: secretPaths, source: this.trust })
  }

  static async open(leafLifetimeMs: number): Promise<AuthorityServer> {
    const identity = await IdentityScene.open({ leafLifetimeMs })
    const server = new AuthorityServer(identity)
    const routes = {
      'POST /token': async ({ body }: { readonly body: unknown }) => ({
        token: await server.createToken(body as TokenGrant),
      }),
    }
    server.#stack.use(await openAdminServer({ path: server.handOver, routes, log: silentLog }))
    server.#stack.use(identity.ca.onChange(() => void server.#renewCertificate()))
    server.#grpc = server.#stack.use(await server.#listen())
    return server
  }

  get address(): string {
    return this.#grpc?.address ?? ''
  }

  async createToken(
    grant: TokenGrant & { readonly ttlMs?: number; readonly usesMax?: number },
  ): Promise<string> {
    const rootHashes = this.identity.ca.bundle.rootsOf(trustDomain).map(rootHashOf)
    const made = await this.tokens.create({
      ttlMs: 60_000,
      usesMax: 1,
      rootHashes,
      madeBy: 'test',
      ...grant,
    })
    return made.text
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ads[Symbol.dispose]()
    this.secrets[Symbol.dispose]()
    await this.#stack.disposeAsync()
    await this.identity[Symbol.asyncDispose]()
  }

  async #listen(): Promise<GrpcServer> {
    const { ca } = this.identity
    return openGrpcServer({
      listen: { host: '127.0.0.1', port: 0 },
      tls: {
        certificate: await ca.createServerCertificate(serverId, [controlPlaneName]),
        verifyPeer: (chain) =>
          verifyPeerChain(chain, ca.bundle, { nowMs: systemClock.nowMs(), role: 'client' }),
      },
      methods: {
        ...this.ads.methods,
        ...this.secrets.methods,
        ...createCaMethods({ create: (call) => this.#create(call), log: silentLog }),
      },
      clock: systemClock,
      log: silentLog,
    })
  }

  async #renewCertificate(): Promise<void> {
    const { ca } = this.identity
    this.trust.set(ca.bundle)
    this.#grpc?.setCertificate(await ca.createServerCertificate(serverId, [controlPlaneName]))
    this.#grpc?.recheckPeers()
  }

  async #create({ csrPem, verdict, bearer }: CertificateCall): Promise<CertificateAnswer> {
    const { ca } = this.identity
    if (bearer !== undefined) {
      this.calls.push('token')
      const { publicKey } = await readCsr(csrPem)
      const redeemed = await this.tokens.redeem(bearer, { publicKey })
      if (!redeemed.ok) return refuse(`the token is ${redeemed.reason}`)
      const spiffeId = spiffeIdOf({ trustDomain, ...redeemed.grant })
      return { ok: true, chain: (await ca.sign({ csrPem, spiffeId, via: 'token' })).chain }
    }
    this.calls.push(verdict?.ok === true ? 'certificate' : 'nothing')
    const known = verdict?.ok === true ? parseSpiffeId(verdict.spiffeId) : undefined
    if (known === undefined) return refuse('who are you?')
    const spiffeId = known.id
    return { ok: true, chain: (await ca.sign({ csrPem, spiffeId, via: 'certificate' })).chain }
  }
}

function refuse(message: string): CertificateAnswer {
  return { ok: false, status: { code: grpcCodes.permissionDenied, message } }
}
