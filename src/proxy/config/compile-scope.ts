/** What compiling needs besides the message: chance (weighted splits), the host's name, and limits of the runtime. */
import type { Random } from '../../lib/random.ts'
import type { RouteNames, RouteStats } from '../telemetry/route-stats.ts'
import type { RuntimeValues } from './runtime-values.ts'

/** Which secrets may be named. */
export interface SecretSources {
  /** In `static_resources.secrets`. */
  hasStatic(name: string): boolean
  /** A static cluster whose address SDS can be asked at. */
  hasServer(cluster: string): boolean
}

export const noSecrets: SecretSources = { hasStatic: () => false, hasServer: () => false }

export interface CompileScope {
  readonly random: Random
  /** For `%HOSTNAME%` in header values. */
  readonly hostname: string
  readonly runtime: RuntimeValues
  /** Counters of a route with a `stat_prefix`; absent: there are none. */
  readonly routeStats?: (names: RouteNames) => RouteStats | undefined
  /** Absent: none. */
  readonly secrets?: SecretSources
}
