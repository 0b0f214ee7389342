/** Where a route leads: host, subset, port, and weights among several destinations. */
import { port } from '../schema/field-shape.ts'
import { hostLabel, wildcardHostName } from '../schema/host-format.ts'
import { entriesOf } from '../schema/rule.ts'
import { int, int32Max, list, object, refine, required, text, uint32Max } from '../schema/shape.ts'
import type { Check, Refinement, Shape } from '../schema/shape.ts'
import { headers } from './header-shape.ts'
import type {
  Destination,
  HttpRouteDestination,
  PortSelector,
  RouteDestination,
} from './virtual-service.ts'

const checkHost: Check<string> = (host) =>
  host === '*'
    ? { message: 'a destination cannot be "*"', remedy: 'Name the host of a service.' }
    : wildcardHostName(host)

export function portSelector(): Shape<PortSelector> {
  return object<PortSelector>({ number: required(port()) })
}

export function destination(): Shape<Destination> {
  return object<Destination>({
    host: required(text(checkHost)),
    subset: text(checkSubset),
    port: portSelector(),
  })
}

/** An empty subset is none, as in protobuf. */
const checkSubset: Check<string> = (value) => (value === '' ? undefined : hostLabel(value))

const weight = (): Shape<number> => int({ min: 0, max: int32Max })

export function httpRouteDestinations(): Shape<readonly HttpRouteDestination[]> {
  return refine(
    list(
      object<HttpRouteDestination>({
        destination: required(destination()),
        weight: weight(),
        headers: headers(),
      }),
    ),
    checkWeights,
  )
}

export function routeDestinations(): Shape<readonly RouteDestination[]> {
  return refine(
    list(object<RouteDestination>({ destination: required(destination()), weight: weight() })),
    checkWeights,
  )
}

/** Weights are a ratio: their sum need not be 100, but several destinations must not all weigh nothing. */
const checkWeights: Refinement<readonly { readonly weight?: number }[]> = (
  routes,
  path,
  reading,
) => {
  const entries = [...entriesOf(routes)]
  if (routes.length < 2 || entries.length < routes.length) return
  const total = entries.reduce((sum, [, entry]) => sum + (entry.weight ?? 0), 0)
  if (total > 0 && total <= uint32Max) return
  const given = entries.some(([, entry]) => entry.weight !== undefined)
  reading.report(path, {
    message:
      total > 0
        ? `weights must sum to at most ${String(uint32Max)}, got ${String(total)}`
        : `weights of several destinations must sum to more than 0, got ${given ? '0' : 'none'}`,
    remedy: 'Give each destination a weight, for example 90 and 10.',
  })
}
