/**
 * Hosts that two VirtualServices of the mesh claim: the oldest is used, alone. As Istio's analyzer, each of them is
 * told. Where one speaks for a part of another's hosts and they are exported differently, Istio calls that a conflict
 * too; the more specific one applies then, so it is only noted.
 */
import { flatMapInSteps, type Steps } from '../../lib/steps.ts'
import type { Issue } from '../../model/issue.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import { issueOf } from '../finding.ts'
import { isWildcard, overlaps } from '../host-name.ts'
import type { VirtualService } from '../virtual-service-index.ts'

/** `all`: oldest first. */
export function* reportConflicts(all: readonly VirtualService[]): Steps<Issue[]> {
  const claims = all.flatMap((virtualService) =>
    virtualService.hosts.map((host) => ({ host, virtualService })),
  )
  const byHost = Map.groupBy(claims, ({ host }) => host)
  const wildcards = claims.filter(({ host }) => isWildcard(host))
  const ages = new Map(all.map((virtualService, age) => [virtualService, age]))
  const ageOf = (virtualService: VirtualService): number => ages.get(virtualService) ?? all.length
  return yield* flatMapInSteps(all, (virtualService) => {
    const issues = virtualService.hosts.flatMap((host) => {
      const others = (byHost.get(host) ?? []).map((claim) => claim.virtualService)
      const rival = others.find(
        (other) => other !== virtualService && seeEachOther(other, virtualService),
      )
      return rival === undefined
        ? []
        : claimed(virtualService, { host, rival, isFirst: ageOf(rival) < ageOf(virtualService) })
    })
    return issues.length > 0
      ? issues
      : overlapping(virtualService, { claims, wildcards }).slice(0, 1)
  })
}

interface Rivalry {
  readonly host: string
  readonly rival: VirtualService
  readonly isFirst: boolean
}

function claimed({ resource }: VirtualService, { host, rival, isFirst }: Rivalry): Issue {
  const used = isFirst ? 'which goes first and is used alone' : 'which comes later and is not used'
  return issueOf(resource, {
    code: 'IST0109',
    severity: 'error',
    path: pathOf(resource, host),
    message: `host "${host}" is also claimed by ${placeOf(rival.resource)}, ${used}`,
    remedy: 'Merge the routes into one VirtualService: the mesh does not.',
  })
}

interface Claim {
  readonly host: string
  readonly virtualService: VirtualService
}

interface Claims {
  readonly claims: readonly Claim[]
  readonly wildcards: readonly Claim[]
}

/** One is for all namespaces, the other for some, and a wildcard of one covers a host of the other. */
function overlapping(own: VirtualService, { claims, wildcards }: Claims): Issue[] {
  return own.hosts.flatMap((host) => {
    const other = (isWildcard(host) ? claims : wildcards).find(
      (claim) =>
        claim.virtualService !== own &&
        claim.host !== host &&
        overlaps(host, claim.host) &&
        isEverywhere(own) !== isEverywhere(claim.virtualService) &&
        seeEachOther(own, claim.virtualService),
    )
    if (other === undefined) return []
    return issueOf(own.resource, {
      code: 'IST0109',
      severity: 'info',
      path: pathOf(own.resource, host),
      message:
        `host "${host}" overlaps with "${other.host}" of ${placeOf(other.virtualService.resource)}; ` +
        'for each request the more specific of the two applies, alone',
      remedy: 'Nothing, if that is meant; else merge the routes into one VirtualService.',
    })
  })
}

function placeOf(resource: Resource): string {
  const { file, line } = resource.origin
  return `${describeResource(resource)} (${file}:${line})`
}

function pathOf({ spec }: VirtualService['resource'], host: string): string {
  const short = (written: string) => written === host || host.startsWith(`${written}.`)
  const index = (spec.hosts ?? []).findIndex((written) => short(written.toLowerCase()))
  return index < 0 ? 'spec.hosts' : `spec.hosts[${index}]`
}

function isEverywhere({ exportTo }: VirtualService): boolean {
  return exportTo.includes('*')
}

/** Whether some client sees both. */
function seeEachOther(left: VirtualService, right: VirtualService): boolean {
  const namespacesOf = ({ exportTo, resource }: VirtualService) =>
    exportTo.map((target) => (target === '.' ? resource.metadata.namespace : target))
  const [one, other] = [namespacesOf(left), namespacesOf(right)]
  return one.includes('*') || other.includes('*') || one.some((name) => other.includes(name))
}
