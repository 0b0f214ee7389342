/**
 * What makes a resource itself: its key, the revision of its content, and its age.
 *
 * A revision is a digest of what the resource says, not of where it stands, so a comment added above it moves
 * its line and keeps its revision.
 */
import { createHash } from 'node:crypto'

import { resourceKey } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'

/** Key in a snapshot's `resources`. */
export function keyOf(resource: Resource): string {
  return resourceKey(groupOf(resource.apiVersion), resource.kind, resource.metadata)
}

/** `networking.istio.io` of `networking.istio.io/v1`; empty for the core group's `v1`. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? '' : apiVersion.slice(0, slash)
}

/** Equal for equal content, whatever the order of keys. */
export function contentRevision(resource: Resource): string {
  const { apiVersion, kind, metadata, spec } = resource
  const text = canonicalJson({ apiVersion, kind, metadata, spec })
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => compareText(a, b)))
  })
}

/**
 * Oldest first, then by name, then by namespace, as Istio decides which of two resources comes first. One
 * without a written creationTimestamp counts as younger than all that have one: Istio gives those the time of
 * first apply, which depends on the order in which files are read, and ours must not.
 */
export function compareAge(a: Resource, b: Resource): number {
  const [ageA, ageB] = [a.metadata.creationTimestampMs, b.metadata.creationTimestampMs]
  if (ageA !== ageB) return (ageA ?? Infinity) - (ageB ?? Infinity)
  return (
    compareText(a.metadata.name, b.metadata.name) ||
    compareText(a.metadata.namespace, b.metadata.namespace)
  )
}

/** By code unit, the same on every machine; `localeCompare` is not. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
