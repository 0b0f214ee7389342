/** Kubernetes' discovery documents: how a client such as kubectl learns which kinds there are. */
import { apiGroups, apiKinds, versionsOfGroup, type ApiKind } from './api-kind.ts'

export interface DiscoveryOptions {
  readonly version: string
  readonly isWritable: boolean
}

/** The document at a path; undefined when there is none. */
export function discoveryDocument(path: string, options: DiscoveryOptions): unknown {
  const parts = path.split('/').filter((part) => part !== '')
  const [root, first, second, ...rest] = parts
  if (rest.length > 0) return undefined
  if (root === 'version' && first === undefined) return versionDocument(options.version)
  if (root === 'api') return coreDocument(first, second, options)
  if (root !== 'apis') return undefined
  if (first === undefined) return { ...head('APIGroupList'), groups: apiGroups().map(group) }
  if (!apiGroups().includes(first)) return undefined
  if (second === undefined) return { ...head('APIGroup'), ...group(first) }
  return resourceList(first, second, options)
}

function coreDocument(
  version: string | undefined,
  more: string | undefined,
  options: DiscoveryOptions,
): unknown {
  if (version === undefined) {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  }
  return more === undefined ? resourceList('', version, options) : undefined
}

function head(kind: string) {
  return { kind, apiVersion: 'v1' }
}

function group(name: string) {
  const versions = versionsOfGroup(name).map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }))
  return { name, versions, preferredVersion: versions[0] }
}

function resourceList(groupName: string, version: string, options: DiscoveryOptions): unknown {
  const kinds = apiKinds.filter(
    (kind) => kind.group === groupName && kind.versions.includes(version),
  )
  if (kinds.length === 0) return undefined
  const groupVersion = groupName === '' ? version : `${groupName}/${version}`
  const resources = kinds.map((kind) => resource(kind, options))
  return { ...head('APIResourceList'), groupVersion, resources }
}

function resource(kind: ApiKind, { isWritable }: DiscoveryOptions) {
  const reads = ['get', 'list', 'watch']
  const writes = ['create', 'delete', 'patch', 'update']
  return {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.isNamespaced,
    kind: kind.kind,
    verbs: isWritable && kind.view === undefined ? [...reads, ...writes].sort() : reads,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
  }
}

/** Kubernetes' version whose API this follows; the git version says who really answers. */
function versionDocument(version: string) {
  return {
    major: '1',
    minor: '34',
    gitVersion: `v1.34.0+tulle-${version}`,
    platform: `${process.platform}/${process.arch}`,
  }
}
