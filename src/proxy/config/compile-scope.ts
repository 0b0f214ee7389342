/** What compiling needs besides the message: chance (weighted splits), the host's name, and limits of the runtime. */
import type { Random } from '../../lib/random.ts'
import type { RuntimeValues } from './runtime-values.ts'

export interface CompileScope {
  readonly random: Random
  /** For `%HOSTNAME%` in header values. */
  readonly hostname: string
  readonly runtime: RuntimeValues
}
