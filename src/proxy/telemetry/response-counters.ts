/**
 * Responses by class and by code, as Envoy counts them in several places of its tree: `…upstream_rq_2xx`,
 * `…upstream_rq_200`, `…upstream_rq_completed`. A counter is made when it first counts, as there.
 */
import type { Counter, ResponseCounters } from './cluster-stats.ts'
import type { StatScope } from './stats-registry.ts'

export interface ResponseNames {
  /** `upstream_rq`, or the path to it: `external.upstream_rq`. */
  readonly name: string
  /** Whether single codes are counted besides their classes. */
  readonly hasCodes: boolean
}

export function responseCounters(
  scope: StatScope,
  { name, hasCodes }: ResponseNames,
): ResponseCounters {
  const classes: (Counter | undefined)[] = []
  const codes: (Counter | undefined)[] = []
  let completed: Counter | undefined
  return {
    count: (status) => (status === undefined ? completed : codes[status])?.value() ?? 0,
    add(status) {
      completed ??= scope.counter(`${name}_completed`)
      completed.add(1)
      const digit = (status / 100) | 0
      // There is no class 0: nothing was answered.
      if (digit < 1 || digit > 5) return
      const ofClass = (classes[digit] ??= scope.counter(`${name}_${digit}xx`, {
        metric: `${name}_xx`,
        labels: [['envoy_response_code_class', String(digit)]],
      }))
      ofClass.add(1)
      if (!hasCodes) return
      const ofCode = (codes[status] ??= scope.counter(`${name}_${status}`, {
        metric: name,
        labels: [['envoy_response_code', String(status)]],
      }))
      ofCode.add(1)
    },
  }
}
