/** Resources and nodes for tests of the registry, written as briefly as a test can bear. */
import type { Resource } from '../../src/model/resource.ts'
import type { JoiningNode } from '../../src/registry/workload-registry.ts'
import { contentRevision, keyOf } from '../../src/store/identity.ts'
import type { StoredResource } from '../../src/store/source.ts'
import { parseYaml } from './parse-yaml.ts'

/** All documents of a YAML text, by key. */
export function resourcesOf(text: string, file = 'config.yaml'): Map<string, StoredResource> {
  const { resources, issues } = parseYaml(text, file)
  const [issue] = issues
  if (issue !== undefined) throw new Error(`${issue.line}: ${issue.message}`)
  return storedMap(resources)
}

export function storedMap(resources: readonly Resource[]): Map<string, StoredResource> {
  return new Map(
    resources.map((resource) => [
      keyOf(resource),
      { resource, revision: contentRevision(resource) },
    ]),
  )
}

export interface NodeOptions {
  readonly namespace?: string
  readonly address?: string
  readonly instance?: string
  readonly [metadataKey: string]: unknown
}

/** A node of workload `name`; other options are metadata. */
export function nodeOf(name: string, options: NodeOptions = {}): JoiningNode {
  const {
    namespace = 'default',
    address = '127.0.0.1',
    instance = `${name}-0`,
    ...metadata
  } = options
  return {
    id: `sidecar~${address}~${instance}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAMESPACE: namespace, WORKLOAD_NAME: name, CLUSTER_ID: 'Kubernetes', ...metadata },
  }
}
