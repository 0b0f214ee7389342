/**
 * Memory of the container that the process runs in, as its control group counts it: version 2 of cgroups where its files
 * are, else version 1, as Envoy's monitor looks for them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describeError } from '../../lib/mesh-error.ts'
import type { CgroupMemory } from './read-pressure.ts'

/** `base` is where control groups are mounted. */
export function readCgroupMemory(base = '/sys/fs/cgroup'): CgroupMemory | string {
  const two = { used: join(base, 'memory.current'), limit: join(base, 'memory.max') }
  const folder = join(base, 'memory')
  const one = {
    used: join(folder, 'memory.usage_in_bytes'),
    limit: join(folder, 'memory.limit_in_bytes'),
  }
  const isTwo = existsSync(two.used) && existsSync(two.limit)
  if (!isTwo && !existsSync(folder)) return `no control group of memory is at ${base}`
  const { used, limit } = isTwo ? two : one
  try {
    const usedBytes = parse(used)
    if (usedBytes === undefined) return `${used}: expected a number of bytes`
    return { usedBytes, limitBytes: parse(limit) }
  } catch (error) {
    return describeError(error)
  }
}

/** Undefined: unlimited. Version 1 writes a number for that which no machine has. */
function parse(path: string): number | undefined {
  const text = readFileSync(path, 'utf8').trim()
  if (text === 'max' || text === '-1') return undefined
  const bytes = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(bytes) || bytes === 0) throw new Error(`${path}: expected a number of bytes`)
  return bytes
}
