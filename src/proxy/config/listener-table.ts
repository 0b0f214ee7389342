/**
 * All listeners of one sidecar, by name: what LDS changes.
 *
 * A listener is opened when its routes are there, or have been waited for long enough. A change of everything but the
 * address is handed to the open listener, which cuts no connection; a new address is opened before the old one drains. A
 * removed listener drains.
 */
import { chmod } from 'node:fs/promises'
import type { Server } from 'node:net'

import type { Timer } from '../../lib/clock.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import { type AdoptedSocket, type Listener, openListener } from '../listener/listener.ts'
import { reaches } from '../listener/reaches.ts'
import type { ProxyRuntime } from '../runtime.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { DrainRequest, Rejection } from './data-plane.ts'
import { type ListenerPlan, resolvesNames } from './listener-plan.ts'
import { LiveListener, type LiveListenerScope, rdsSources } from './live-listener.ts'
import { addressText } from './message-value.ts'

/** Sockets that listen already, by `socketKey`; each is used once. */
export type ListenSockets = Map<string, Server | { readonly fd: number }>

/** Where the socket of a listener comes from, when it does not open its own. Rejects with MESH_LISTEN_FAILED. */
export type TakeSocket = (
  listener: Pick<ListenerPlan, 'name' | 'address' | 'bindToPort'>,
) => Promise<AdoptedSocket | undefined>

/** `ip:port` or path; with the listener's name where the system picks the port. */
export function socketKey({ name, address }: Pick<ListenerPlan, 'name' | 'address'>): string {
  const text = addressText(address)
  return address.kind === 'ip' && address.port === 0 ? `${text} ${name}` : text
}

export function takeFrom(sockets: ListenSockets): TakeSocket {
  return async (listener) => {
    const key = socketKey(listener)
    const socket = sockets.get(key)
    sockets.delete(key)
    return socket
  }
}

export interface ListenerTableOptions {
  readonly runtime: ProxyRuntime
  readonly scope: LiveListenerScope
  readonly takeSocket: TakeSocket
  /** How long connections of a removed listener may go on (Envoy `--drain-time-s`, 600 s). */
  readonly drainTimeMs: number
  readonly onChange: () => void
  readonly onFailed: (failure: Rejection) => void
}

interface Slot {
  readonly name: string
  open: Listener | undefined
  live: LiveListener | undefined
  /** Accepted, and waiting for its routes and secrets. */
  warming: LiveListener | undefined
  timer: Timer | undefined
  /** Opening is asynchronous: changes of one listener follow each other. */
  queue: Promise<void>
}

export class ListenerTable {
  readonly #options: ListenerTableOptions
  readonly #slots = new Map<string, Slot>()
  readonly #draining = new Set<Listener>()
  #isReleased = false

  constructor(options: ListenerTableOptions) {
    this.#options = options
  }

