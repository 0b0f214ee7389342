/**
 * The control plane put together: configuration → registry → translation → ADS, and the HTTP API beside them.
 *
 * ```
 *   files, store ──▶ ConfigSource ──┐
 *                                   ├─▶ ReconcileLoop ──▶ Translation ──▶ ADS ──▶ XdsPorts ──▶ sidecars
 *   ADS streams ──▶ Registry ───────┘                                      │        │
 *        ▲                                                                 │        └─ IdentityService: certificates
 *        └────────────────── joins, ends, health ──────────────────────────┘
 * ```
 *
 * Everything is built here, in order, and closed in the opposite order. It listens only when the first
 * translation is done, so that nobody is given half a mesh.
 */
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import {
  createFileRegistrationLog,
  createMemoryRegistrationLog,
  type RegistrationLog,
} from '../registry/registration-log.ts'
import { openRegistry, type Registry } from '../registry/registry.ts'
import { openLastGood } from '../store/files/last-good.ts'
import { withoutSuppressed } from '../translate/analysis/suppress.ts'
import { createTranslation, type Translation } from '../translate/driver.ts'
import { adsPaths, createDiscoveryService, type DiscoveryService } from '../xds/ads-server.ts'
import { openApiServer, type ApiServer } from './api-server/api-server.ts'
import { ObjectStore } from './api-server/object-store.ts'
import { meshOf, openConfigSource, type ConfigSource } from './config-source.ts'
import { createFaultRoutes } from './fault/fault-routes.ts'
import { openFaultStore } from './fault/fault-store.ts'
import { readFirstCall } from './first-call.ts'
import { addGauges } from './gauges.ts'
import { IdentityMetrics } from './identity/identity-metrics.ts'
import type { IdentitySettings } from './identity/identity-service.ts'
import { meshIdentityOf } from './identity/mesh-identity.ts'
import { openXdsPorts, type HostPort, type XdsPorts } from './identity/xds-ports.ts'
import { createMembershipHooks } from './membership.ts'
import { ControlPlaneMetrics } from './metrics.ts'
import { InputBuilder, ReconcileLoop } from './reconcile.ts'
import {
  issueObjects,
  proxyObjects,
  serviceObjects,
  shortTypeName,
  workloadObjects,
} from './view-object.ts'

export type { HostPort } from './identity/xds-ports.ts'

export interface ControlPlaneOptions {
  /** A file with one `Mesh`; its `spec.config` is read too. */
  readonly meshFile?: string
  /** Further files and folders of YAML. */
  readonly configPaths?: readonly string[]
  /** Namespace of resources that name none, when the mesh file does not say it. */
  readonly namespace?: string
  /** With `memory` the API can be written to; what is written ends with the process. */
  readonly store?: 'memory'
  /** Over TLS: xDS, certificates, roots. Undefined: no TLS and no authority, for tests and benches. */
  readonly xds?: HostPort
  /** xDS without TLS and without any proof of who calls: on loopback, when somebody asks for it. */
  readonly plaintextXds?: HostPort
  readonly api: HostPort
  /**
   * Where registrations are kept, and in `ca/` the mesh's root with its key. Without it a restart forgets who had
   * joined, and makes another root.
   */
  readonly stateFolder?: string
  readonly identity?: IdentitySettings
  /** Version of Tulle, for `/version`. */
  readonly version?: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** For tests: how long changes are collected before they are pushed. */
  readonly debounce?: { readonly leadingMs?: number; readonly quietMs?: number }
}

export interface ControlPlane extends AsyncDisposable {
  /** `http://127.0.0.1:15014` */
  readonly apiUrl: string
  /** `127.0.0.1:15012`, over TLS; empty when it is not served. */
  readonly xdsAddress: string
  /** `127.0.0.1:15010`; empty when it is not served. */
  readonly plaintextXdsAddress: string
  /** Socket of the owner (identity/admin-server.ts); empty without TLS. */
  readonly handOver: string
  /** Ends streams with UNAVAILABLE, so that clients come back elsewhere; writes what is not written. */
  close(): Promise<void>
}

