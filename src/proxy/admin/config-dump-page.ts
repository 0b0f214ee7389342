/**
 * `/config_dump`: what the sidecar was told, in Envoy's form: the last good version of every resource, and beside it, as
 * `error_state`, the one that was refused, with the reason and the time.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire'

import { MessageJson } from '../../xds/json.ts'
import type { JsonValue } from '../../xds/json.ts'
import { Bootstrap } from '../../xds/proto/generated/envoy/config/bootstrap/v3/bootstrap.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { routesOfHost } from '../config/on-demand-name.ts'
import type { ResourceStore, StoredResource } from '../config/resource-store.ts'
import { type AdminPage, type AdminReply, adminPage, jsonReply, textReply } from './admin-page.ts'
import { applyMask } from './field-mask.ts'
import { nameFilter } from './name-filter.ts'
import { redact } from './redact.ts'

export interface ConfigDumpSource {
  readonly bootstrap: Bootstrap
  readonly startedMs: number
  readonly store: ResourceStore
  /** Names that were accepted and do not serve yet, of clusters and of listeners. */
  warming(): Promise<{
    readonly clusters: readonly string[]
    readonly listeners: readonly string[]
  }>
}

type Dump = { '@type': string } & Record<string, unknown>

export function configDumpPage(source: ConfigDumpSource): AdminPage {
  return adminPage({
    path: '/config_dump',
    help: 'dump current configs',
    parameters: [
      { name: 'resource', help: 'The resource to dump' },
      {
        name: 'mask',
        help: 'The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned',
      },
      {
        name: 'name_regex',
        help: 'Dump only the currently loaded configurations whose names match the specified regex',
      },
      { name: 'include_eds', help: 'Dump currently loaded configuration including EDS' },
    ],
    run: (query) => render(source, query),
  })
}

async function render(source: ConfigDumpSource, query: URLSearchParams): Promise<AdminReply> {
  const filter = nameFilter(query.get('name_regex'), 'whole')
  if (!filter.ok) return textReply(`${filter.message}\n`, 400)
  const dumper = new Dumper(source, filter.matches, await source.warming())
  const dumps = dumper.all(query.has('include_eds'))
  const mask = query.get('mask')
  const resource = query.get('resource')
  if (resource === null) {
    const shown = mask === null ? dumps : maskDumps(dumps, mask)
    return jsonReply({ configs: shown })
  }
  const found = dumps.find((dump) => resource in dump)
  if (found === undefined) return textReply(`${resource} not found in config dump`, 404)
  const list = found[resource]
  if (!Array.isArray(list)) {
    const text = `${resource} is not a repeated field. Use ?mask= to get only this field`
    return textReply(text, 400)
  }
  const type = entryTypes[resource] ?? ''
  const configs = list.map((entry: object) => ({
    '@type': `${typePrefix}${type}`,
    ...(mask === null ? entry : applyMask(entry, mask)),
  }))
  return jsonReply({ configs })
}

/** A dump that the mask leaves nothing of is left out, as in Envoy. */
function maskDumps(dumps: readonly Dump[], mask: string): readonly object[] {
  return dumps.flatMap(({ '@type': type, ...fields }) => {
    const masked = applyMask(fields, mask)
    return Object.keys(masked).length === 0 ? [] : [{ '@type': type, ...masked }]
  })
}

/** Field 2 of a RouteConfiguration, length-delimited. */
const virtualHostsTag = (2 << 3) | 2

const typePrefix = 'type.googleapis.com/envoy.admin.v3.'

/** Messages inside the repeated fields, for `?resource=`. */
const entryTypes: Readonly<Record<string, string>> = {
  static_clusters: 'ClustersConfigDump.StaticCluster',
  dynamic_active_clusters: 'ClustersConfigDump.DynamicCluster',
  dynamic_warming_clusters: 'ClustersConfigDump.DynamicCluster',
  static_listeners: 'ListenersConfigDump.StaticListener',
  dynamic_listeners: 'ListenersConfigDump.DynamicListener',
  dynamic_route_configs: 'RoutesConfigDump.DynamicRouteConfig',
  static_route_configs: 'RoutesConfigDump.StaticRouteConfig',
  dynamic_endpoint_configs: 'EndpointsConfigDump.DynamicEndpointConfig',
  static_endpoint_configs: 'EndpointsConfigDump.StaticEndpointConfig',
  static_secrets: 'SecretsConfigDump.StaticSecret',
  dynamic_active_secrets: 'SecretsConfigDump.DynamicSecret',
}

interface Warming {
  readonly clusters: readonly string[]
  readonly listeners: readonly string[]
}

class Dumper {
  readonly #source: ConfigDumpSource
  readonly #matches: (name: string) => boolean
  readonly #warming: Warming
  readonly #json = new MessageJson()

  constructor(source: ConfigDumpSource, matches: (name: string) => boolean, warming: Warming) {
    this.#source = source
    this.#matches = matches
    this.#warming = warming
  }

