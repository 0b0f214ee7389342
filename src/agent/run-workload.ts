/**
 * Puts one workload into the mesh and keeps it there: ports, relay, sidecar, application, in that order.
 *
 * 1. Ports are assigned, and kept across restarts.
 * 2. The workload gets its certificate, or has one from its last run.
 * 3. The relay opens; it joins the mesh for us on the ADS stream, carries health and gives secrets.
 * 4. The sidecar starts from a bootstrap that names the relay.
 * 5. Once the sidecar can route, the application starts (unless the plan says not to wait).
 * 6. The application's health, as its probe finds it, is told to the control plane.
 *
 * The end has one deadline for all of its steps (docs/reference/drain.md): not ready, unhealthy is told, inbound is
 * drained, the application gets SIGTERM and at the deadline SIGKILL, then the sidecar and the stream close. Outbound works
 * until the application has ended.
 */
import type { StdioOptions } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

import type { CaptureMode } from '../capture/environment.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import { applicationEnvironment } from './application-environment.ts'
import { Application, type ApplicationEvent } from './application.ts'
import { assignAddresses, leaseOwner } from './assign-address.ts'
import { createBootstrap, writeBootstrap } from './bootstrap-file.ts'
import type { IdentityEvent, WorkloadIdentity } from './identity/workload-identity.ts'
import type { ProbeConfig } from './probe/probe.ts'
import { expandVariables, parseCommand, splitCommand } from './process/command-line.ts'
import { PortLeases } from './process/port-lease.ts'
import { Reaper } from './process/reaper.ts'
import { drainInbound, type SidecarDrainStep, waitUntilLive } from './sidecar-control.ts'
import type {
  OpenIdentity,
  OpenRelay,
  OpenSidecar,
  WorkloadRelay,
  WorkloadSidecar,
} from './sidecar.ts'
import { requireSoleAgent } from './sole-agent.ts'
import type { ApplicationPlan, WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

export type WorkloadEvent =
  | ApplicationEvent
  | IdentityEvent
  | { readonly event: 'assigned'; readonly addresses: WorkloadAddresses }
  | { readonly event: 'sidecar-ready' }
  | { readonly event: 'sidecar-upgraded' }
  | { readonly event: 'ending'; readonly step: EndStep; readonly afterMs: number }
  /** It cannot go on; its process ends. */
  | { readonly event: 'failed'; readonly message: string; readonly remedy: string | undefined }

/** In the order in which they happen; a workload that serves nobody has fewer. */
export type EndStep =
  | 'not-ready'
  | 'control-plane-told'
  | SidecarDrainStep
  | 'application-ended'
  | 'closed'

export interface RunWorkloadOptions {
  readonly plan: WorkloadPlan
  /** Environment of this process. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The application's standard streams. */
  readonly stdio: StdioOptions
  readonly capture: CaptureMode
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly openIdentity: OpenIdentity
  readonly openRelay: OpenRelay
  readonly openSidecar: OpenSidecar
  readonly onEvent: (event: WorkloadEvent) => void
}

/** The reaper's grace is short: the mesh is being ended by force. */
const reaperGraceMs = 2_000

export class RunningWorkload {
  readonly #options: RunWorkloadOptions
  readonly #reaper = new Reaper({ graceMs: reaperGraceMs })
  readonly #abort = new AbortController()
  #leases: PortLeases | undefined
  #addresses: WorkloadAddresses | undefined
  #identity: WorkloadIdentity | undefined
  #relay: WorkloadRelay | undefined
  #sidecar: WorkloadSidecar | undefined
  #application: Application | undefined
  #closing: Promise<void> | undefined

  constructor(options: RunWorkloadOptions) {
    this.#options = options
  }

  /** Resolves with the application's exit code when the workload has ended; rejects when it cannot be started. */
  async run(): Promise<number> {
    try {
      await this.#open()
      return (await this.#application?.ended) ?? 0
    } catch (error) {
      if (this.#abort.signal.aborted) return 0
      this.#options.onEvent(failedEvent(error))
      throw error
    } finally {
      await this.stop()
    }
  }

  get isApplicationRunning(): boolean {
    return this.#application?.isRunning ?? false
  }

  /** Passes a signal on to the application. */
  signal(signal: NodeJS.Signals): void {
    this.#application?.signal(signal)
  }

  /** Another sidecar takes over; the application goes on. */
  async upgrade(command: readonly string[]): Promise<void> {
    if (this.#sidecar === undefined || this.#closing !== undefined) {
      throw new MeshError('MESH_TAKE_OVER_FAILED', 'the workload is starting, or ending')
    }
    await this.#sidecar.upgrade(command)
    this.#options.onEvent({ event: 'sidecar-upgraded' })
  }

  /** Ends in good order; a second call waits for the first. */
  stop(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<void> {
    const { plan, random, onEvent, clock } = this.#options
    await requireSoleAgent(plan)
    mkdirSync(plan.stateFolder, { recursive: true, mode: 0o700 })
    this.#leases = new PortLeases({ folder: plan.portFolder, random, pid: process.pid })
    const addresses = await assignAddresses(plan, this.#leases)
    this.#addresses = addresses
    onEvent({ event: 'assigned', addresses })
    await this.#openIdentity()
    if (this.#abort.signal.aborted) return
    await this.#openSidecar(addresses)
    const control = { adminAddress: addresses.admin, clock }
    const live = waitUntilLive(control, this.#abort.signal)
    void this.#tellWhenLive(live)
    if (plan.application.isHeldUntilProxyStarts) await live
    if (this.#abort.signal.aborted) return
    this.#application = this.#createApplication(addresses)
    await this.#application.start()
  }

  async #openIdentity(): Promise<void> {
    const { plan, log, clock, random, onEvent, openIdentity } = this.#options
    const { signal } = this.#abort
    this.#identity = await openIdentity({ plan, log, clock, random, onEvent, signal })
  }

  async #openSidecar(addresses: WorkloadAddresses): Promise<void> {
    const { plan, env, log, clock, random, openRelay, openSidecar } = this.#options
    const identity = this.#identity
    const isEnding = (): boolean => this.#closing !== undefined
    this.#relay = await openRelay({
      plan,
      identity,
      log,
      clock,
      random,
      adminAddress: addresses.admin,
      isEnding,
      upgrade: (command) => this.upgrade(command),
    })
    // Nobody is to call a service that has not started.
    if (plan.ports.length > 0) this.#relay.reportHealth(false, 'the application is starting')
    const bootstrap = createBootstrap({
      plan,
      addresses,
      relayAddress: this.#relay.address,
      node: hostname(),
    })
    const bootstrapFile = join(plan.stateFolder, 'bootstrap.json')
    writeBootstrap(bootstrapFile, bootstrap)
    this.#sidecar = await openSidecar({
      plan,
      addresses,
      bootstrapFile,
      bootstrap,
      env,
      log,
      clock,
      random,
      reaper: this.#reaper,
      onFailure: (error) => {
        this.#options.onEvent(failedEvent(error))
        void this.stop()
      },
    })
  }

  async #tellWhenLive(live: Promise<boolean>): Promise<void> {
    if (await live) this.#options.onEvent({ event: 'sidecar-ready' })
  }

  #createApplication(addresses: WorkloadAddresses): Application {
    const { plan, env: base, stdio, clock, random, capture } = this.#options
    const { application } = plan
    const env = applicationEnvironment({ plan, addresses, base, node: process.execPath, capture })
    return new Application({
      command: commandOf(application, env),
      cwd: application.cwd,
      env,
      stdio,
      probe: probeOf(plan, addresses, env),
      restart: application.restart,
      reaper: this.#reaper,
      clock,
      random,
      onEvent: (event) => this.#onApplicationEvent(event),
    })
  }

  #onApplicationEvent(event: ApplicationEvent): void {
    // While draining, a probe that still succeeds must not bring callers back.
    if (event.event === 'health' && this.#closing === undefined) {
      this.#relay?.reportHealth(event.isHealthy, event.message)
    }
    this.#options.onEvent(event)
  }

  async #close(): Promise<void> {
    const { plan, clock, onEvent } = this.#options
    const startMs = clock.monotonicMs()
    const passedMs = (): number => clock.monotonicMs() - startMs
    const tell = (step: EndStep): void =>
      onEvent({ event: 'ending', step, afterMs: Math.round(passedMs()) })
    this.#abort.abort()
    if (this.#application?.isRunning === true) {
      tell('not-ready')
      if (plan.ports.length > 0) await this.#drain(tell)
      // The time that the drain has left goes to the application.
      await this.#application.stop(Math.max(0, plan.termination.deadlineMs - passedMs()))
      tell('application-ended')
    } else await this.#application?.stop(0)
    await this.#dispose()
    tell('closed')
  }

  async #drain(tell: (step: EndStep) => void): Promise<void> {
    const { plan, clock } = this.#options
    if (this.#addresses === undefined) return
    this.#relay?.reportHealth(false, 'the workload is draining')
    tell('control-plane-told')
    const { deadlineMs, drainMs, zeroConnectionsMinMs } = plan.termination
    // Half of a short deadline, where the application's grace would take it all.
    const keptMs = Math.min(plan.application.stopGraceMs, deadlineMs / 2)
    const limits = { drainMs: Math.min(drainMs, deadlineMs - keptMs), zeroConnectionsMinMs }
    await drainInbound({ adminAddress: this.#addresses.admin, clock }, limits, tell)
  }

  async #dispose(): Promise<void> {
    const { plan } = this.#options
    await this.#sidecar?.[Symbol.asyncDispose]()
    await this.#relay?.[Symbol.asyncDispose]()
    this.#identity?.[Symbol.dispose]()
    await this.#reaper[Symbol.asyncDispose]()
    if (plan.isStateKept) return
    this.#leases?.release(leaseOwner(plan))
    rmSync(plan.stateFolder, { recursive: true, force: true })
  }
}

