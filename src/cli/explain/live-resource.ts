/**
 * A resource of a running mesh with the place of each of its fields: as the control plane has it, and looked up in the
 * file that it was declared in, when that can be read here and still says the same.
 */
import { isDeepStrictEqual } from 'node:util'

import { declaredInAnnotation, type ConfigObject, type ObjectList } from '../../api/object.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import type { MeshSpec } from '../../model/mesh/mesh.ts'
import { parseFile, validate } from '../../model/parse.ts'
import type { Resource, SourcePosition } from '../../model/resource.ts'
import { isVirtualService } from '../../translate/virtual-service-index.ts'
import type { ApiClient } from '../api-client.ts'
import { kindPath, objectPath } from '../api-path.ts'

export interface ResourceReference {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

export async function liveResource(
  api: ApiClient,
  { kind, namespace, name }: ResourceReference,
  files: DeclaredFiles,
): Promise<Resource | undefined> {
  try {
    const path = objectPath(kindPath(kind), namespace, name)
    return placed(await api.get<ConfigObject>(path), files)
  } catch (error) {
    // Removed since the sidecar got it.
    if (error instanceof MeshError && error.code === 'MESH_STORE_NOT_FOUND') return undefined
    throw error
  }
}

export async function liveVirtualServices(
  api: ApiClient,
  files: DeclaredFiles,
): Promise<readonly Resource<VirtualServiceSpec>[]> {
  const path = objectPath(kindPath('virtualservices'), undefined)
  const { items } = await api.get<ObjectList<ConfigObject>>(path)
  return items.flatMap((item) => placed(item, files) ?? []).filter(isVirtualService)
}

/** The mesh's own settings; undefined when it has no Mesh: the defaults stand. */
export async function liveMesh(api: ApiClient): Promise<MeshSpec | undefined> {
  const path = objectPath(kindPath('meshes'), undefined)
  const { items } = await api.get<ObjectList<ConfigObject>>(path)
  const [first] = items
  const parsed = first === undefined ? undefined : validate(first)
  // The model has checked that a Mesh has a mesh's spec.
  return parsed?.ok === true ? (parsed.value as Resource<MeshSpec>).spec : undefined
}

function placed(object: ConfigObject, files: DeclaredFiles): Resource | undefined {
  const parsed = validate(object)
  if (!parsed.ok) return undefined
  const resource = parsed.value
  const declared = object.metadata.annotations?.[declaredInAnnotation]
  const [, file = '', line = ''] = /^(.*):(\d+)$/.exec(declared ?? '') ?? []
  if (file === '') return resource
  const position: SourcePosition = { file, line: Number(line), column: 1 }
  return (
    files.find(file, resource) ?? {
      ...resource,
      origin: { ...position, positionOf: () => position },
    }
  )
}

/** Files that resources were declared in, each read once for an explanation: one may hold thousands. */
export class DeclaredFiles {
  readonly #files = new Map<string, readonly Resource[]>()

  /** The resource as the file has it, where that still says the same. */
  find(file: string, wanted: Resource): Resource | undefined {
    const { namespace, name } = wanted.metadata
    return this.#read(file, namespace).find(
      ({ kind, metadata, spec }) =>
        kind === wanted.kind &&
        metadata.name === name &&
        metadata.namespace === namespace &&
        isDeepStrictEqual(spec, wanted.spec),
    )
  }

  #read(file: string, namespace: string): readonly Resource[] {
    const key = `${namespace} ${file}`
    let resources = this.#files.get(key)
    if (resources === undefined) {
      resources = parseFile(file, { namespace }).flatMap(({ resource }) => resource ?? [])
      this.#files.set(key, resources)
    }
    return resources
  }
}
