/** What the filters before the router would do with a request, by what its route says to them. */
import type { AbortStatus, FaultPart, FaultSettings } from '../filter/fault-settings.ts'
import { type FilterConfigs, type FilterSetting, switchedOff } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import type { ExplainedFault } from './explanation.ts'

export interface ExplainedFilters {
  readonly fault: ExplainedFault | undefined
  /** The route has a CORS policy: preflights are answered here. */
  readonly hasCors: boolean
}

export function explainFilters(
  configs: FilterConfigs | undefined,
  head: RequestHead,
): ExplainedFilters {
  const settings = [...(configs?.values() ?? [])]
  const fault = settings.find(isFault)
  return {
    fault: fault === undefined ? undefined : faultOf(fault, head),
    hasCors: settings.some((setting) => setting !== switchedOff && setting.kind === 'cors'),
  }
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
