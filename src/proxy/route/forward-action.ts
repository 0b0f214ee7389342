/** Envoy's `RouteAction`, compiled: where a request goes and under which limits. */
import {
  type RouteAction as RouteActionMessage,
  RouteAction_ClusterNotFoundResponseCode as NotFoundCode,
  type VirtualHost,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { accepted } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { checkHeaderText, octetsOf } from '../config/header-text.ts'
import { checkEnum, durationMs } from '../config/message-value.ts'
import type { FilterConfigs } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRetryPolicy } from '../resilience/compile-retry-policy.ts'
import type { RetryPolicy } from '../resilience/retry-policy.ts'
import { compileHashPolicies } from './hash-policy.ts'
import { requestReader } from './header-matcher.ts'
import { compileInternalRedirect } from './internal-redirect.ts'
import { compileMirrors } from './mirror-policy.ts'
import { compilePathRewrite } from './path-rewrite.ts'
import { pathOnly } from './query-matcher.ts'
import { compileRegexRewrite } from './regex-rewrite.ts'
import type { RouteCompiler } from './route-compiler.ts'
import type { MatchedPart } from './route-matcher.ts'
import type { ForwardAction, GrpcTimeout, MirrorPolicy, RouteAction } from './route-table.ts'
import { compileClusters } from './weighted-cluster.ts'

/** What a route takes from its virtual host. */
export interface HostDefaults {
  readonly retryPolicy: RetryPolicy | undefined
  readonly fields: Pick<ForwardAction, HostField>
}

type HostField =
  | 'includeAttemptCount'
  | 'includeAttemptCountInResponse'
  | 'includeTimeoutRetryHeader'
  | 'requestBufferLimitBytes'
  | 'mirrors'

/** `tableMirrors` are the table's, which count where the host has none. */
export function compileHostDefaults(
  host: VirtualHost,
  tableMirrors: readonly MirrorPolicy[] | undefined,
  report: FieldReport,
): HostDefaults {
  const { retryPolicy, perRequestBufferLimitBytes } = host
  const own = compileMirrors(host.requestMirrorPolicies, at(report, 'request_mirror_policies'))
  const mirrors = own ?? tableMirrors
  return {
    retryPolicy: retryPolicy && compileRetryPolicy(retryPolicy, at(report, 'retry_policy')),
    fields: {
      includeAttemptCount: host.includeRequestAttemptCount,
      includeAttemptCountInResponse: host.includeAttemptCountInResponse,
      includeTimeoutRetryHeader: host.includeIsTimeoutRetryHeader,
      ...(mirrors && { mirrors }),
      ...(perRequestBufferLimitBytes !== undefined && {
        requestBufferLimitBytes: perRequestBufferLimitBytes,
      }),
    },
  }
}

export interface ForwardContext {
  readonly compiler: RouteCompiler
  readonly host: HostDefaults
  readonly matched: MatchedPart
  /** Of the route, for the parts of a split to inherit. */
  readonly filterConfigs: FilterConfigs | undefined
  /** The route's own, over the virtual host's. */
  readonly requestBufferLimitBytes: number | undefined
}

const timeoutDefaultMs = 15_000

export function compileForward(
  action: RouteActionMessage,
  context: ForwardContext,
  report: FieldReport,
): RouteAction {
  const { host, requestBufferLimitBytes } = context
  const upgrades = compileUpgrades(action, report)
  const hashRequest = compileHashPolicies(action.hashPolicy, at(report, 'hash_policy'))
  checkEnum(
    action.clusterNotFoundResponseCode,
    NotFoundCode,
    at(report, 'cluster_not_found_response_code'),
  )
  const retryPolicy =
    action.retryPolicy === undefined
      ? host.retryPolicy
      : compileRetryPolicy(action.retryPolicy, at(report, 'retry_policy'))
  const mirrors = compileMirrors(
    action.requestMirrorPolicies,
    at(report, 'request_mirror_policies'),
  )
  const internalRedirect = compileInternalRedirect(action, report)
  const forward: ForwardAction = {
    ...host.fields,
    ...(requestBufferLimitBytes !== undefined && { requestBufferLimitBytes }),
    ...compileTimeouts(action, report),
    ...compileAuthority(action, report),
    ...(mirrors && { mirrors }),
    pickCluster: compileClusters(action, context, report),
    clusterNotFoundStatus: notFoundStatuses[action.clusterNotFoundResponseCode] ?? 503,
    retryPolicy,
    rewritePath: compilePathRewrite(action, context.matched, report),
    ...(internalRedirect && { internalRedirect }),
    upgrades: upgrades.allowed,
    refusedUpgrades: upgrades.refused,
    ...(hashRequest !== undefined && { hashRequest }),
  }
  return { kind: upgrades.endsConnect ? 'connect' : 'forward', forward }
}

const notFoundStatuses: Readonly<Record<number, number>> = {
  [NotFoundCode.SERVICE_UNAVAILABLE]: 503,
  [NotFoundCode.NOT_FOUND]: 404,
  [NotFoundCode.INTERNAL_SERVER_ERROR]: 500,
}

