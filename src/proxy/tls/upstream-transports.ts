/**
 * The transport sockets of one cluster: its own, and those chosen by the endpoint's metadata (Envoy
 * `transport_socket_matches`, the way of auto-mTLS: endpoints with a sidecar get TLS, others plaintext).
 */
import type { TlsStats } from '../telemetry/cluster-stats.ts'
import type { TransportUse } from '../upstream/cluster.ts'
import type { Host, HostMetadata } from '../upstream/host.ts'
import type { ProxyVersion } from '../wire/proxy-protocol.ts'
import type { WireTransport } from '../wire/wire.ts'
import type { TlsScope } from './live-tls.ts'
import { createProxyTransports, type TransportMaker } from './proxy-transport.ts'
import type { UpstreamTlsPlan } from './tls-plan.ts'
import { UpstreamTls } from './upstream-tls.ts'

export type TransportPlan =
  | { readonly kind: 'plaintext' }
  | { readonly kind: 'tls'; readonly tls: UpstreamTlsPlan }
  | {
      readonly kind: 'proxy-protocol'
      readonly version: ProxyVersion
      readonly inner: TransportPlan
    }

export interface TransportsPlan {
  /** The first whose fields all have these values in the endpoint's metadata. */
  readonly matches: readonly {
    readonly name: string
    readonly fields: Readonly<Record<string, unknown>>
    readonly transport: TransportPlan
  }[]
  readonly fallback: TransportPlan
  readonly key: string
}

export interface UpstreamTransportsOptions {
  readonly plan: TransportsPlan
  readonly scope: TlsScope
  readonly stats: TlsStats
  readonly clusterName: string
  readonly onReady: () => void
}

export class UpstreamTransports {
  readonly #matches: readonly {
    readonly fields: Readonly<Record<string, unknown>>
    readonly maker: TransportMaker | undefined
  }[]
  readonly #fallback: TransportMaker | undefined
  readonly #all: UpstreamTls[] = []
  readonly #stats: TlsStats
  readonly #chosen = new WeakMap<HostMetadata, { readonly maker: TransportMaker | undefined }>()

  constructor(options: UpstreamTransportsOptions) {
    const { plan } = options
    this.#stats = options.stats
    const open = (transport: TransportPlan): TransportMaker | undefined => {
      if (transport.kind === 'plaintext') return undefined
      if (transport.kind === 'proxy-protocol') {
        return createProxyTransports(transport.version, open(transport.inner) ?? plaintext)
      }
      const tls = new UpstreamTls({
        ...options,
        plan: transport.tls,
        onReady: () => {
          if (this.isReady) options.onReady()
        },
      })
      this.#all.push(tls)
      return tls
    }
    this.#matches = plan.matches.map(({ fields, transport }) => ({
      fields,
      maker: open(transport),
    }))
    this.#fallback = open(plan.fallback)
  }

  /** Whether no secret is waited for any more. */
  get isReady(): boolean {
    return this.#all.every(({ live }) => live.isReady)
  }

  /** The TLS contexts, for /certs. */
  get contexts(): readonly UpstreamTls[] {
    return this.#all
  }

  /** Undefined: plaintext. */
  transportOf(host: Host, use: TransportUse): WireTransport | undefined {
    const { check } = use
    const maker =
      check?.socketMatch === undefined ? this.#choose(host.metadata) : this.#find(check.socketMatch)
    return maker?.transportOf(host, use)
  }

  close(): void {
    for (const tls of this.#all) tls.close()
    this.#stats.close()
  }

  #choose(metadata: HostMetadata): TransportMaker | undefined {
    if (this.#matches.length === 0) return this.#fallback
    let chosen = this.#chosen.get(metadata)
    if (chosen === undefined) {
      chosen = { maker: this.#find(metadata.socketMatch ?? {}) }
      this.#chosen.set(metadata, chosen)
    }
    return chosen.maker
  }

  #find(has: Readonly<Record<string, unknown>>): TransportMaker | undefined {
    const found = this.#matches.find(({ fields }) => isSubset(fields, has))
    return found === undefined ? this.#fallback : found.maker
  }
}

const plaintext: TransportMaker = { transportOf: () => undefined }

function isSubset(
  wanted: Readonly<Record<string, unknown>>,
  has: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(wanted).every(
    ([key, value]) => JSON.stringify(has[key]) === JSON.stringify(value),
  )
}
