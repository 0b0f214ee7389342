/** The router's `strict_check_headers`: requests whose `x-envoy-…` headers say nothing that can be meant are refused. */
import type { HeaderList } from '../http/header-list.ts'
import { isUnsigned, knowsConditions } from './request-retry-policy.ts'

type Check = (value: string) => boolean

const checks: Readonly<Record<string, Check>> = {
  'x-envoy-upstream-rq-timeout-ms': isUnsigned,
  'x-envoy-upstream-rq-per-try-timeout-ms': isUnsigned,
  'x-envoy-max-retries': isUnsigned,
  'x-envoy-retry-on': (value) => knowsConditions(value, 'http'),
  'x-envoy-retry-grpc-on': (value) => knowsConditions(value, 'grpc'),
}

/** What the option may name. */
export const strictHeaders: readonly string[] = Object.keys(checks)

export interface BadHeader {
  readonly name: string
  readonly value: string
}

/** The first of `names` that is there and is wrong. */
export function findBadHeader(
  headers: HeaderList,
  names: readonly string[],
): BadHeader | undefined {
  for (const name of names) {
    const value = headers.getAll(name)
    if (value !== undefined && checks[name]?.(value) === false) return { name, value }
  }
  return undefined
}
