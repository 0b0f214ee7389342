/**
 * Keeps the translation up to date: takes each new input, works out which hosts it can have changed, translates
 * those for every scope class that has clients, and publishes the whole at once.
 *
 * Work is done in slices, so that streams are served meanwhile; until the end of a run everybody gets the state
 * before it. Inputs that come during a run wait, and only the newest of them is worked on.
 */
import { isDeepStrictEqual } from 'node:util'

import { runInSlices, runToEnd, type SliceOptions, type Steps } from '../lib/steps.ts'
import type { Issue } from '../model/issue.ts'
import type { Demand, ResourceView, StreamNode, ViewSource } from '../xds/resource-set.ts'
import { analyzeInSteps } from './analyze.ts'
import { clientOf, withRegisteredLabels, type Client } from './client.ts'
import { compareWorlds, everythingDirty, isClean, type Dirty } from './dirty.ts'
import type { TranslationInput } from './input.ts'
import { admit, admitInSteps, type Admission } from './last-good.ts'
import { DemandTranslation, demandedRoutes, isOnDemand } from './on-demand.ts'
import { keepSame, translateOutbound, type OutboundState } from './outbound.ts'
import { scopeOf, type Scope } from './scope.ts'
import { SharedParts } from './shared-parts.ts'
import type { Tunnel } from './tunnel.ts'
import { WorkloadView } from './view.ts'
import {
  translateWorkload,
  upstreamClusters,
  workloadInputs,
  type WorkloadInput,
  type WorkloadResources,
} from './workload.ts'
import type { World } from './world.ts'

export interface TranslationOptions {
  readonly input: TranslationInput
  /** Lets other work run between slices; default: one turn of the event loop. */
  readonly pause?: () => Promise<void>
  /** How long a slice may last. */
  readonly sliceMsMax?: number
  readonly monotonicMs?: () => number
}

export interface Translation extends ViewSource {
  /** Takes a new input. Resolves when it, or a newer one, is published. */
  update(input: TranslationInput): Promise<void>
  /** What is wrong between resources, of the input that was published when it was asked. Worked out in slices, once. */
  issues(): Promise<readonly Issue[]>
  /** Input that is in force: the newest, less what is held back. */
  effectiveInput(): TranslationInput
  viewOf(node: StreamNode, demand?: Demand): ResourceView
  /**
   * What a client on demand would have that had called one host and nothing else, by the name that it would ask for
   * (VHDS); it is not noted as a client. Undefined: it gets everything by itself.
   */
  foresee(node: StreamNode, alias: string): ResourceView | undefined
  /** Translates in slices what the first client of a scope class needs. Undefined: it is there. */
  prepare(node: StreamNode): Promise<void> | undefined
}

const sliceMsDefault = 10

/** A client that asked for nothing in this many publications is forgotten, with the scope class that only it used. */
const idlePublicationsMax = 32

export function createTranslation(options: TranslationOptions): Translation {
  return new Driver(options)
}

interface KnownClient {
  readonly client: Client
  readonly inputs: readonly unknown[]
  readonly parts: WorkloadResources
  readonly tunnels: readonly Tunnel[]
  readonly view: WorkloadView
  /** What the view was made of. */
  readonly outbound: OutboundState
  /** What it had asked for; undefined: it gets everything. */
  readonly demanded: string | undefined
  usedAt: number
}