function failedEvent(error: unknown): WorkloadEvent {
  const remedy = error instanceof MeshError ? error.remedy : undefined
  return { event: 'failed', message: describeError(error), remedy }
}

function commandOf(
  { command, isExpanded }: ApplicationPlan,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (isExpanded) return parseCommand(command, env)
  return typeof command === 'string' ? splitCommand(command) : command
}

/** The plan's probe with its port and variables filled in; else the first port has to accept connections. */
function probeOf(
  plan: WorkloadPlan,
  addresses: WorkloadAddresses,
  env: Readonly<Record<string, string | undefined>>,
): ProbeConfig | undefined {
  const port = addresses.ports[0]?.appPort
  const planned = plan.application.probe
  if (planned === undefined) {
    return port === undefined
      ? undefined
      : {
          action: { kind: 'tcp', host: '127.0.0.1', port },
          initialDelayMs: 0,
          timeoutMs: 1_000,
          periodMs: 2_000,
          successThreshold: 1,
          failureThreshold: 3,
        }
  }
  const { action } = planned
  if (action.kind === 'exec') {
    const command = action.command.map((word) => expandVariables(word, env))
    return { ...planned, action: { ...action, command } }
  }
  return { ...planned, action: { ...action, port: action.port ?? port ?? 0 } }
}
