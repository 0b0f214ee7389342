/**
 * Reads what a joining sidecar says of itself: its node id and metadata (node-metadata.ts). Everything that is
 * wrong is found at once. Keys that we do not know are passed over: Istio's agent sends many.
 *
 * Bounds, because this comes from outside: length of the id, number and size of labels, length of lists.
 */
import { isIP } from 'node:net'

import type { Issue, Parsed } from '../model/issue.ts'
import { withNode } from './label.ts'
import type { MeshPort, NodeMetadata, Upstream } from './node-metadata.ts'

export const nodeLimits = {
  idLengthMax: 512,
  textLengthMax: 253,
  labelsMax: 64,
  labelKeyLengthMax: 317,
  labelValueLengthMax: 63,
  meshPortsMax: 128,
  upstreamsMax: 256,
}

export interface ParsedNode {
  readonly id: string
  /** Address of the workload, as its id says. */
  readonly address: string
  /** Name of this very instance: two replicas differ in it. */
  readonly instance: string
  readonly metadata: NodeMetadata
}

type Metadata = Readonly<Record<string, unknown>>

export function parseNode(id: string, metadata: Metadata): Parsed<ParsedNode> {
  const reader = new NodeReader(id.slice(0, nodeLimits.idLengthMax))
  const identity = readId(reader, id)
  const namespace = reader.text(metadata, 'NAMESPACE') ?? identity.namespace
  if (identity.namespace !== '' && namespace !== identity.namespace) {
    reader.fault(
      'NAMESPACE',
      `must be the id's namespace "${identity.namespace}", got "${namespace}"`,
    )
  }
  const group = reader.text(metadata, 'AUTO_REGISTER_GROUP')
  const parsed: NodeMetadata = {
    namespace,
    workloadName: reader.text(metadata, 'WORKLOAD_NAME') ?? group ?? identity.instance,
    serviceAccount: reader.text(metadata, 'SERVICE_ACCOUNT') ?? '',
    labels: withNode(readLabels(reader, metadata['LABELS']), reader.text(metadata, 'NODE_NAME')),
    clusterId: reader.text(metadata, 'CLUSTER_ID') ?? '',
    meshId: reader.text(metadata, 'MESH_ID') ?? '',
    network: reader.text(metadata, 'NETWORK') ?? '',
    autoRegisterGroup: group,
    meshPorts: readMeshPorts(reader, metadata['MESH_PORTS']),
    service: reader.text(metadata, 'SERVICE')?.toLowerCase(),
    httpProxyPort: reader.optionalPort('HTTP_PROXY_PORT', metadata['HTTP_PROXY_PORT']),
    upstreams: readUpstreams(reader, metadata['UPSTREAMS']),
    adminAddress: reader.text(metadata, 'ADMIN_ADDRESS'),
    bindAddress: readBindAddress(reader, metadata),
  }
  if (reader.issues.length > 0) return { ok: false, issues: reader.issues }
  const { address, instance } = identity
  return { ok: true, value: { id, address, instance, metadata: parsed }, warnings: [] }
}

interface NodeIdentity {
  readonly address: string
  readonly instance: string
  readonly namespace: string
}

function readId(reader: NodeReader, id: string): NodeIdentity {
  const shape = 'must be `sidecar~IP~name.namespace~namespace.svc.cluster.local`'
  const parts = id.split('~')
  const [kind = '', address = '', name = ''] = parts
  const dot = name.lastIndexOf('.')
  const [instance, namespace] = [name.slice(0, Math.max(dot, 0)), name.slice(dot + 1)]
  const nothing = { address: '', instance: '', namespace: '' }
  if (id.length > nodeLimits.idLengthMax) {
    reader.fault('id', `must have at most ${nodeLimits.idLengthMax} characters, got ${id.length}`)
    return nothing
  }
  if (parts.length !== 4 || instance === '' || namespace === '') {
    reader.fault('id', `${shape}, got "${id}"`)
    return nothing
  }
  if (kind !== 'sidecar') {
    reader.fault('id', `${shape}; proxies of type "${kind}" are not implemented yet`)
  }
  if (isIP(address) === 0) reader.fault('id', `${shape}; "${address}" is no IP address`)
  return { address, instance, namespace }
}

const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/