type TimeoutFields = Pick<
  ForwardAction,
  'timeoutMs' | 'idleTimeoutMs' | 'maxStreamDurationMs' | 'grpcTimeout' | 'limitsStream'
>

function compileTimeouts(action: RouteActionMessage, report: FieldReport): TimeoutFields {
  const timeoutMs = durationMs(
    action.timeout,
    { absentMs: timeoutDefaultMs },
    at(report, 'timeout'),
  )
  const idleTimeoutMs =
    action.idleTimeout && durationMs(action.idleTimeout, zero, at(report, 'idle_timeout'))
  const duration = action.maxStreamDuration
  const grpcTimeout = compileGrpcTimeout(action, report)
  const here = at(report, 'max_stream_duration', 'max_stream_duration')
  return {
    // Envoy: with a stream duration set, the route's own time-out does not apply.
    timeoutMs: duration === undefined ? timeoutMs : 0,
    idleTimeoutMs,
    ...(duration !== undefined && { limitsStream: true }),
    ...(duration?.maxStreamDuration !== undefined && {
      maxStreamDurationMs: durationMs(duration.maxStreamDuration, zero, here),
    }),
    ...(grpcTimeout && { grpcTimeout }),
  }
}

const zero = { absentMs: 0 } as const

function compileGrpcTimeout(
  action: RouteActionMessage,
  report: FieldReport,
): GrpcTimeout | undefined {
  const duration = action.maxStreamDuration
  if (duration !== undefined) {
    if (duration.grpcTimeoutHeaderMax === undefined) return undefined
    const here = at(report, 'max_stream_duration')
    return {
      limits: 'stream',
      maxMs: durationMs(duration.grpcTimeoutHeaderMax, zero, at(here, 'grpc_timeout_header_max')),
      offsetMs: durationMs(
        duration.grpcTimeoutHeaderOffset,
        zero,
        at(here, 'grpc_timeout_header_offset'),
      ),
    }
  }
  if (action.maxGrpcTimeout === undefined) return undefined
  return {
    limits: 'request',
    maxMs: durationMs(action.maxGrpcTimeout, zero, at(report, 'max_grpc_timeout')),
    offsetMs: durationMs(action.grpcTimeoutOffset, zero, at(report, 'grpc_timeout_offset')),
  }
}

type AuthorityFields = Pick<
  ForwardAction,
  'rewriteAuthority' | 'rewriteAuthorityFrom' | 'autoHostRewrite' | 'appendForwardedHost'
>

function compileAuthority(action: RouteActionMessage, report: FieldReport): AuthorityFields {
  const specifier = action.hostRewriteSpecifier
  const appendForwardedHost = action.appendXForwardedHost
  const none = { rewriteAuthority: undefined, appendForwardedHost }
  switch (specifier?.$case) {
    case undefined:
      return none
    case 'hostRewriteLiteral':
      checkHeaderText(specifier.value, at(report, 'host_rewrite_literal'))
      return { rewriteAuthority: octetsOf(specifier.value) || undefined, appendForwardedHost }
    case 'autoHostRewrite':
      return { ...none, autoHostRewrite: specifier.value === true }
    case 'hostRewriteHeader': {
      const name = specifier.value.toLowerCase()
      checkHeaderText(name, at(report, 'host_rewrite_header'))
      const read =
        name.startsWith(':') || name === 'host'
          ? requestReader(name)
          : (head: RequestHead) => head.headers.get(name)
      return { ...none, rewriteAuthorityFrom: (head) => read(head) || undefined }
    }
    case 'hostRewritePathRegex': {
      const here = at(report, 'host_rewrite_path_regex')
      const replace = accepted(compileRegexRewrite(specifier.value), here)
      if (replace === undefined) return none
      return { ...none, rewriteAuthorityFrom: (head) => replace(pathOnly(head.path)) || undefined }
    }
    case 'hostRewrite': // The table of fields has refused it.
    default:
      return none
  }
}

interface Upgrades {
  readonly allowed: ReadonlySet<string>
  readonly refused: ReadonlySet<string>
  /** CONNECT has a `connect_config`: the tunnel ends here. */
  readonly endsConnect: boolean
}

function compileUpgrades(action: RouteActionMessage, report: FieldReport): Upgrades {
  const allowed = new Set<string>()
  const refused = new Set<string>()
  let endsConnect = false
  action.upgradeConfigs.forEach((config, index) => {
    const here = at(report, 'upgrade_configs', index)
    const type = config.upgradeType.toLowerCase()
    if (type === '') refuse(at(here, 'upgrade_type'), 'is required')
    checkHeaderText(type, at(here, 'upgrade_type'))
    if (allowed.has(type) || refused.has(type)) {
      refuse(here, `duplicate upgrade ${JSON.stringify(config.upgradeType)}`)
    }
    const isAllowed = config.enabled !== false
    ;(isAllowed ? allowed : refused).add(type)
    if (config.connectConfig === undefined) return
    if (type !== 'connect')
      refuse(at(here, 'connect_config'), 'belongs to the upgrade CONNECT only')
    endsConnect ||= isAllowed
  })
  return { allowed, refused, endsConnect }
}
