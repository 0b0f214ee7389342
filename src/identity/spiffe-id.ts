/**
 * SPIFFE ids: the names of workloads, `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
 *
 * Read strictly by the SPIFFE ID standard (§2): a lower-case scheme and trust domain, a path of plain segments,
 * no port, query, percent-encoding or empty segment. What is not exactly that names nobody. Ids of another shape
 * of path (SPIRE's) are valid and have no namespace.
 */
import { MeshError } from '../lib/mesh-error.ts'

declare const spiffeIdBrand: unique symbol

/** Text that was read or made here; compare with `===`. */
export type SpiffeId = string & { readonly [spiffeIdBrand]: true }

/** Whom an id names. */
export interface WorkloadIdentity {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

export interface ParsedSpiffeId {
  readonly id: SpiffeId
  readonly trustDomain: string
  /** With its leading slash. */
  readonly path: string
  /** Undefined when the path does not have Istio's shape. */
  readonly workload: WorkloadIdentity | undefined
}

/** SPIFFE ID §2.3, and §2.1 for the trust domain. */
const idLengthMax = 2_048
const trustDomainLengthMax = 255

const shape = /^spiffe:\/\/([a-z0-9._-]+)((?:\/[A-Za-z0-9._-]+)+)$/
const workloadPath = /^\/ns\/([^/]+)\/sa\/([^/]+)$/

/** Undefined for anything that is not a SPIFFE id of a workload. */
export function parseSpiffeId(text: string): ParsedSpiffeId | undefined {
  if (text.length > idLengthMax) return undefined
  const [matched, trustDomain = '', path = ''] = shape.exec(text) ?? []
  if (matched === undefined || trustDomain.length > trustDomainLengthMax) return undefined
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined
  const [, namespace, serviceAccount] = workloadPath.exec(path) ?? []
  const workload =
    namespace === undefined || serviceAccount === undefined
      ? undefined
      : { trustDomain, namespace, serviceAccount }
  // The one place where a text becomes an id.
  return { id: text as SpiffeId, trustDomain, path, workload }
}

/** Throws MESH_IDENTITY_INVALID when a part has characters that an id cannot hold. */
export function spiffeIdOf({ trustDomain, namespace, serviceAccount }: WorkloadIdentity): SpiffeId {
  const text = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
  const parsed = parseSpiffeId(text)
  if (parsed?.workload?.namespace === namespace && parsed.trustDomain === trustDomain) {
    return parsed.id
  }
  throw new MeshError('MESH_IDENTITY_INVALID', `${JSON.stringify(text)} is not a SPIFFE id`, {
    remedy: 'use letters, digits, ".", "_" and "-" in names, and lower case in the trust domain',
  })
}
