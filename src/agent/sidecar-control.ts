/**
 * What the agent does with a running sidecar, whichever it is: waits until it can route, and drains it.
 * Through the admin interface, which our own sidecar and Envoy answer alike.
 */
import type { Clock } from '../lib/clock.ts'
import { askAdmin } from './admin-client.ts'

export interface SidecarControl {
  readonly adminAddress: string
  readonly clock: Clock
}

const pollMs = 25

/** Resolves true when `/ready` says LIVE; false when aborted before. */
export async function waitUntilLive(
  { adminAddress, clock }: SidecarControl,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    if (await isLive(adminAddress)) return true
    await pause(clock, pollMs)
  }
  return false
}

/** How long the sidecar's part of a workload's end may take. */
export interface DrainLimits {
  /** Ceiling (Istio's `terminationDrainDuration`). */
  readonly drainMs: number
  /**
   * Istio's EXIT_ON_ZERO_ACTIVE_CONNECTIONS: connections are waited for, not only what is under way on them, and no less
   * than so long (MINIMUM_DRAIN_DURATION). Undefined: no.
   */
  readonly zeroConnectionsMinMs: number | undefined
}

export type SidecarDrainStep = 'connections-told' | 'in-flight-ended' | 'stopped-accepting'

/**
 * Tells callers to go elsewhere, waits until nothing is under way, or `drainMs` has passed, and closes the door. Inbound
 * only: the application may still call out until it ends.
 *
 * The door stays open while callers learn: by their next push from the control plane, by `connection: close`, or by a
 * GOAWAY. What they send before is served.
 */
export async function drainInbound(
  { adminAddress, clock }: SidecarControl,
  { drainMs, zeroConnectionsMinMs }: DrainLimits,
  onStep: (step: SidecarDrainStep) => void = () => {},
): Promise<void> {
  const startMs = clock.monotonicMs()
  const passedMs = (): number => clock.monotonicMs() - startMs
  const leastMs = Math.min(zeroConnectionsMinMs ?? quietMs, drainMs)
  const count = zeroConnectionsMinMs === undefined ? underWay : connectionsOpen
  const post = (path: string) =>
    askAdmin({ address: adminAddress, path, method: 'POST', timeoutMs: Math.max(drainMs, 1_000) })
  try {
    await post('/drain_listeners?inboundonly&graceful&skip_exit')
    onStep('connections-told')
    let quietSinceMs: number | undefined
    while (passedMs() < drainMs) {
      await pause(clock, Math.min(pollMs, drainMs))
      const isQuiet = (await countOf(adminAddress, count)) === 0
      quietSinceMs = isQuiet ? (quietSinceMs ?? passedMs()) : undefined
      const hasBeenQuiet = quietSinceMs !== undefined && passedMs() - quietSinceMs >= calmMs
      if (hasBeenQuiet && passedMs() >= leastMs) {
        onStep('in-flight-ended')
        break
      }
    }
    await post('/drain_listeners?inboundonly')
    onStep('stopped-accepting')
  } catch {
    // The sidecar is gone, so there is nothing to drain.
  }
}

/** Callers learn of it within this time, for all we know. */
const quietMs = 200
/** Between two requests of a busy caller nothing is under way. */
const calmMs = 100

/** Gauges of inbound traffic: what names them for the admin interface, and what reads them from its answer. */
interface Count {
  readonly filter: string
  readonly line: RegExp
}

const underWay: Count = {
  filter: '(http%5C.inbound.*downstream_rq_active|tcp%5C.inbound.*downstream_cx_active)',
  line: /^(?:http\.inbound.*\.downstream_rq_active|tcp\.inbound.*\.downstream_cx_active): (\d+)$/gm,
}

const connectionsOpen: Count = {
  filter: '(http|tcp)%5C.inbound.*downstream_cx_active',
  line: /^(?:http|tcp)\.inbound.*\.downstream_cx_active: (\d+)$/gm,
}

async function countOf(address: string, { filter, line }: Count): Promise<number> {
  const { text } = await askAdmin({ address, path: `/stats?filter=${filter}`, timeoutMs: 1_000 })
  let active = 0
  for (const match of text.matchAll(line)) active += Number(match[1])
  return active
}

async function isLive(address: string): Promise<boolean> {
  try {
    const { status } = await askAdmin({ address, path: '/ready', timeoutMs: 1_000 })
    return status === 200
  } catch {
    // Not listening yet.
    return false
  }
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(delayMs, resolve))
}
