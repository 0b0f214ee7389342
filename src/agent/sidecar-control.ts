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

/**
 * Tells callers to go elsewhere and waits until no request is under way, or `drainMs` has passed. Inbound only:
 * the application may still call out until it ends.
 */
export async function drainInbound(
  { adminAddress, clock }: SidecarControl,
  drainMs: number,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + drainMs
  try {
    const path = '/drain_listeners?inboundonly&graceful&skip_exit'
    await askAdmin({ address: adminAddress, path, method: 'POST', timeoutMs: drainMs })
    // Callers learn of it by their next push or by `connection: close`; what they sent before is still coming.
    await pause(clock, Math.min(quietMs, drainMs))
    while (clock.monotonicMs() < deadlineMs) {
      if ((await activeInboundRequests(adminAddress)) === 0) return
      await pause(clock, pollMs)
    }
  } catch {
    // The sidecar is gone, so there is nothing to drain.
  }
}

const quietMs = 200

async function activeInboundRequests(address: string): Promise<number> {
  const path = '/stats?filter=http%5C.inbound.*downstream_rq_active'
  const { text } = await askAdmin({ address, path, timeoutMs: 1_000 })
  let active = 0
  for (const match of text.matchAll(/^http\.inbound.*\.downstream_rq_active: (\d+)$/gm)) {
    active += Number(match[1])
  }
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
