/**
 * Several sidecars in one process, for the bench of memory: opens the first of the given bootstrap files, then the others,
 * and tells how much memory is resident after each of the two steps. They serve until the process is ended.
 */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

import { settle } from '../src/bin/settle.ts'
import { systemClock } from '../src/lib/clock.ts'
import { createLog } from '../src/lib/log.ts'
import { systemRandom } from '../src/lib/random.ts'
import { type Sidecar, openSidecar } from '../src/proxy/sidecar.ts'

export interface ManyMessage {
  readonly firstMegabytes: number
  readonly allMegabytes: number
}

const settleMs = 1_500

async function openOne(file: string): Promise<Sidecar> {
  const log = createLog({ name: 'sidecar', level: 'warn' })
  const bootstrap = { file, text: readFileSync(file, 'utf8') }
  return openSidecar({ bootstrap, clock: systemClock, random: systemRandom, log })
}

async function settledMegabytes(): Promise<number> {
  await setTimeout(settleMs)
  await settle()
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024
}

const [first = '', ...others] = process.argv.slice(2)
// Held until the end.
const sidecars = [await openOne(first)]
const firstMegabytes = await settledMegabytes()
for (const file of others) sidecars.push(await openOne(file))
const allMegabytes = await settledMegabytes()
process.send?.({ firstMegabytes, allMegabytes } satisfies ManyMessage)
