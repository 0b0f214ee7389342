/** Reads what somebody wants injected, strictly: a fault that is half understood would be worse than none. */
import { faultLimits, type FaultWish } from '../../api/fault.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { grpcStatusNames } from '../../model/istio/http-fault-shape.ts'
import { isHeaderName } from '../../model/schema/http-format.ts'

/** Rejections: MESH_FAULT_REFUSED. */
export function readWish(value: unknown): FaultWish {
  const fields = typeof value === 'object' && value !== null ? { ...value } : {}
  const read = new Reader(fields)
  const wish: FaultWish = {
    host: read.text('host') ?? refuse('host: is missing'),
    namespace: read.text('namespace') ?? refuse('namespace: is missing'),
    name: read.name(),
    delayMs: read.number('delayMs', { low: 1, high: faultLimits.delayMsMax }),
    abort: read.abort(),
    reset: read.flag('reset'),
    percent: read.number('percent', { low: 0.0001, high: 100 }) ?? refuse('percent: is missing'),
    from: read.text('from'),
    headers: read.headers(),
    forMs:
      read.number('forMs', { low: 1, high: faultLimits.forMsMax }) ?? refuse('forMs: is missing'),
  }
  read.end()
  const ends = wish.abort !== undefined || wish.reset === true
  if (wish.delayMs === undefined && !ends) {
    refuse('a fault delays, aborts or resets: say which', 'give --delay, --abort or --reset')
  }
  if (wish.abort !== undefined && wish.reset === true) {
    refuse('a request is answered or reset, not both', 'give --abort or --reset')
  }
  return wish
}

export function refuse(message: string, remedy?: string): never {
  throw new MeshError('MESH_FAULT_REFUSED', message, remedy === undefined ? {} : { remedy })
}

class Reader {
  readonly #fields: Record<string, unknown>
  readonly #seen = new Set<string>()

  constructor(fields: Record<string, unknown>) {
    this.#fields = fields
  }

  end(): void {
    for (const name of Object.keys(this.#fields)) {
      if (!this.#seen.has(name)) refuse(`${name}: is no field of a fault`)
    }
  }

  text(name: string): string | undefined {
    const value = this.#take(name)
    if (value === undefined) return undefined
    if (typeof value !== 'string' || value === '') refuse(`${name}: must be text`)
    return value
  }

  name(): string | undefined {
    const name = this.text('name')
    if (name !== undefined && !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
      refuse(`name: must be lower-case letters, digits and dashes, got ${JSON.stringify(name)}`)
    }
    return name
  }

  number(
    name: string,
    { low, high }: { readonly low: number; readonly high: number },
  ): number | undefined {
    const value = this.#take(name)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      refuse(`${name}: must be from ${low} to ${high}, got ${JSON.stringify(value)}`)
    }
    return value
  }

  abort(): number | string | undefined {
    const value = this.#take('abort')
    if (value === undefined) return undefined
    if (typeof value === 'string' && grpcStatusNames.includes(value)) return value
    const isStatus = typeof value === 'number' && Number.isInteger(value)
    if (isStatus && value >= 200 && value <= 599) return value
    return refuse(
      `abort: must be a status from 200 to 599 or the name of a gRPC status, got ${JSON.stringify(value)}`,
    )
  }

  flag(name: string): boolean | undefined {
    const value = this.#take(name)
    if (value === undefined || typeof value === 'boolean') return value
    return refuse(`${name}: must be true or false, got ${JSON.stringify(value)}`)
  }

  headers(): Record<string, string> | undefined {
    const value = this.#take('headers')
    if (value === undefined) return undefined
    if (typeof value !== 'object' || value === null) refuse('headers: must be names and values')
    const entries = Object.entries(value).map(([name, text]: [string, unknown]) => {
      if (!isHeaderName(name)) refuse(`headers: ${JSON.stringify(name)} is no name of a header`)
      if (typeof text !== 'string') refuse(`headers.${name}: must be text`)
      return [name.toLowerCase(), text] as const
    })
    return Object.fromEntries(entries)
  }

  #take(name: string): unknown {
    this.#seen.add(name)
    return this.#fields[name] ?? undefined
  }
}
