/** Rules of a whole VirtualService: hosts, gateways, delegates, SNI hosts, JWT claims. */
import { hostsOverlap, isHostSubset } from '../host-match.ts'
import { isIpAddress, isWildcardHostName } from '../schema/host-format.ts'
import { isClaimKey } from '../schema/http-format.ts'
import { entriesOf } from '../schema/rule.ts'
import { clip } from '../schema/shape.ts'
import type { Problem, Reading, Rule } from '../schema/shape.ts'
import { itemPath, keyPath } from '../schema/source-node.ts'
import { isForGatewaysOnly } from './gateway-name.ts'
import { checkNoFurtherDelegate } from './http-route-rule.ts'
import { reportUnusedRoutes } from './virtual-service-reach.ts'
import type { HttpMatchRequest, TlsMatchAttributes, VirtualServiceSpec } from './virtual-service.ts'

type Spec = Partial<VirtualServiceSpec>

/** Without hosts it is a delegate: routes for other VirtualServices to send requests to. */
const checkDelegate: Rule<VirtualServiceSpec> = (value, path, reading) => {
  if (reading.isPresent(`${path}.hosts`) && value.hosts?.length !== 0) return
  for (const name of ['gateways', 'tls', 'tcp'] as const) {
    if ((value[name]?.length ?? 0) === 0) continue
    reading.report(`${path}.${name}`, {
      message: `a delegate (a VirtualService without hosts) cannot have ${name}`,
      remedy: `Add hosts, or remove ${name}.`,
    })
  }
  checkNoFurtherDelegate(value.http, `${path}.http`, reading)
}

const checkHasRoutes: Rule<VirtualServiceSpec> = (value, path, reading) => {
  const isRouted = (['http', 'tls', 'tcp'] as const).some(
    (name) => reading.isPresent(`${path}.${name}`) && value[name]?.length !== 0,
  )
  if (isRouted) return
  reading.report(path, {
    message: 'must have one of http, tls, tcp',
    remedy: 'Add http with at least one route.',
  })
}

const checkHosts: Rule<VirtualServiceSpec> = (value, path, reading) => {
  const isGateway = isForGatewaysOnly(value.gateways)
  const isSni = [...entriesOf(value.tls)].some(([, route]) => (route.match?.length ?? 0) > 0)
  let areGood = true
  for (const [index, host] of entriesOf(value.hosts)) {
    const problem = hostProblem(host, isGateway, isSni)
    if (problem === undefined) continue
    reading.report(itemPath(`${path}.hosts`, index), problem)
    areGood &&= problem.severity === 'warning'
  }
  if (areGood) checkHostsApart(value, path, reading)
}

function hostProblem(host: string, isGateway: boolean, isSni: boolean): Problem | undefined {
  // Gateways of several networks route by names of this form.
  if (isGateway && isSni && /^outbound_\..+/.test(host)) return undefined
  if (isIpAddress(host)) return isGateway ? undefined : ipHost(host)
  if (!isWildcardHostName(host)) {
    return {
      message: `must be a host name (a wildcard only as its first label), got "${clip(host)}"`,
      remedy: 'Write a host such as reviews or *.example.com.',
    }
  }
  if (isGateway || host !== '*') return undefined
  return {
    message: 'host "*" is not allowed for the mesh',
    remedy: 'Name the hosts, or bind the VirtualService to a gateway.',
  }
}

function ipHost(host: string): Problem {
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `the address "${host}" as a host works at gateways only`,
    remedy: 'Name the host of a service.',
  }
}

function checkHostsApart(value: Spec, path: string, reading: Reading): void {
  const hosts = [...entriesOf(value.hosts)]
  for (const [index, host] of hosts) {
    const earlier = hosts.find(([other, name]) => other < index && hostsOverlap(name, host))
    if (earlier === undefined) continue
    reading.report(itemPath(`${path}.hosts`, index), {
      message: `host "${host}" is covered by host "${earlier[1]}" of the same VirtualService`,
      remedy: 'Remove one of the two.',
    })
  }
}

const checkSniHosts: Rule<VirtualServiceSpec> = (value, path, reading) => {
  for (const [index, route] of entriesOf(value.tls)) {
    for (const [place, match] of entriesOf(route.match)) {
      const matchPath = `${path}.tls[${String(index)}].match[${String(place)}]`
      checkSniHostsOf(match, matchPath, (host) => sniProblem(host, value), reading)
    }
  }
}

function checkSniHostsOf(
  ...[match, path, problemOf, reading]: [
    TlsMatchAttributes,
    string,
    (host: string) => Problem | undefined,
    Reading,
  ]
): void {
  for (const [index, host] of entriesOf(match.sniHosts)) {
    const problem = problemOf(host)
    if (problem !== undefined) reading.report(itemPath(`${path}.sniHosts`, index), problem)
  }
}

function sniProblem(host: string, value: Spec): Problem | undefined {
  if (isIpAddress(host)) {
    return {
      code: 'IST0133',
      severity: 'warning',
      message: `the address "${host}" cannot be an SNI host; most clients send none`,
      remedy: 'Use a host name.',
    }
  }
  const problem = hostProblem(host, true, isForGatewaysOnly(value.gateways))
  if (problem !== undefined) return problem
  const hosts = value.hosts ?? []
  if ([...entriesOf(hosts)].some(([, outer]) => isHostSubset(host, outer))) return undefined
  return {
    message: `SNI host "${host}" is none of the hosts of this VirtualService (${hosts.join(', ')})`,
    remedy: 'Add it to hosts, or correct it.',
  }
}

/** Routing by the claims of a token works at gateways, which verify the token first. */
const checkClaims: Rule<VirtualServiceSpec> = (value, path, reading) => {
  if (isForGatewaysOnly(value.gateways)) return
  for (const [index, route] of entriesOf(value.http)) {
    for (const [place, match] of entriesOf(route.match)) {
      const matchPath = `${path}.http[${String(index)}].match[${String(place)}]`
      for (const key of claimPaths(match, matchPath)) {
        reading.report(key, {
          message: 'routing by JWT claims needs a gateway; this VirtualService is for the mesh',
          remedy: 'Bind it to a gateway, or match another header.',
        })
      }
    }
  }
}

function claimPaths(match: HttpMatchRequest, path: string): string[] {
  return (['headers', 'withoutHeaders'] as const).flatMap((name) =>
    Object.keys(match[name] ?? {})
      .filter((key) => isClaimKey(key))
      .map((key) => keyPath(`${path}.${name}`, key)),
  )
}

export const virtualServiceRules: readonly Rule<VirtualServiceSpec>[] = [
  checkDelegate,
  checkHasRoutes,
  checkHosts,
  checkSniHosts,
  checkClaims,
  reportUnusedRoutes,
]
