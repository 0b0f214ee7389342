/**
 * Faults that somebody injects for a while (`tulle fault add`), beside the configuration: laid over the routes of a
 * host, for the clients that they are meant for.
 *
 * Of several for the same request the newest counts. One with conditions on headers stands before the route that it is
 * laid over, so that all other requests meet what the route says.
 */
import type { Workload } from '../registry/service.ts'
import { resetMark } from '../xds/own-metadata.ts'
import { Route } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { HTTPFault } from '../xds/proto/generated/envoy/extensions/filters/http/fault/v3/fault.ts'
import type { InjectedFault } from './input.ts'
import { packed } from './message.ts'
import { faultFields, faultFilterName, faultTypeName } from './route-filter.ts'
import { isSelected, isSubset, workloadKey, type Scope } from './scope.ts'

type Labels = Readonly<Record<string, string>>

/** What a client may be called by; one of them has to fit. */
export function sourceSelectors({ from }: Pick<InjectedFault, 'from'>): readonly Labels[] {
  if (from === undefined) return []
  return [{ [workloadKey]: from }, { app: from }, { 'service.istio.io/canonical-name': from }]
}

/** Whether a workload is among the clients that a fault is for. */
export function isSource(
  fault: Pick<InjectedFault, 'from'>,
  { name, labels }: Pick<Workload, 'name' | 'labels'>,
): boolean {
  const own = { ...labels, [workloadKey]: name }
  const selectors = sourceSelectors(fault)
  return selectors.length === 0 || selectors.some((wanted) => isSubset(wanted, own))
}

/** Those for a host that the clients of a scope meet, newest first as in the input. */
export function faultsFor(
  faults: readonly InjectedFault[] | undefined,
  scope: Scope,
  host: string,
): readonly InjectedFault[] {
  if (faults === undefined || faults.length === 0) return none
  return faults.filter((fault) => {
    if (fault.host !== host) return false
    const selectors = sourceSelectors(fault)
    return selectors.length === 0 || selectors.some((labels) => isSelected(scope, labels))
  })
}

const none: readonly InjectedFault[] = []

export function injectFaults(
  routes: readonly Route[],
  faults: readonly InjectedFault[],
): readonly Route[] {
  return faults.length === 0 ? routes : routes.flatMap((route) => injectInto(route, faults))
}

function injectInto(route: Route, faults: readonly InjectedFault[]): Route[] {
  const laid: Route[] = []
  for (const fault of faults) {
    laid.push(withFault(route, fault))
    // It takes every request of the route.
    if (Object.keys(fault.headers).length === 0) return laid
  }
  return [...laid, route]
}

function withFault(route: Route, { fault, headers, isReset }: InjectedFault): Route {
  const conditions = Object.entries(headers).map(([name, exact]) => ({
    name,
    headerMatchSpecifier: {
      $case: 'stringMatch' as const,
      value: { matchPattern: { $case: 'exact' as const, value: exact } },
    },
  }))
  return Route.fromPartial({
    ...route,
    match: { ...route.match, headers: [...(route.match?.headers ?? []), ...conditions] },
    typedPerFilterConfig: {
      ...route.typedPerFilterConfig,
      [faultFilterName]: packed(HTTPFault, faultTypeName, {
        ...faultFields(fault),
        ...(isReset && { filterMetadata: { [resetMark.key]: resetMark.value } }),
      }),
    },
  })
}