function readLabels(reader: NodeReader, value: unknown): Record<string, string> {
  const labels: Record<string, string> = {}
  if (value === undefined || value === null) return labels
  if (!isRecord(value)) {
    reader.fault('LABELS', `must be a map of texts, got ${describe(value)}`)
    return labels
  }
  const entries = Object.entries(value)
  if (entries.length > nodeLimits.labelsMax) {
    reader.fault(
      'LABELS',
      `must have at most ${nodeLimits.labelsMax} entries, got ${entries.length}`,
    )
    return labels
  }
  for (const [key, text] of entries) {
    const path = `LABELS[${key.slice(0, nodeLimits.labelKeyLengthMax)}]`
    if (key.length > nodeLimits.labelKeyLengthMax || !labelKey.test(key)) {
      reader.fault(path, 'is no valid label key')
    } else if (typeof text !== 'string') {
      reader.fault(path, `must be text, got ${describe(text)}`)
    } else if (text.length > nodeLimits.labelValueLengthMax || !labelValue.test(text)) {
      const [max, got] = [nodeLimits.labelValueLengthMax, text.slice(0, 80)]
      reader.fault(path, `must be letters, digits, -, _ and . (${max} at most), got "${got}"`)
    } else {
      labels[key] = text
    }
  }
  return labels
}

function readMeshPorts(reader: NodeReader, value: unknown): readonly MeshPort[] {
  const ports: MeshPort[] = []
  for (const [index, item] of reader.list('MESH_PORTS', value, nodeLimits.meshPortsMax).entries()) {
    const path = `MESH_PORTS[${index}]`
    const appPort = reader.port(`${path}.appPort`, item['appPort'])
    const meshPort = reader.port(`${path}.meshPort`, item['meshPort'])
    const servicePort = reader.optionalPort(`${path}.servicePort`, item['servicePort'])
    if (ports.some((port) => port.meshPort === meshPort)) {
      reader.fault(`${path}.meshPort`, `is taken by another entry: ${meshPort}`)
    }
    ports.push({ name: reader.text(item, 'name', path) ?? '', servicePort, appPort, meshPort })
  }
  return ports
}

function readUpstreams(reader: NodeReader, value: unknown): readonly Upstream[] {
  const items = reader.list('UPSTREAMS', value, nodeLimits.upstreamsMax)
  return [...items.entries()].map(([index, item]) => {
    const path = `UPSTREAMS[${index}]`
    const host = reader.text(item, 'host', path)
    if (host === undefined) reader.fault(`${path}.host`, 'is missing')
    const port = reader.port(`${path}.port`, item['port'])
    return {
      host: host ?? '',
      port,
      localPort: reader.port(`${path}.localPort`, item['localPort']),
    }
  })
}

function readBindAddress(reader: NodeReader, metadata: Metadata): string {
  const address = reader.text(metadata, 'BIND_ADDRESS') ?? '0.0.0.0'
  if (isIP(address) === 0) reader.fault('BIND_ADDRESS', `must be an IP address, got "${address}"`)
  return address
}

/** Reads values of a struct and collects what is wrong with them. */
class NodeReader {
  readonly issues: Issue[] = []
  readonly #node: string

  constructor(node: string) {
    this.#node = node
  }

  fault(path: string, message: string): void {
    this.issues.push({
      code: 'TUL0303',
      severity: 'error',
      file: '',
      line: 0,
      column: 0,
      resource: this.#node,
      path: path === 'id' ? 'node.id' : `node.metadata.${path}`,
      message,
      remedy:
        "Correct it in the agent's configuration, or in the bootstrap file that the proxy reads.",
    })
  }

  /** Empty text counts as absent, as Istio's agent sends it. */
  text(from: Metadata, key: string, parent = ''): string | undefined {
    const value = from[key]
    const path = parent === '' ? key : `${parent}.${key}`
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value !== 'string') this.fault(path, `must be text, got ${describe(value)}`)
    else if (value.length > nodeLimits.textLengthMax) {
      this.fault(path, `must have at most ${nodeLimits.textLengthMax} characters`)
    } else return value
    return undefined
  }

  port(path: string, value: unknown): number {
    const port = this.optionalPort(path, value)
    if (value === undefined || value === null) this.fault(path, 'is missing')
    return port ?? 0
  }

  optionalPort(path: string, value: unknown): number | undefined {
    if (value === undefined || value === null) return undefined
    // Istio's agent sends numbers of its environment as text.
    const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value
    if (typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536) return port
    this.fault(path, `must be a port from 1 to 65535, got ${describe(value)}`)
    return undefined
  }

  list(path: string, value: unknown, max: number): readonly Metadata[] {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) {
      this.fault(path, `must be a list, got ${describe(value)}`)
      return []
    }
    if (value.length > max) {
      this.fault(path, `must have at most ${max} entries, got ${value.length}`)
      return []
    }
    const records = value.filter(isRecord)
    if (records.length < value.length) this.fault(path, 'must hold maps only')
    return records
  }
}

function isRecord(value: unknown): value is Metadata {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? typeof value
}
