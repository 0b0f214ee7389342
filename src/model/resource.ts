/**
 * A configuration resource in memory: Kubernetes' envelope around a typed spec, and where it was written.
 */

export interface ResourceMetadata {
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Milliseconds since the epoch, from metadata.creationTimestamp; undefined when not written. */
  readonly creationTimestampMs: number | undefined
}

/** Where a resource, and each of its fields, stands in its file. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column: number
}

export interface ResourceOrigin extends SourcePosition {
  /** Position of a field by path (`spec.http[0].route[1]`); of its nearest parent when it is absent. */
  positionOf(path: string): SourcePosition
}

export interface Resource<Spec = unknown> {
  /** As written: `networking.istio.io/v1alpha3`. */
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ResourceMetadata
  readonly spec: Spec
  readonly origin: ResourceOrigin
}

/** `VirtualService default/reviews`: how messages name a resource. */
export function describeResource(resource: Resource): string {
  return `${resource.kind} ${resource.metadata.namespace}/${resource.metadata.name}`
}

/** Key that is unique in a mesh. Versions of one kind are one resource. */
export function resourceKey(
  group: string,
  kind: string,
  metadata: { namespace: string; name: string },
): string {
  return `${group}/${kind}/${metadata.namespace}/${metadata.name}`
}
