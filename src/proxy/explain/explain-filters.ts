/** What the filters before the router would do with a request, by what its route says to them. */
import { preflightAnswer } from '../filter/cors-filter.ts'
import type { CorsPolicy } from '../filter/cors-policy.ts'
import type { AbortStatus, FaultPart, FaultSettings } from '../filter/fault-settings.ts'
import { type FilterConfigs, type FilterSetting, switchedOff } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import type { ExplainedCors, ExplainedFault } from './explanation.ts'

export interface ExplainedFilters {
  readonly fault: ExplainedFault | undefined
  /** The route has a CORS policy: preflights are answered here. */
  readonly hasCors: boolean
  /** Of a request that names its origin, where a policy is in force. */
  readonly cors: ExplainedCors | undefined
}

export function explainFilters(
  configs: FilterConfigs | undefined,
  head: RequestHead,
): ExplainedFilters {
  const settings = [...(configs?.values() ?? [])]
  const fault = settings.find(isFault)
  const policy = settings.find(isCors)
  return {
    fault: fault === undefined ? undefined : faultOf(fault, head),
    hasCors: policy !== undefined,
    cors: policy === undefined ? undefined : corsOf(policy, head),
  }
}

function isCors(setting: FilterSetting): setting is CorsPolicy {
  return setting !== switchedOff && setting.kind === 'cors'
}

/** Undefined: the policy has no say, or only in a share of the requests. */
function corsOf(policy: CorsPolicy, head: RequestHead): ExplainedCors | undefined {
  const origin = head.headers.getAll('origin') ?? ''
  const { numerator, denominator } = policy.enabled
  if (origin === '' || numerator < denominator) return undefined
  const isAllowed = policy.allowsOrigin?.(origin) === true
  const answered = preflightAnswer(head, policy, isAllowed ? origin : undefined)
  if (answered === undefined) return { origin, isAllowed }
  return { origin, isAllowed, status: answered.answer.status }
}

function isFault(setting: FilterSetting): setting is FaultSettings {
  return setting !== switchedOff && setting.kind === 'fault'
}

/** Undefined: it is for other requests. */
function faultOf(fault: FaultSettings, head: RequestHead): ExplainedFault | undefined {
  if (!fault.headers.every((matches) => matches(head))) return undefined
  const delay = partOf(fault.delay, head)
  const abort = partOf(fault.abort, head)
  if (delay === undefined && abort === undefined) return undefined
  return {
    ...(delay && { delay: { ms: delay.value, percent: delay.percent } }),
    ...(abort && { abort: { ...abortOf(abort.value), percent: abort.percent } }),
  }
}

function abortOf({
  isReset,
  ...status
}: AbortStatus): Omit<AbortStatus, 'isReset'> & { isReset?: true } {
  return isReset ? { ...status, isReset } : status
}

function partOf<T>(
  part: FaultPart<T> | undefined,
  { headers }: RequestHead,
): { readonly value: T; readonly percent: number } | undefined {
  const value = part?.valueOf(headers)
  if (part === undefined || value === undefined) return undefined
  const { numerator, denominator } = part.shareOf(headers)
  return numerator === 0 ? undefined : { value, percent: (numerator / denominator) * 100 }
}
