/**
 * The ports on which the control plane is reached by sidecars: one over TLS, with xDS, certificates and roots on
 * it (Istio's 15012), and, when somebody asks for it, one on loopback without TLS (Istio's 15010).
 *
 * The TLS port knows each client by its certificate. Who has none may ask for one, and nothing else.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import { createDiscoveryService, secretPaths, type DiscoveryService } from '../../xds/ads-server.ts'
import { createCaMethods } from '../../xds/ca-server.ts'
import { openGrpcServer, type GrpcServer } from '../../xds/grpc/grpc-server.ts'
import type { ControlPlaneMetrics } from '../metrics.ts'
import { createAdminRoutes } from './admin-routes.ts'
import { handOverSocket, openAdminServer, type AdminRoute } from './admin-server.ts'
import { addIdentityMetrics, type IdentityMetrics } from './identity-metrics.ts'
import {
  openIdentityService,
  type IdentityService,
  type IdentitySettings,
} from './identity-service.ts'
import type { MeshIdentity } from './mesh-identity.ts'

export interface HostPort {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

export interface XdsPortOptions {
  readonly xds?: HostPort
  readonly plaintextXds?: HostPort
  readonly stateFolder?: string
  readonly identity?: IdentitySettings
  readonly meshIdentity: MeshIdentity
  readonly ads: DiscoveryService
  readonly metrics: ControlPlaneMetrics
  readonly identityMetrics: IdentityMetrics
  /** Further calls of the owner. */
  readonly ownerRoutes?: Readonly<Record<string, AdminRoute>>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface XdsPorts extends AsyncDisposable {
  readonly secureAddress: string | undefined
  readonly plaintextAddress: string | undefined
  readonly handOver: string | undefined
}

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/** Rejections: MESH_LISTEN_FAILED, MESH_CA_UNAVAILABLE, MESH_IDENTITY_INVALID, MESH_USAGE. */
export async function openXdsPorts(options: XdsPortOptions): Promise<XdsPorts> {
  const stack = new AsyncDisposableStack()
  try {
    const plaintext = await openPlaintext(options, stack)
    const plaintextAddress = plaintext?.address
    const secure = await openSecure(options, stack, plaintextAddress)
    return {
      secureAddress: secure?.grpc.address,
      plaintextAddress,
      handOver: secure?.handOver,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function openPlaintext(
  { plaintextXds, ads, clock, log }: XdsPortOptions,
  stack: AsyncDisposableStack,
): Promise<GrpcServer | undefined> {
  if (plaintextXds === undefined) return undefined
  if (!loopback.test(plaintextXds.host)) {
    throw new MeshError(
      'MESH_USAGE',
      `xDS without TLS on ${plaintextXds.host} is open to anybody`,
      {
        remedy: 'use an address of loopback, or TLS',
      },
    )
  }
  return stack.use(await openGrpcServer({ listen: plaintextXds, methods: ads.methods, clock, log }))
}

async function openSecure(
  options: XdsPortOptions,
  stack: AsyncDisposableStack,
  plaintextAddress: string | undefined,
) {
  const { xds, ads, clock, log } = options
  if (xds === undefined) return undefined
  const stateFolder = options.stateFolder ?? temporaryFolder(stack)
  const routes: Record<string, ReturnType<typeof createAdminRoutes>[string]> = {}
  const handOver = handOverSocket(stateFolder)
  // First, because it is the lock of the folder; it answers once the authority is there.
  stack.use(await openAdminServer({ path: handOver, routes, log }))
  const service = stack.use(await openService(options, stateFolder))
  const grpc = await openTlsPort({ ...options, service, stack }, xds)
  const streams = () => ads.statuses()
  const admin = { service, streams, plaintextAddress: () => plaintextAddress, clock }
  Object.assign(routes, createAdminRoutes(admin), options.ownerRoutes)
  return { grpc, handOver }
}

function temporaryFolder(stack: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-state-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function openService(
  { meshIdentity, identity, identityMetrics, xds, metrics, clock, log }: XdsPortOptions,
  stateFolder: string,
): Promise<IdentityService> {
  const { hosts = [], ...settings } = identity ?? {}
  // An address that stands for all of them names none.
  const own = xds === undefined || /^(0\.0\.0\.0|::)$/.test(xds.host) ? [] : [xds.host]
  const service = await openIdentityService({
    folder: join(stateFolder, 'ca'),
    ...meshIdentity,
    settings: { ...settings, hosts: [...own, ...hosts] },
    metrics: identityMetrics,
    clock,
    log,
  })
  addIdentityMetrics(metrics, identityMetrics, service.authority)
  return service
}

interface TlsPortOptions extends XdsPortOptions {
  readonly service: IdentityService
  readonly stack: AsyncDisposableStack
}

async function openTlsPort(options: TlsPortOptions, listen: HostPort): Promise<GrpcServer> {
  const { ads, service, stack, identityMetrics, clock, random, log } = options
  const secrets = stack.use(
    createDiscoveryService({
      paths: secretPaths,
      source: service.trust,
      clock,
      random,
      log,
      // Roots change one at a time: there is nothing to collect.
      debounce: { leadingMs: 0, quietMs: 0 },
    }),
  )
  const count = (reason: string) => identityMetrics.refusedConnections.add({ reason })
  const grpc = await openGrpcServer({
    listen,
    methods: {
      ...ads.methods,
      ...secrets.methods,
      ...createCaMethods({ create: (call) => service.create(call), log }),
    },
    tls: {
      certificate: service.certificate,
      verifyPeer: (chain) => {
        const verdict = service.verifyPeer(chain)
        // Who has none yet comes for its first.
        if (!verdict.ok && verdict.reason !== 'no-certificate') {
          count(verdict.reason)
          log.warn({ reason: verdict.reason, detail: verdict.detail }, 'a certificate is refused')
        }
        return verdict
      },
      onRefused: (reason, detail) => {
        count(reason)
        log.warn({ reason, detail }, 'a connection to the TLS port came to nothing')
      },
    },
    clock,
    log,
  })
  stack.use(grpc)
  service.onCertificate((certificate) => grpc.setCertificate(certificate))
  stack.use(service.authority.onChange(() => grpc.recheckPeers()))
  return grpc
}