  /** Those that accept, sorted by name. */
  list(): readonly { readonly listener: Listener; readonly live: LiveListener }[] {
    return [...this.#slots.values()]
      .flatMap(({ open, live }) => (open && live ? [{ listener: open, live }] : []))
      .sort((a, b) => (a.live.plan.name < b.live.plan.name ? -1 : 1))
  }

  /** Whether a connection there ends at a listener of ours that sends requests to whatever name they ask for. */
  isForwardProxyAt(address: WireAddress): boolean {
    for (const { open, live } of this.#slots.values()) {
      if (open && live && reaches(address, open.address) && resolvesNames(live.plan)) return true
    }
    return false
  }

  get warming(): readonly string[] {
    return [...this.#slots.values()].filter((slot) => slot.warming).map((slot) => slot.name)
  }

  /** Resolves when the listener is open or warming; with the reason when it cannot be opened. */
  async apply(plan: ListenerPlan): Promise<string | undefined> {
    const slot = this.#slotOf(plan.name)
    this.#stopWarming(slot)
    const live = this.#prepare(plan, slot)
    if (!(live instanceof LiveListener)) return live.reason
    if (live.isReady) return this.#activate(slot, live)
    slot.warming = live
    const waitMs = initialFetchTimeoutMs(plan)
    if (waitMs > 0) {
      const { clock } = this.#options.scope
      slot.timer = clock.setTimer(waitMs, () => this.#activateLater(slot, live))
    }
    return undefined
  }

  #prepare(plan: ListenerPlan, slot: Slot): LiveListener | { readonly reason: string } {
    try {
      const live = new LiveListener(plan, this.#options.scope, () => {
        if (live.isReady) this.#activateLater(slot, live)
      })
      return live
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      return { reason: describeError(error) }
    }
  }

  remove(name: string): void {
    const slot = this.#slots.get(name)
    if (slot === undefined) return
    this.#slots.delete(name)
    this.#stopWarming(slot)
    void this.#inOrder(slot, async () => {
      slot.live?.retire('removed')
      if (slot.open !== undefined) this.#drainAway(slot.open)
    })
    this.#options.onChange()
  }

  async drain({ inboundOnly, ...options }: DrainRequest): Promise<void> {
    const chosen = this.list().filter(
      ({ live }) => !inboundOnly || live.plan.trafficDirection === 'inbound',
    )
    const leaving = inboundOnly ? [] : [...this.#draining]
    const listeners = [...chosen.map(({ listener }) => listener), ...leaving]
    await Promise.all(listeners.map((listener) => listener.drain(options)))
  }

  /** What it listens on. */
  descriptors(): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const { open, live } of this.#slots.values()) {
      if (open?.descriptor !== undefined && live) found.set(socketKey(live.plan), open.descriptor)
    }
    return found
  }

  /** Another process listens in its place: accepts nothing more, and opens nothing any more. */
  release(): void {
    this.#isReleased = true
    for (const { open } of this.#slots.values()) open?.release()
  }

  async close(): Promise<void> {
    const slots = [...this.#slots.values()]
    this.#slots.clear()
    for (const slot of slots) this.#stopWarming(slot)
    await Promise.all(slots.map((slot) => slot.queue))
    const open = slots.flatMap((slot) => slot.open ?? [])
    await Promise.all([...open, ...this.#draining].map((listener) => listener.close()))
    for (const slot of slots) slot.live?.retire('removed')
  }

  #slotOf(name: string): Slot {
    const known = this.#slots.get(name)
    if (known !== undefined) return known
    const blank = { open: undefined, live: undefined, warming: undefined, timer: undefined }
    const slot: Slot = { name, ...blank, queue: Promise.resolve() }
    this.#slots.set(name, slot)
    return slot
  }

  #stopWarming(slot: Slot): void {
    slot.timer?.cancel()
    slot.timer = undefined
    slot.warming?.retire('removed')
    slot.warming = undefined
  }

  /** Everything has come, or has been waited for long enough. */
  #activateLater(slot: Slot, live: LiveListener): void {
    if (slot.warming !== live) return
    slot.timer?.cancel()
    slot.timer = undefined
    slot.warming = undefined
    void this.#activateOrReport(slot, live)
  }

  async #activateOrReport(slot: Slot, live: LiveListener): Promise<void> {
    const reason = await this.#activate(slot, live)
    if (reason !== undefined) this.#options.onFailed({ name: slot.name, reason })
  }

  async #activate(slot: Slot, live: LiveListener): Promise<string | undefined> {
    let reason: string | undefined
    await this.#inOrder(slot, async () => {
      reason = await this.#serve(slot, live)
    })
    this.#options.onChange()
    return reason
  }

  async #serve(slot: Slot, live: LiveListener): Promise<string | undefined> {
    if (this.#slots.get(slot.name) !== slot) {
      live.retire('removed')
      return undefined
    }
    const { open } = slot
    const isSame = open !== undefined && addressKey(slot.live) === addressKey(live)
    if (isSame) {
      open.update(live.config)
    } else if (this.#isReleased) {
      live.retire('removed')
      return undefined
    } else {
      try {
        slot.open = await this.#open(live)
      } catch (error) {
        live.retire('removed')
        return describeError(error)
      }
      if (open !== undefined) this.#drainAway(open)
    }
    slot.live?.retire('replaced')
    slot.live = live
    return undefined
  }

  async #open(live: LiveListener): Promise<Listener> {
    const { runtime, takeSocket } = this.#options
    const { config, plan } = live
    const adopt = plan.address.kind === 'internal' ? undefined : await takeSocket(plan)
    const open = await openListener({ config, runtime, ...(adopt && { adopt }) })
    if (plan.pipeMode !== 0 && open.address.kind === 'unix') {
      await chmod(open.address.path, plan.pipeMode)
    }
    return open
  }

  #drainAway(listener: Listener): void {
    this.#draining.add(listener)
    const options = { deadlineMs: this.#options.drainTimeMs, strategy: 'gradual' } as const
    void listener.drain(options).then(() => this.#draining.delete(listener))
  }

  async #inOrder(slot: Slot, run: () => Promise<void>): Promise<void> {
    const turn = slot.queue.then(run)
    slot.queue = turn
    await turn
  }
}

function addressKey(live: LiveListener | undefined): string {
  return live === undefined ? '' : `${addressText(live.plan.address)} ${live.plan.bindToPort}`
}

/** Of the routes; secrets have a time-out of their own. 0: none of it ends the wait. */
function initialFetchTimeoutMs(plan: ListenerPlan): number {
  const waits = rdsSources(plan).map((source) => source.initialFetchTimeoutMs)
  return waits.includes(0) ? 0 : Math.max(0, ...waits)
}