class Driver implements Translation {
  readonly #slices: SliceOptions
  readonly #listeners = new Set<() => void>()
  readonly #shared = new SharedParts()
  readonly #demand = new DemandTranslation()
  readonly #nodes = new WeakMap<StreamNode, { readonly key: string; readonly client: Client }>()
  readonly #clients = new Map<string, KnownClient>()
  /** By scope key. */
  #states = new Map<string, OutboundState>()
  #admission: Admission
  #issues: Promise<readonly Issue[]> | undefined
  #revision = 1
  #pending: TranslationInput | undefined
  #running: Promise<void> | undefined
  /** Runs and preparations follow each other: both fill what scope classes share. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: TranslationOptions) {
    this.#slices = {
      pause: options.pause ?? (() => new Promise((resolve) => setImmediate(resolve))),
      sliceMsMax: options.sliceMsMax ?? sliceMsDefault,
      monotonicMs: options.monotonicMs ?? (() => performance.now()),
    }
    this.#admission = admit(options.input, undefined)
  }

  update(input: TranslationInput): Promise<void> {
    this.#pending = input
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(): Promise<void> {
    while (this.#pending !== undefined) await this.#alone(() => this.#translateNewest())
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined) // whoever asked for the work is told
    return done
  }

  async #translateNewest(): Promise<void> {
    const input = this.#pending
    this.#pending = undefined
    if (input !== undefined) await this.#translate(input)
  }

  async #translate(input: TranslationInput): Promise<void> {
    const admission = await runInSlices(admitInSteps(input, this.#admission), this.#slices)
    const comparison = compareWorlds(this.#admission.world, admission.world)
    const dirty = await runInSlices(comparison, this.#slices)
    this.#shared.forget(dirty)
    const states = isClean(dirty)
      ? this.#states
      : await runInSlices(this.#statesOf(admission.world, dirty), this.#slices)
    this.#publish({ admission, states, isChanged: !isClean(dirty) })
  }

  /** The new state of every scope class that has a client, those that come meanwhile among them. */
  *#statesOf(world: World, dirty: Dirty): Steps<Map<string, OutboundState>> {
    const states = new Map<string, OutboundState>()
    for (;;) {
      const missing = [...this.#scopesInUse(world)].filter(({ key }) => !states.has(key))
      if (missing.length === 0) return states
      for (const scope of missing) {
        const previous = this.#states.get(scope.key)
        const parts = { world, scope, dirty, shared: this.#shared, previous }
        states.set(scope.key, yield* translateOutbound(parts))
      }
    }
  }

  #scopesInUse(world: World): Iterable<Scope> {
    const scopes = new Map<string, Scope>()
    for (const { client } of this.#clients.values()) {
      const labelled = withRegisteredLabels(client, world.input.registry)
      const scope = scopeOf(labelled, world)
      scopes.set(scope.key, scope)
    }
    return scopes.values()
  }

  #publish(result: RunResult): void {
    this.#admission = result.admission
    this.#states = result.states
    this.#issues = undefined
    this.#revision += 1
    for (const [key, { usedAt }] of this.#clients) {
      if (this.#revision - usedAt > idlePublicationsMax) this.#clients.delete(key)
    }
    if (result.isChanged) for (const listener of this.#listeners) listener()
  }

  viewOf(node: StreamNode, demand?: Demand): ResourceView {
    const { key, client: own } = this.#identify(node)
    const { world } = this.#admission
    const client = withRegisteredLabels(own, world.input.registry)
    const scope = scopeOf(client, world)
    const outbound = this.#states.get(scope.key) ?? this.#firstState(scope)
    const known = this.#clients.get(key)
    const { mesh } = world.input
    const services = outbound.parts.size + outbound.unregistered.size
    const wasOnDemand = known?.demanded !== undefined
    const isDemanding =
      demand !== undefined && isOnDemand({ client, scope, mesh, services, wasOnDemand })
    const demanded = isDemanding ? demandKey(demand) : undefined
    if (known?.outbound === outbound && known.demanded === demanded) {
      const { tunnels } = known
      const inputs = workloadInputs({ world, scope, client, tunnels, isOnDemand: isDemanding })
      if (isSameList(known.inputs, inputs)) {
        known.usedAt = this.#revision
        return known.view
      }
    }
    const made = isDemanding
      ? this.#demandedView({ world, scope, client, outbound, demand, known })
      : this.#wholeView({ world, scope, client, outbound, known })
    const kept = { client: own, outbound, demanded, usedAt: this.#revision }
    this.#clients.set(key, { ...made, ...kept })
    return made.view
  }

  foresee(node: StreamNode, alias: string): ResourceView | undefined {
    const { key, client: own } = this.#identify(node)
    const { world } = this.#admission
    const client = withRegisteredLabels(own, world.input.registry)
    const scope = scopeOf(client, world)
    const outbound = this.#states.get(scope.key) ?? this.#firstState(scope)
    const wasOnDemand = this.#clients.get(key)?.demanded !== undefined
    const { mesh } = world.input
    const services = outbound.parts.size + outbound.unregistered.size
    if (!isOnDemand({ client, scope, mesh, services, wasOnDemand })) return undefined
    const demand = {
      hosts: new Set([alias]),
      droppedHosts: new Set(client.rememberedHosts.filter((name) => name !== alias)),
      clusters: new Set<string>(),
    }
    return this.#demandedView({ world, scope, client, outbound, demand, known: undefined }).view
  }

  #wholeView(input: ViewInput): MadeView {
    const { outbound, known } = input
    const { tunnels } = outbound
    const { inputs, parts } = ownParts({ ...input, tunnels }, known)
    const revision = String(this.#revision)
    const view = new WorkloadView({ revision, outbound, own: parts, previous: known?.view })
    return { inputs, parts, view, tunnels }
  }

  #demandedView(input: ViewInput & { readonly demand: Demand }): MadeView {
    const { world, scope, client, outbound, demand, known } = input
    const { mesh } = world.input
    const hosts = this.#demand.hosts({ outbound, scope, mesh, client, demand })
    const tunnels = isDeepStrictEqual(hosts.tunnels, known?.tunnels)
      ? (known?.tunnels ?? [])
      : hosts.tunnels
    const own = { ...input, tunnels, isOnDemand: true }
    const { inputs, parts } = ownParts(own, known)
    const names = new Set([...hosts.clusters, ...upstreamClusters(own), ...demand.clusters])
    const before = known?.view.outbound
    const part = {
      clusters: keepSame(this.#demand.clusters({ outbound, mesh }, names), before?.clusters),
      endpoints: outbound.endpoints,
      routes: demandedRoutes(),
      virtualHosts: keepSame(hosts.virtualHosts, before?.virtualHosts),
    }
    const revision = String(this.#revision)
    const view = new WorkloadView({ revision, outbound: part, own: parts, previous: known?.view })
    return { inputs, parts, view, tunnels }
  }

  #identify(node: StreamNode): { readonly key: string; readonly client: Client } {
    let known = this.#nodes.get(node)
    if (known === undefined) {
      const client = clientOf(node)
      known = { key: JSON.stringify(client), client }
      this.#nodes.set(node, known)
    }
    return known
  }

  prepare(node: StreamNode): Promise<void> | undefined {
    if (this.#states.has(this.#scopeOf(node).key)) return undefined
    return this.#alone(async () => {
      const scope = this.#scopeOf(node)
      if (!this.#states.has(scope.key)) {
        const state = await runInSlices(this.#firstStateOf(scope, this.#shared), this.#slices)
        this.#states.set(scope.key, state)
      }
      // Those who waited for the same are answered one in a turn.
      await this.#slices.pause()
    })
  }

  #scopeOf(node: StreamNode): Scope {
    const { world } = this.#admission
    const { client } = this.#identify(node)
    return scopeOf(withRegisteredLabels(client, world.input.registry), world)
  }

  /** A whole translation, less what other classes share with it. For who did not wait for `prepare`, in one turn. */
  #firstState(scope: Scope): OutboundState {
    // What is shared belongs to the coming state while a run is under way.
    const shared = this.#running === undefined ? this.#shared : new SharedParts()
    const state = runToEnd(this.#firstStateOf(scope, shared))
    this.#states.set(scope.key, state)
    return state
  }

  #firstStateOf(scope: Scope, shared: SharedParts): Steps<OutboundState> {
    const { world } = this.#admission
    return translateOutbound({
      world,
      scope,
      dirty: everythingDirty(),
      shared,
      previous: undefined,
    })
  }

