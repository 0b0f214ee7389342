/** Network filters that let connections in: `connection_limit` and `local_ratelimit`. */
import { typeNameOf } from '../../xds/any.ts'
import { ConnectionLimit } from '../../xds/proto/generated/envoy/extensions/filters/network/connection_limit/v3/connection_limit.ts'
import { LocalRateLimit } from '../../xds/proto/generated/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { TokenBucket, compileTokenBucket, tokenBucketRule } from '../filter/token-bucket.ts'
import { type ConnectionGate, createCeiling, createRateGate } from '../listener/connection-gate.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  refusedField,
  used,
} from './field-rule.ts'
import type { Opener } from './listener-plan.ts'
import { decodeTyped, durationMs } from './message-value.ts'

/** A flag that is off by default can only be switched off for good: there is no runtime. */
const enabled = used({
  type: 'envoy.config.core.v3.RuntimeFeatureFlag',
  fields: {
    defaultValue: used(),
    runtimeKey: ignored('there is no runtime; the default counts'),
  },
})

export const connectionLimitRule: MessageRule = {
  type: 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
  fields: { statPrefix: used(), maxConnections: used(), delay: used(), runtimeEnabled: enabled },
}

export const networkRateLimitRule: MessageRule = {
  type: 'envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit',
  fields: {
    statPrefix: used(),
    tokenBucket: used(tokenBucketRule),
    runtimeEnabled: enabled,
    shareKey: refusedField('sharing a bucket between filter chains is not implemented'),
  },
}

type CompileGate = (any: Any, report: FieldReport) => Opener<ConnectionGate> | undefined

const gates: Readonly<Record<string, CompileGate>> = {
  [connectionLimitRule.type]: compileConnectionLimit,
  [networkRateLimitRule.type]: compileRateLimit,
}

export function isGate(any: Any | undefined): boolean {
  return any !== undefined && gates[typeNameOf(any.typeUrl)] !== undefined
}

export function compileGate(any: Any, report: FieldReport): Opener<ConnectionGate> | undefined {
  return gates[typeNameOf(any.typeUrl)]?.(any, report)
}

function compileConnectionLimit(any: Any, report: FieldReport): Opener<ConnectionGate> | undefined {
  const message = decodeTyped(any, ConnectionLimit, report)
  if (message === undefined) return undefined
  checkFields(message, connectionLimitRule, report)
  const { statPrefix, maxConnections: connectionsMax = 0 } = message
  checkPrefix(statPrefix, report)
  if (connectionsMax < 1) {
    const here = at(report, 'max_connections')
    refuse(here, `value must be greater than or equal to 1, got ${connectionsMax}`)
  }
  const delayMs = durationMs(message.delay, { absentMs: 0 }, at(report, 'delay'))
  if (message.runtimeEnabled?.defaultValue === false) return undefined
  return ({ stats }) => {
    const scope = stats.scope({
      path: `connection_limit.${statPrefix}`,
      metric: 'envoy_connection_limit',
      labels: [['envoy_connection_limit_prefix', statPrefix]],
    })
    const limited = scope.counter('limited_connections')
    const active = scope.gauge('active_connections')
    const value = createCeiling({ connectionsMax, delayMs, limited, active })
    return { value, close: () => scope.close() }
  }
}

function compileRateLimit(any: Any, report: FieldReport): Opener<ConnectionGate> | undefined {
  const message = decodeTyped(any, LocalRateLimit, report)
  if (message === undefined) return undefined
  checkFields(message, networkRateLimitRule, report)
  const { statPrefix, tokenBucket } = message
  checkPrefix(statPrefix, report)
  if (tokenBucket === undefined) {
    refuse(at(report, 'token_bucket'), 'is required')
    return undefined
  }
  const rate = compileTokenBucket(tokenBucket, at(report, 'token_bucket'))
  if (message.runtimeEnabled?.defaultValue === false) return undefined
  return ({ stats, clock }) => {
    const scope = stats.scope({
      path: `local_rate_limit.${statPrefix}`,
      metric: 'envoy_local_rate_limit',
      labels: [['envoy_local_network_ratelimit_prefix', statPrefix]],
    })
    const bucket = new TokenBucket(rate, clock)
    const limited = scope.counter('rate_limited')
    const value = createRateGate({ take: () => bucket.take(), limited })
    return { value, close: () => scope.close() }
  }
}

function checkPrefix(statPrefix: string, report: FieldReport): void {
  if (statPrefix === '') {
    refuse(at(report, 'stat_prefix'), 'value length must be at least 1 characters')
  }
}
