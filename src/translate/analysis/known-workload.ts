/**
 * Workloads that anybody knows of: those that have joined, those behind WorkloadEntries and ServiceEntries, and what
 * files for a cluster declare. Findings about what runs are made only when some are known: a folder of routes without
 * a word about workloads is not wrong.
 */
import type { World } from '../world.ts'

export interface KnownWorkload {
  /** For messages: `default/reviews-v1`. */
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/** Of a cluster's manifests: a Deployment, a Pod and the like, by the labels of its pods. */
export interface DeclaredWorkload extends KnownWorkload {
  readonly kind: string
  readonly file: string
  readonly line: number
  readonly column: number
}

export type Labels = Readonly<Record<string, string>>

export function knownWorkloads(
  { input: { registry } }: Pick<World, 'input'>,
  declared: readonly DeclaredWorkload[],
): readonly KnownWorkload[] {
  const known: KnownWorkload[] = []
  // A workload has one set of labels for all of its ports.
  const seen = new Set<Labels>()
  const add = (workload: KnownWorkload) => {
    if (seen.has(workload.labels)) return
    seen.add(workload.labels)
    known.push(workload)
  }
  for (const { name, namespace, labels } of registry.workloads.values()) {
    add({ name: `${namespace}/${name}`, namespace, labels })
  }
  for (const endpoints of registry.endpoints.values()) {
    for (const { workload, namespace, labels } of endpoints) {
      // The address of a host outside the mesh is no workload.
      if (workload !== '') add({ name: `${namespace}/${workload}`, namespace, labels })
    }
  }
  return [...known, ...declared]
}

export function selects(selector: Labels, { labels }: Pick<KnownWorkload, 'labels'>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}

export function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
