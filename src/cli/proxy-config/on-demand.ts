/** Sidecars that fetch virtual hosts and clusters when they first call them (docs/reference/on-demand.md). */
import type { FirstCall } from '../../api/view.ts'
import { list, optionalObject, type Json, type ProxyResources } from './config-dump.ts'

/** A table of routes says where its virtual hosts come from. */
export function isOnDemand({ routes }: Pick<ProxyResources, 'routes'>): boolean {
  return routes.some(isFetched)
}

function isFetched(routes: Json): boolean {
  return optionalObject(routes['vhds']) !== undefined
}

/** What the sidecar has, and what a first call would bring. */
export function withFirstCall(resources: ProxyResources, given: FirstCall): ProxyResources {
  return {
    ...resources,
    listeners: joined(resources.listeners, list(given.listeners), 'name'),
    clusters: joined(resources.clusters, list(given.clusters), 'name'),
    assignments: joined(resources.assignments, list(given.assignments), 'cluster_name'),
    routes: resources.routes.map((routes) => {
      if (!isFetched(routes)) return routes
      const hosts = joined(list(routes['virtual_hosts']), list(given.virtualHosts), 'name')
      return { ...routes, virtual_hosts: hosts }
    }),
  }
}

/** What comes takes the place of what has its name. */
function joined(have: readonly Json[], given: readonly Json[], key: string): readonly Json[] {
  const names = new Set(given.map((item) => item[key]))
  return [...have.filter((item) => !names.has(item[key])), ...given]
}

/** Nothing else. */
export function resourcesOfFirstCall(given: FirstCall): ProxyResources {
  return {
    bootstrap: undefined,
    listeners: list(given.listeners),
    routes: [{ name: 'http_proxy', virtual_hosts: list(given.virtualHosts) }],
    clusters: list(given.clusters),
    assignments: list(given.assignments),
    secrets: undefined,
    hosts: undefined,
  }
}
