/**
 * Runs a whole mesh: builds, the control plane, the services' workloads, then the clients, each step when the
 * one before is ready; and ends it all within five seconds.
 *
 * Everything runs in processes of their own, so that a crash of one takes nothing else down and each can be
 * looked at and killed by itself.
 */
import { parseCommand } from '../../agent/process/command-line.ts'
import { ProcessGroup } from '../../agent/process/process-group.ts'
import type { Reaper } from '../../agent/process/reaper.ts'
import type { WorkloadEvent } from '../../agent/run-workload.ts'
import type { WorkloadAddresses, WorkloadPlan } from '../../agent/workload-plan.ts'
import type { Clock } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import type { Build, MeshPlan } from './mesh-plan.ts'
import { MeshProcess } from './mesh-process.ts'
import type { MeshEvent, ProcessLog } from './process-log.ts'
import type { SupervisorMessage } from './supervisor-message.ts'

export interface MeshSupervisorOptions {
  readonly plan: MeshPlan
  /** Program and arguments that start the CLI again. */
  readonly self: readonly string[]
  /** Arguments of `tulle control-plane`. */
  readonly controlPlaneArguments: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: ProcessLog
  readonly reaper: Reaper
  readonly clock: Clock
  readonly random: Random
}

/** A workload as the supervisor knows it. */
export interface WorkloadState {
  readonly plan: WorkloadPlan
  readonly process: MeshProcess
  addresses: WorkloadAddresses | undefined
  isHealthy: boolean
  /** Why it is not healthy. */
  message: string
}

/** Longest wait for a group of processes before the next one is started all the same. */
const controlPlaneReadyMs = 30_000
const workloadsReadyMs = 30_000
/** Parts of the five seconds that an end may take. */
const clientsFirstMs = 700
const stopGraceMs = 3_500
/** What an agent needs beside the deadline that its workload has. */
const agentEndMs = 500
const controlPlaneStopMs = 500

export class MeshSupervisor {
  readonly #options: MeshSupervisorOptions
  readonly #workloads: WorkloadState[] = []
  #controlPlane: MeshProcess | undefined
  #build: ProcessGroup | undefined
  #isStopping = false
  #changed: () => void = () => {}

  constructor(options: MeshSupervisorOptions) {
    this.#options = options
  }

  wasKilled = false

  get isStopping(): boolean {
    return this.#isStopping
  }

  get workloads(): readonly WorkloadState[] {
    return this.#workloads
  }

  /** Resolves when everything has been started and is healthy, or has been waited for long enough. */
  async start(): Promise<void> {
    const { plan } = this.#options
    for (const build of plan.builds) await this.#runBuild(build)
    await this.#startControlPlane()
    await this.#startWorkloads(plan.services)
    await this.#startWorkloads(plan.clients)
  }

  /** Clients first, so that nobody calls a service that has gone. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#changed()
    this.#build?.signal('SIGKILL')
    const serves = (workload: WorkloadState) => workload.plan.ports.length > 0
    const stop = (workloads: readonly WorkloadState[]) =>
      Promise.all(
        workloads.map(({ process, plan }) =>
          process.stop(Math.max(stopGraceMs, plan.termination.deadlineMs + agentEndMs)),
        ),
      )
    const clients = stop(this.#workloads.filter((workload) => !serves(workload)))
    await Promise.race([clients, this.#wait(clientsFirstMs)])
    await Promise.all([clients, stop(this.#workloads.filter(serves))])
    await this.#controlPlane?.stop(controlPlaneStopMs)
  }

  /** At once; for somebody who presses Ctrl-C again. */
  kill(): void {
    this.#isStopping = true
    this.wasKilled = true
    for (const { process } of this.#workloads) process.kill()
    this.#controlPlane?.kill()
  }

  async #runBuild(build: Build): Promise<void> {
    if (this.#isStopping) return
    const { env, log, reaper, clock } = this.#options
    const command = parseCommand(build.command, env)
    const startedMs = clock.monotonicMs()
    log.say(`building ${build.workload}: ${command.join(' ')}`)
    const stdio = ['ignore', 'pipe', 'pipe'] as const
    const { cwd } = build
    const group = await ProcessGroup.start({ command, cwd, env, stdio: [...stdio], reaper, clock })
    this.#build = group
    for (const stream of [group.child.stdout, group.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => log.line(build.workload, chunk.toString().trimEnd()))
    }
    const { code } = await group.exited
    this.#build = undefined
    if (code !== 0 && !this.#isStopping) {
      throw new MeshError(
        'MESH_COMMAND_FAILED',
        `the build of ${build.workload} ended with code ${code}: ${command.join(' ')}`,
        { remedy: `run it by hand in ${cwd}` },
      )
    }
    const seconds = ((clock.monotonicMs() - startedMs) / 1_000).toFixed(1)
    log.event({ event: 'built', workload: build.workload, seconds: Number(seconds) })
  }

  async #startControlPlane(): Promise<void> {
    if (this.#isStopping) return
    const { log } = this.#options
    let isReady = false
    const controlPlane = this.#createProcess({
      name: 'control-plane',
      words: ['control-plane', ...this.#options.controlPlaneArguments],
      firstMessage: undefined,
      onMessage: (message) => {
        if (message.event !== 'control-plane-ready') return
        isReady = true
        log.event({ ...message }, `control plane: API ${message.api}, xDS ${message.xds}`)
        this.#changed()
      },
    })
    this.#controlPlane = controlPlane
    await controlPlane.start()
    if (await this.#until(() => isReady, controlPlaneReadyMs)) return
    throw new MeshError(
      'MESH_CONTROL_PLANE_UNREACHABLE',
      `the control plane was not ready within ${controlPlaneReadyMs / 1_000} s`,
      { remedy: 'its own lines above say why' },
    )
  }

  async #startWorkloads(plans: readonly WorkloadPlan[]): Promise<void> {
    if (this.#isStopping) return
    const started = plans.map((plan) => this.#createWorkload(plan))
    this.#workloads.push(...started)
    await Promise.all(started.map(({ process }) => process.start()))
    const waiting = () => started.filter((workload) => !workload.isHealthy)
    if (await this.#until(() => waiting().length === 0, workloadsReadyMs)) return
    for (const { plan, message } of waiting()) {
      this.#options.log.say(`${plan.instance} is not healthy yet: ${message}`)
    }
  }

  #createWorkload(plan: WorkloadPlan): WorkloadState {
    const state: WorkloadState = {
      plan,
      addresses: undefined,
      isHealthy: false,
      message: 'it has not reported yet',
      process: this.#createProcess({
        name: plan.instance,
        words: ['agent'],
        firstMessage: plan,
        onMessage: (message) => {
          if (message.event !== 'control-plane-ready') this.#onWorkloadEvent(state, message)
        },
      }),
    }
    return state
  }