  all(includeEndpoints: boolean): readonly Dump[] {
    return [
      this.#bootstrap(),
      this.#clusters(),
      ...(includeEndpoints ? [this.#endpoints()] : []),
      this.#listeners(),
      { '@type': `${typePrefix}ScopedRoutesConfigDump` },
      this.#routes(),
      this.#secrets(),
    ]
  }

  #bootstrap(): Dump {
    const { bootstrap, startedMs } = this.#source
    const type = 'envoy.config.bootstrap.v3.Bootstrap'
    return {
      '@type': `${typePrefix}BootstrapConfigDump`,
      bootstrap: redact(this.#json.toJson(type, Bootstrap, bootstrap)),
      last_updated: isoTime(startedMs),
    }
  }

  #clusters(): Dump {
    const all = this.#list(typeUrls.cluster)
    const warming = new Set(this.#warming.clusters)
    const dynamic = all.filter((resource) => resource.origin === 'dynamic')
    const entry = (resource: StoredResource): object => ({
      ...this.#accepted(typeUrls.cluster, resource, 'cluster'),
      ...this.#errorState(typeUrls.cluster, resource),
    })
    return compact({
      '@type': `${typePrefix}ClustersConfigDump`,
      version_info: this.#source.store.version(typeUrls.cluster),
      static_clusters: this.#static(typeUrls.cluster, 'cluster'),
      dynamic_active_clusters: dynamic.filter(({ name }) => !warming.has(name)).map(entry),
      dynamic_warming_clusters: dynamic.filter(({ name }) => warming.has(name)).map(entry),
    })
  }

  #listeners(): Dump {
    const warming = new Set(this.#warming.listeners)
    const dynamic = this.#list(typeUrls.listener).filter(({ origin }) => origin === 'dynamic')
    return compact({
      '@type': `${typePrefix}ListenersConfigDump`,
      version_info: this.#source.store.version(typeUrls.listener),
      static_listeners: this.#static(typeUrls.listener, 'listener'),
      dynamic_listeners: dynamic.map((resource) => ({
        name: resource.name,
        ...(resource.accepted && {
          [warming.has(resource.name) ? 'warming_state' : 'active_state']: this.#accepted(
            typeUrls.listener,
            resource,
            'listener',
          ),
        }),
        ...this.#errorState(typeUrls.listener, resource),
      })),
    })
  }

  #routes(): Dump {
    return compact({
      '@type': `${typePrefix}RoutesConfigDump`,
      dynamic_route_configs: this.#list(typeUrls.route).map((resource) => ({
        ...this.#accepted(typeUrls.route, this.#withHosts(resource), 'route_config'),
        ...this.#errorState(typeUrls.route, resource),
      })),
    })
  }

  /** As in Envoy: virtual hosts that came on demand stand in their table. */
  #withHosts(resource: StoredResource): StoredResource {
    const { accepted, name } = resource
    const hosts = this.#source.store
      .list(typeUrls.virtualHost)
      .flatMap((host) => (routesOfHost(host.name) === name ? (host.accepted?.value ?? []) : []))
    if (accepted === undefined || hosts.length === 0) return resource
    // A repeated field goes on wherever it stands.
    const writer = new BinaryWriter().raw(accepted.value)
    for (const host of hosts) writer.uint32(virtualHostsTag).bytes(host)
    return { ...resource, accepted: { ...accepted, value: writer.finish() } }
  }

  #endpoints(): Dump {
    return compact({
      '@type': `${typePrefix}EndpointsConfigDump`,
      dynamic_endpoint_configs: this.#list(typeUrls.endpoint).map((resource) => ({
        ...this.#accepted(typeUrls.endpoint, resource, 'endpoint_config'),
        ...this.#errorState(typeUrls.endpoint, resource),
      })),
    })
  }

  #secrets(): Dump {
    const all = this.#list(typeUrls.secret)
    const entry = (resource: StoredResource): object => ({
      name: resource.name,
      ...this.#accepted(typeUrls.secret, resource, 'secret'),
      ...this.#errorState(typeUrls.secret, resource),
    })
    return compact({
      '@type': `${typePrefix}SecretsConfigDump`,
      static_secrets: all.filter(({ origin }) => origin === 'static').map(entry),
      dynamic_active_secrets: all.filter(({ origin }) => origin === 'dynamic').map(entry),
    })
  }

  #list(typeUrl: string): readonly StoredResource[] {
    return this.#source.store.list(typeUrl).filter(({ name }) => this.#matches(name))
  }

  #static(typeUrl: string, field: string): readonly object[] {
    return this.#list(typeUrl)
      .filter(({ origin }) => origin === 'static')
      .map((resource) => ({
        [field]: this.#message(typeUrl, resource.accepted?.value),
        last_updated: isoTime(resource.accepted?.updatedMs ?? 0),
      }))
  }

  #accepted(typeUrl: string, resource: StoredResource, field: string): object {
    const { accepted } = resource
    if (accepted === undefined) return {}
    return {
      version_info: accepted.version,
      [field]: this.#message(typeUrl, accepted.value),
      last_updated: isoTime(accepted.updatedMs),
    }
  }

  #errorState(typeUrl: string, resource: StoredResource): object {
    const { rejected } = resource
    if (rejected === undefined) return {}
    return {
      error_state: {
        failed_configuration: this.#message(typeUrl, rejected.value),
        last_update_attempt: isoTime(rejected.updatedMs),
        details: rejected.reason,
        version_info: rejected.version,
      },
      client_status: 'NACKED',
    }
  }

  #message(typeUrl: string, value: Uint8Array | undefined): JsonValue {
    try {
      return redact(this.#json.anyToJson({ typeUrl, value: value ?? new Uint8Array() }))
    } catch {
      // A resource that was refused because it cannot be decoded has no JSON.
      return { '@type': typeUrl }
    }
  }
}

function compact(dump: Dump): Dump {
  const kept = Object.entries(dump).filter(
    ([, value]) => value !== '' && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(kept) as Dump // '@type' is never empty
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
