/** What a filter is compiled from: its entry in `http_filters`, and what it takes from around. */
import type { Random } from '../../lib/random.ts'
import type { HttpFilter } from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { FieldReport } from './field-rule.ts'
import type { HttpFilterPlan } from './listener-plan.ts'

/** What filters take from the connection manager and from the sidecar. */
export interface FilterScope {
  readonly statPrefix: string
  readonly random: Random
  /** Of the table of RDS. */
  readonly routesName?: string | undefined
}

export interface FilterInput {
  readonly filter: HttpFilter
  readonly any: Any
  readonly scope: FilterScope
}

export type CompileFilter = (input: FilterInput, report: FieldReport) => readonly HttpFilterPlan[]
