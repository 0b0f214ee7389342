/** Runs the RouteTests of some files: each case's request is explained from the translated files, and compared. */
import { MeshError } from '../../lib/mesh-error.ts'
import type { Issue } from '../../model/issue.ts'
import type { RouteCase, RouteRequest, RouteTestSpec } from '../../model/mesh/route-test.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import { explainReport, type ExplainReport } from '../explain/explain-report.ts'
import { offlineSource, standInNode, type ExplainSource } from '../explain/explain-source.ts'
import {
  loadOffline,
  nodeOf,
  pickWorkload,
  type OfflineMesh,
  type OfflineNode,
  type OfflineOptions,
} from '../offline.ts'
import { compareCase } from './compare-case.ts'

export interface RouteTestRun {
  readonly results: readonly CaseResult[]
  /** Errors of the files: routes that are not there cannot be tested. */
  readonly errors: readonly Issue[]
}

export interface CaseResult {
  readonly name: string
  /** `RouteTest default/reviews` */
  readonly resource: string
  readonly file: string
  readonly line: number
  /** Empty: it passed. */
  readonly mismatches: readonly string[]
  /** Undefined when the request could not be explained. */
  readonly report: ExplainReport | undefined
}

/** Rejections: MESH_USAGE when the files have no RouteTest. */
export async function runRouteTests(options: OfflineOptions): Promise<RouteTestRun> {
  const offline = await loadOffline(options)
  const errors = offline.issues.filter(({ severity }) => severity === 'error')
  const resources = [...offline.input.resources.values()].filter(isRouteTest).sort(byPlace)
  if (resources.length === 0 && errors.length === 0) {
    throw new MeshError('MESH_USAGE', `no RouteTest in ${options.paths.join(', ')}`, {
      remedy: 'name files or folders that have one (kind: RouteTest)',
    })
  }
  const sources = new Sources(offline)
  const results: CaseResult[] = []
  for (const resource of resources) {
    for (const index of resource.spec.tests.keys()) {
      results.push(await runCase(resource, index, sources))
    }
  }
  return { results, errors }
}

function isRouteTest(resource: Resource): resource is Resource<RouteTestSpec> {
  return resource.kind === 'RouteTest'
}

function byPlace({ origin: one }: Resource, { origin: other }: Resource): number {
  if (one.file !== other.file) return one.file < other.file ? -1 : 1
  return one.line - other.line
}

async function runCase(
  resource: Resource<RouteTestSpec>,
  index: number,
  sources: Sources,
): Promise<CaseResult> {
  const one = resource.spec.tests[index] as RouteCase // an index of the list
  const { file, line } = resource.origin.positionOf(`spec.tests[${index}]`)
  const place = { name: nameOf(one), resource: describeResource(resource), file, line }
  const { namespace } = resource.metadata
  try {
    const source = sources.of(one.given, namespace)
    const { method = 'GET', url, headers = {} } = one.given
    const report = await explainReport(source, { method, url, headers: Object.entries(headers) })
    return { ...place, mismatches: compareCase(one.expect, report, namespace), report }
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    const remedy = error.remedy === undefined ? '' : ` (${error.remedy})`
    return { ...place, mismatches: [`${error.message}${remedy}`], report: undefined }
  }
}

function nameOf({ name, given: { method = 'GET', url } }: RouteCase): string {
  return name ?? `${method} ${url}`
}

/** One translation for each client that tests speak for. */
class Sources {
  readonly #offline: OfflineMesh
  readonly #known = new Map<string, ExplainSource>()

  constructor(offline: OfflineMesh) {
    this.#offline = offline
  }

  of({ from }: RouteRequest, namespace: string): ExplainSource {
    const node = this.#nodeOf(from, namespace)
    const key = JSON.stringify(node)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    // Routes are tested whether anything runs or not.
    const source = offlineSource(this.#offline, node, { knowsEndpoints: false })
    this.#known.set(key, source)
    return source
  }

  #nodeOf(from: RouteRequest['from'], namespace: string): OfflineNode {
    const { bootstraps } = this.#offline
    if (typeof from === 'string' && bootstraps.size > 0) {
      return nodeOf(pickWorkload(bootstraps, from).bootstrap)
    }
    if (typeof from === 'string') return standInNode({ workload: from, namespace })
    const { labels = {} } = from ?? {}
    return standInNode({ workload: 'client', namespace: from?.namespace ?? namespace, labels })
  }
}
