/** How short the process is of what a monitor watches: 0 is plenty, 1 is none left. */
import { readFileSync } from 'node:fs'

import { unreachable } from '../../lib/assert.ts'
import { describeError } from '../../lib/mesh-error.ts'
import type { MonitorPlan } from './overload-plan.ts'

/** What is measured of the process; an argument, so that a test can be short of anything. */
export interface ProcessGauges {
  /** The JavaScript heap of this thread. */
  heap(): { readonly usedBytes: number; readonly limitBytes: number }
  /** Of the process, all threads together, in memory. */
  residentBytes(): number
  /** Of the container that the process runs in; the reason, where that cannot be told. */
  cgroupMemory(): CgroupMemory | string
}

export interface CgroupMemory {
  readonly usedBytes: number
  /** Undefined: there is none. */
  readonly limitBytes: number | undefined
}

export interface PressureSource {
  readonly gauges: ProcessGauges
  readonly bufferedBytes: number
  readonly bufferedBytesMax: number
  /** How late this look is. */
  readonly lateMs: number
}

/** The reason, where it cannot be told. */
export function readPressure(monitor: MonitorPlan, source: PressureSource): number | string {
  switch (monitor.kind) {
    case 'fixed-heap':
      return source.gauges.residentBytes() / monitor.bytesMax
    case 'cgroup-memory':
      return cgroupPressure(source.gauges.cgroupMemory(), monitor.bytesMax)
    case 'injected':
      return readInjected(monitor.file)
    case 'heap': {
      const { usedBytes, limitBytes } = source.gauges.heap()
      return usedBytes / limitBytes
    }
    case 'event-loop-delay':
      return Math.max(0, source.lateMs) / monitor.delayMsMax
    case 'buffered-bytes':
      return source.bufferedBytes / source.bufferedBytesMax
    default:
      return unreachable(monitor)
  }
}

/** As in Envoy: without any limit there is no pressure. */
function cgroupPressure(
  memory: CgroupMemory | string,
  bytesMax: number | undefined,
): number | string {
  if (typeof memory === 'string') return memory
  const limitBytes = bytesMax ?? memory.limitBytes
  return limitBytes === undefined ? 0 : memory.usedBytes / limitBytes
}

/** The file holds one number. */
function readInjected(file: string): number | string {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    return describeError(error)
  }
  const pressure = text === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(pressure)) return `${file}: failed to parse injected resource pressure`
  return pressure < 0 || pressure > 1 ? `${file}: pressure out of range` : pressure
}
