/** Reads the one `Mesh` of a mesh file, or says with file and line why it cannot be used. */
import { MeshError } from '../../lib/mesh-error.ts'
import type { Issue } from '../../model/issue.ts'
import type { MeshSpec } from '../../model/mesh/mesh.ts'
import { parseFile } from '../../model/parse.ts'
import type { Resource } from '../../model/resource.ts'
import { issuesText } from '../issue-text.ts'
import type { Terminal } from '../terminal.ts'

export interface MeshFile {
  readonly path: string
  readonly name: string
  readonly namespace: string
  readonly spec: MeshSpec
  /** `tulle.dev/next` among them: what to try, printed when the mesh is up. */
  readonly annotations: Readonly<Record<string, string>>
  readonly warnings: readonly Issue[]
}

export function readMeshFile(path: string, terminal: Terminal, cwd: string): MeshFile {
  const documents = parseFile(path)
  const issues = documents.flatMap((document) => document.issues)
  const reject = (message: string, remedy: string) =>
    new MeshError('MESH_CONFIG_REJECTED', message, { remedy })
  if (issues.some(({ severity }) => severity === 'error')) {
    terminal.writeError(issuesText(issues, { terminal, cwd }))
    throw reject(`the mesh file ${path} has errors`, 'correct the lines above')
  }
  const meshes = documents.flatMap(({ resource }) => (isMesh(resource) ? [resource] : []))
  const [mesh, ...others] = meshes
  if (mesh === undefined) {
    throw reject(
      `${path} has no resource of kind Mesh`,
      'name a mesh file; tulle analyze takes others',
    )
  }
  if (others.length > 0) {
    throw reject(`${path} has ${meshes.length} resources of kind Mesh`, 'keep one in a file')
  }
  return {
    path,
    name: mesh.metadata.name,
    namespace: mesh.metadata.namespace,
    spec: mesh.spec,
    annotations: mesh.metadata.annotations,
    warnings: issues,
  }
}

/** The kind decides what the spec is: the parser has checked it. */
export function isMesh(resource: Resource | undefined): resource is Resource<MeshSpec> {
  return resource?.kind === 'Mesh' && resource.apiVersion.startsWith('tulle.dev/')
}
