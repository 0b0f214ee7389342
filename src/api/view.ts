/**
 * Our own read-only group `tulle.dev/v1alpha1`: what runs in the mesh, as the control plane sees it.
 *
 * | plural | what | namespaced |
 * | --- | --- | --- |
 * | proxies | each connected sidecar and what it has acknowledged | yes |
 * | services | each service with its ports and endpoints | yes |
 * | workloads | each workload that has joined or is declared | yes |
 * | issues | everything that is wrong or doubtful in the configuration | no |
 */
import type { Issue } from '../model/issue.ts'
import type { ApiObject } from './object.ts'

export const viewGroup = 'tulle.dev'
export const viewVersion = 'v1alpha1'
export const viewApiVersion = 'tulle.dev/v1alpha1'

export type ViewPlural = 'proxies' | 'services' | 'workloads' | 'issues'

/** `/apis/tulle.dev/v1alpha1/proxies` */
export function viewPath(plural: ViewPlural): string {
  return `/apis/${viewApiVersion}/${plural}`
}

/** `metadata.name` is the instance: the part of the node id before the namespace. */
export interface ProxyObject extends ApiObject {
  readonly kind: 'Proxy'
  readonly status: ProxyStatus
}

export interface ProxyStatus {
  readonly nodeId: string
  readonly workload: string
  readonly address: string
  /** `127.0.0.1:15000` or `unix:/path`; absent when it did not say. */
  readonly adminAddress?: string
  readonly userAgent: string
  /** By its certificate; absent on a connection without TLS. */
  readonly certificate?: {
    readonly spiffeId: string
    readonly serial: string
    readonly notBefore: string
    readonly notAfter: string
    /** WorkloadGroup that it is bound to. */
    readonly workloadGroup?: string
  }
  readonly variant: 'sotw' | 'delta'
  /** RFC 3339 with milliseconds. */
  readonly connectedSince: string
  /** A newer state waits until it has acknowledged what is on its way. */
  readonly isBehind: boolean
  /** From a change until it had acknowledged all that the change caused; absent before the first. */
  readonly lastPushMs?: number
  readonly types: readonly ProxyTypeStatus[]
}

export interface ProxyTypeStatus {
  readonly typeUrl: string
  /** `CDS`, `EDS`, `LDS`, `RDS`, `SDS`, `ECDS`, or the last part of the type's name. */
  readonly name: string
  readonly status: 'SYNCED' | 'STALE' | 'NOT SENT' | 'REJECTED'
  readonly sentVersion: string
  readonly ackedVersion: string
  readonly sentAt?: string
  readonly ackedAt?: string
  /** The last refusal, until something is accepted again. */
  readonly rejection?: { readonly reason: string; readonly at: string; readonly version: string }
}

/**
 * `GET …/namespaces/NS/proxies/NAME/firstcall?host=reviews:9080`: what a sidecar on demand would be given for a host that
 * it has not called; its own listeners too. Messages in JSON, in Envoy's field names.
 */
export interface FirstCall {
  readonly apiVersion: typeof viewApiVersion
  readonly kind: 'FirstCall'
  /** False: everything comes by itself, and the lists are empty. */
  readonly isOnDemand: boolean
  readonly virtualHosts: readonly unknown[]
  readonly clusters: readonly unknown[]
  readonly assignments: readonly unknown[]
  readonly listeners: readonly unknown[]
}

export function firstCallPath(proxy: ProxyObject, host: string): string {
  const { namespace = '', name } = proxy.metadata
  const place = [namespace, 'proxies', name].map(encodeURIComponent).join('/')
  return `/apis/${viewApiVersion}/namespaces/${place}/firstcall?host=${encodeURIComponent(host)}`
}

/** `metadata.name` is the host name. */
export interface ServiceObject extends ApiObject {
  readonly kind: 'Service'
  readonly spec: {
    readonly hostname: string
    readonly addresses: readonly string[]
    readonly resolution: string
    readonly isMeshExternal: boolean
    readonly exportTo: readonly string[]
    readonly ports: readonly {
      readonly name: string
      readonly number: number
      readonly protocol: string
      readonly targetPort: number | string
    }[]
    readonly declaredBy: string
  }
  readonly status: { readonly endpoints: readonly ServiceEndpoint[] }
}

export interface ServiceEndpoint {
  readonly servicePort: number
  readonly address: string
  readonly port: number
  readonly workload: string
  readonly namespace: string
  readonly health: 'healthy' | 'unhealthy' | 'draining'
  readonly weight: number
  readonly locality: string
  readonly labels: Readonly<Record<string, string>>
}

/** `metadata.name` is the instance, or the WorkloadEntry's name; labels are the workload's. */
export interface WorkloadObject extends ApiObject {
  readonly kind: 'Workload'
  readonly status: {
    readonly id: string
    readonly workload: string
    readonly serviceAccount: string
    readonly address: string
    readonly ports: readonly {
      readonly name: string
      readonly appPort: number
      readonly meshPort: number
      readonly servicePort?: number
    }[]
    readonly health: 'healthy' | 'unhealthy' | 'draining'
    readonly healthMessage: string
    readonly presence: 'connected' | 'gone' | 'static' | 'restored'
    readonly locality: string
    readonly network: string
    readonly cluster: string
  }
}

/** `metadata.name` is a hash of the issue, so that the same issue keeps its name. */
export interface IssueObject extends ApiObject {
  readonly kind: 'Issue'
  readonly issue: Issue
}
