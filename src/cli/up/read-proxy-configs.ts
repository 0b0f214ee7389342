/**
 * Reads the resources of kind ProxyConfig that a mesh file's workloads start with. What is wrong with files the control
 * plane says.
 */
import { dirname, resolve } from 'node:path'

import type { ProxyConfigSpec } from '../../model/istio/proxy-config.ts'
import type { Resource } from '../../model/resource.ts'
import { openFileSource } from '../../store/files/file-source.ts'
import { createDocumentParser } from '../../store/files/parse-documents.ts'
import { byAge } from '../../translate/input.ts'
import type { MeshFile } from './mesh-file.ts'

export async function readProxyConfigs({
  path,
  namespace,
  spec,
}: Pick<MeshFile, 'path' | 'namespace' | 'spec'>): Promise<readonly Resource<ProxyConfigSpec>[]> {
  const config = (spec.config ?? []).map((entry) => resolve(dirname(path), entry))
  const parse = createDocumentParser(namespace)
  await using source = await openFileSource({ paths: [path, ...config], parse })
  return proxyConfigsIn([...source.list().resources.values()].map(({ resource }) => resource))
}

/** Oldest first. */
export function proxyConfigsIn(
  resources: readonly Resource[],
): readonly Resource<ProxyConfigSpec>[] {
  return resources.filter(isProxyConfig).sort(byAge)
}

/** The kind decides what the spec is: the parser has checked it. */
function isProxyConfig(resource: Resource): resource is Resource<ProxyConfigSpec> {
  return resource.kind === 'ProxyConfig'
}