/** Rejections: MESH_LISTEN_FAILED, MESH_STORE_UNAVAILABLE. Configuration that is wrong is an issue, not an error. */
export async function openControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const stack = new AsyncDisposableStack()
  try {
    return new RunningControlPlane(await openParts(options, stack), stack)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

class RunningControlPlane implements ControlPlane {
  readonly apiUrl: string
  readonly xdsAddress: string
  readonly plaintextXdsAddress: string
  readonly handOver: string
  readonly #stack: AsyncDisposableStack

  constructor({ api, ports }: OpenedParts, stack: AsyncDisposableStack) {
    this.apiUrl = api.url
    this.xdsAddress = ports.secureAddress ?? ''
    this.plaintextXdsAddress = ports.plaintextAddress ?? ''
    this.handOver = ports.handOver ?? ''
    this.#stack = stack
  }

  close(): Promise<void> {
    return this.#stack.disposeAsync()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

interface OpenedParts {
  readonly api: ApiServer
  readonly ports: XdsPorts
}

async function openParts(
  options: ControlPlaneOptions,
  stack: AsyncDisposableStack,
): Promise<OpenedParts> {
  const { clock, random, log, debounce } = options
  const source = stack.use(await openConfig(options))
  log.info({ paths: source.paths, issues: source.list().issues.length }, 'configuration loaded')
  const registrations = stack.use(openRegistrations(options))
  const registry = stack.use(await openRegistry({ clock, registrations }))
  const { stateFolder } = options
  const faults = stack.use(openFaultStore({ stateFolder, clock, random, log }))
  const inputs = new InputBuilder()
  const translation = createTranslation({ input: inputs.build({ source, registry, faults }) })
  log.info({ services: registry.snapshot.services.size }, 'first translation done')
  const metrics = new ControlPlaneMetrics()
  const reconcile = { source, registry, faults, log, onResult: countReconciles(metrics) }
  stack.use(new ReconcileLoop(reconcile, inputs, translation))
  const meshIdentity = meshIdentityOf(meshOf(source.list()))
  const identityMetrics = new IdentityMetrics()
  const ads = stack.use(
    createDiscoveryService({
      paths: adsPaths,
      source: translation,
      clock,
      random,
      log,
      hooks: createMembershipHooks({
        registry,
        trustDomains: new Set([meshIdentity.trustDomain, ...meshIdentity.trustDomainAliases]),
        onRefused: (reason) => identityMetrics.refusedJoins.add({ reason }),
        log,
      }),
      observer: adsObserver(metrics),
      // Else the endpoints that are about to come back would be taken from everybody in between.
      holdReturningMs: registry.knowsWhoWasThere ? 0 : registry.gracePeriodMs,
      ...(debounce === undefined ? {} : { debounce }),
    }),
  )
  const ports = stack.use(
    await openXdsPorts({
      ...options,
      ads,
      meshIdentity,
      metrics,
      identityMetrics,
      ownerRoutes: createFaultRoutes(faults, () => translation.effectiveInput()),
    }),
  )
  const { secureAddress, plaintextAddress } = ports
  log.info({ address: secureAddress, plaintext: plaintextAddress }, 'xDS is served')
  addGauges(metrics, { registry, source, ads, faults })
  const api = stack.use(
    await openApi(options, stack, { source, registry, translation, ads, metrics }),
  )
  log.info({ url: api.url }, 'API is served')
  return { api, ports }
}

function openConfig(options: ControlPlaneOptions): Promise<ConfigSource> {
  const { stateFolder, log } = options
  return openConfigSource({
    lastGood:
      stateFolder === undefined ? undefined : openLastGood(join(stateFolder, 'last-good'), log),
    meshFile: options.meshFile,
    configPaths: options.configPaths ?? [],
    namespace: options.namespace ?? 'default',
    store: options.store,
    clock: options.clock,
    log,
  })
}

function openRegistrations({ stateFolder, clock, log }: ControlPlaneOptions): RegistrationLog {
  if (stateFolder === undefined) return createMemoryRegistrationLog()
  return createFileRegistrationLog({ path: join(stateFolder, 'registrations.json'), clock, log })
}

interface Parts {
  readonly source: ConfigSource
  readonly registry: Registry
  readonly translation: Translation
  readonly ads: DiscoveryService
  readonly metrics: ControlPlaneMetrics
}

function openApi(
  options: ControlPlaneOptions,
  stack: AsyncDisposableStack,
  { source, registry, translation, ads, metrics }: Parts,
): Promise<ApiServer> {
  const { clock, log } = options
  const issues = async () => {
    const found = await translation.issues()
    const { issues: own, resources } = source.list()
    const all = [...own, ...registry.issues(), ...found]
    return withoutSuppressed(
      all,
      [...resources.values()].map(({ resource }) => resource),
    )
  }
  const objects = stack.use(
    new ObjectStore({
      source,
      clock,
      log,
      views: {
        proxies: () => proxyObjects(ads.statuses()),
        services: () => serviceObjects(registry.snapshot),
        workloads: () => workloadObjects(registry.snapshot),
        issues: async () => issueObjects(await issues()),
      },
    }),
  )
  return openApiServer({
    host: options.api.host,
    port: options.api.port,
    objects,
    store: source.store,
    paths: () => source.paths,
    version: options.version ?? '0.0.0',
    metricsText: () => metrics.text(),
    readOther: (url) => readFirstCall({ ads, translation }, url),
    notReady: () => '',
    clock,
    log,
  })
}

function countReconciles(metrics: ControlPlaneMetrics): (result: string) => void {
  return (result) => metrics.reconciles.add({ result })
}

function adsObserver(metrics: ControlPlaneMetrics) {
  return {
    onSent(typeUrl: string, bytes: number) {
      const type = shortTypeName(typeUrl).toLowerCase()
      metrics.pushes.add({ type })
      metrics.pushBytes.add({ type }, bytes)
    },
    onRejected(typeUrl: string) {
      metrics.rejects.add({ type: shortTypeName(typeUrl).toLowerCase() })
    },
    onConverged(seconds: number) {
      metrics.convergence.observe(seconds)
    },
  }
}