  #onWorkloadEvent(state: WorkloadState, event: WorkloadEvent): void {
    const { instance } = state.plan
    if (event.event === 'assigned') state.addresses = event.addresses
    if (event.event === 'health') {
      state.isHealthy = event.isHealthy
      state.message = event.message
    }
    // While everything is being ended, an end is no news.
    const text = this.#isStopping ? undefined : describeEvent(instance, event)
    this.#options.log.event({ workload: instance, ...event }, text)
    this.#changed()
  }

  #createProcess(options: {
    name: string
    words: readonly string[]
    firstMessage: unknown
    onMessage: (message: SupervisorMessage) => void
  }): MeshProcess {
    const { self, cwd, env, log, reaper, clock, random } = this.#options
    const { name, words, firstMessage } = options
    return new MeshProcess({
      name,
      command: [...self, ...words],
      cwd,
      env,
      firstMessage,
      reaper,
      clock,
      random,
      // Sent by our own code on the other side of the channel.
      onMessage: (message) => options.onMessage(message as SupervisorMessage),
      onLine: (line) => log.line(name, line),
      onEnd: (exit, restartMs) => {
        this.#onProcessEnd(name, `code ${exit.code}`, restartMs)
      },
    })
  }

  #onProcessEnd(name: string, how: string, restartMs: number): void {
    const state = this.#workloads.find(({ plan }) => plan.instance === name)
    if (state !== undefined) {
      state.isHealthy = false
      state.message = `its process ended with ${how}`
    }
    const event: MeshEvent = { event: 'process-ended', process: name, how, restartMs }
    this.#options.log.event(
      event,
      `${name} ended with ${how}, starts again in ${waitText(restartMs)}`,
    )
  }

  /** True when the condition held before the deadline; checked on each change. */
  #until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (result: boolean) => {
        timer.cancel()
        this.#changed = () => {}
        resolve(result)
      }
      const timer = this.#options.clock.setTimer(deadlineMs, () => finish(false))
      this.#changed = () => {
        if (condition() || this.#isStopping) finish(true)
      }
      this.#changed()
    })
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(delayMs, resolve))
  }
}

/** In words what a person wants to read; undefined for the rest. */
function describeEvent(instance: string, event: WorkloadEvent): string | undefined {
  if (event.event === 'failed') {
    const next = event.remedy === undefined ? '' : `\n  next: ${event.remedy}`
    return `${instance}: ${event.message}${next}`
  }
  if (event.event === 'health') {
    return event.isHealthy ? `${instance} is healthy` : `${instance} is unhealthy: ${event.message}`
  }
  if (event.event === 'certificate-failed') {
    const until = event.notAfterMs === undefined ? '' : untilText(event.notAfterMs)
    return `${instance} got no certificate, tries again in ${waitText(event.retryMs)}${until}: ${event.message}`
  }
  if (event.event === 'application-ended' && event.restartMs !== undefined) {
    return `${instance}: ${event.message}, starts again in ${waitText(event.restartMs)}`
  }
  return undefined
}

function untilText(notAfterMs: number): string {
  return `; its own ends ${new Date(notAfterMs).toISOString()}`
}

function waitText(waitMs: number): string {
  return `${(waitMs / 1_000).toFixed(1)} s`
}