  issues(): Promise<readonly Issue[]> {
    this.#issues ??= this.#analyze()
    return this.#issues
  }

  #analyze(): Promise<readonly Issue[]> {
    const { newest, effective, held, world } = this.#admission
    const run = analyzeInSteps(newest, { held, ...(newest === effective && { world }) })
    return runInSlices(run, this.#slices)
  }

  effectiveInput(): TranslationInput {
    return this.#admission.effective
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }
}

interface ViewInput {
  readonly world: World
  readonly scope: Scope
  readonly client: Client
  readonly outbound: OutboundState
  readonly known: KnownClient | undefined
}

type MadeView = Pick<KnownClient, 'inputs' | 'parts' | 'view' | 'tunnels'>

function ownParts(
  input: WorkloadInput,
  known: KnownClient | undefined,
): Pick<KnownClient, 'inputs' | 'parts'> {
  const inputs = workloadInputs(input)
  if (known !== undefined && isSameList(known.inputs, inputs)) return { inputs, parts: known.parts }
  return { inputs, parts: keepSameParts(translateWorkload(input), known?.parts) }
}

function demandKey({ hosts, droppedHosts, clusters }: Demand): string {
  return JSON.stringify([[...hosts], [...droppedHosts], [...clusters]])
}

interface RunResult {
  readonly admission: Admission
  readonly states: Map<string, OutboundState>
  readonly isChanged: boolean
}

function keepSameParts(
  own: WorkloadResources,
  previous: WorkloadResources | undefined,
): WorkloadResources {
  return {
    listeners: keepSame(own.listeners, previous?.listeners),
    clusters: keepSame(own.clusters, previous?.clusters),
    routes: keepSame(own.routes, previous?.routes),
    endpoints: keepSame(own.endpoints, previous?.endpoints),
  }
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((member, index) => member === right[index])
}
