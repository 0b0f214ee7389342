/** `tulle up FILE`: a whole mesh on this host, from one file, until Ctrl-C. */
import { rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

import { PortLeases } from '../../agent/process/port-lease.ts'
import { Reaper } from '../../agent/process/reaper.ts'
import { handOverSocket } from '../../control/identity/admin-server.ts'
import { systemClock } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { systemRandom } from '../../lib/random.ts'
import type { Issue } from '../../model/issue.ts'
import { outputFlag, type CliContext, type Command, type CommandInput } from '../command.ts'
import { announceMesh, findMeshes, tulleHome, type RunningMesh, type TulleHome } from '../home.ts'
import { issuesText } from '../issue-text.ts'
import { watchIssues } from '../up/issue-watch.ts'
import { readMeshFile, type MeshFile } from '../up/mesh-file.ts'
import { identityPlanOf, meshIdentityOf, planMesh, type MeshPlan } from '../up/mesh-plan.ts'
import { MeshSupervisor } from '../up/mesh-supervisor.ts'
import { nextSteps } from '../up/next-steps.ts'
import { createJsonLog, createTextLog, type ProcessLog } from '../up/process-log.ts'
import { readProxyConfigs } from '../up/read-proxy-configs.ts'
import { readyEvent } from '../up/ready-event.ts'

/** The mesh is being ended by force; what it started has this long to end by itself. */
const reaperGraceMs = 3_000
/** Ctrl-C ends everything within five seconds. */
const stopDeadlineMs = 4_500

export const upCommand: Command = {
  name: 'up',
  summary: 'start a whole mesh from one file: control plane, sidecars and services',
  description:
    'Runs until Ctrl-C, which ends everything within five seconds; so does the end of this process by any ' +
    'other means. The folders named under spec.config are watched: what you edit there takes effect at once. ' +
    'With -o json it prints one JSON object a line; the one with "event": "ready" has every address.',
  arguments: [{ name: '<file>', summary: 'the mesh file (kind: Mesh)' }],
  flags: [
    { ...outputFlag, summary: 'text or json', default: 'text', choices: ['text', 'json'] },
    {
      flags: '--proxy <kind>',
      summary: 'the sidecars: tulle, or a real envoy',
      default: 'tulle',
      choices: ['tulle', 'envoy'],
    },
    {
      flags: '--envoy <path>',
      summary: 'the Envoy program for --proxy envoy (default: envoy on PATH)',
    },
  ],
  examples: [
    { command: 'tulle up mesh.yaml', does: 'start the mesh; its processes log here' },
    { command: 'tulle up mesh.yaml -o json', does: 'the same for a program that reads the log' },
  ],
  async run(input) {
    const { context, flags } = input
    const meshFile = readMeshFile(
      resolve(context.cwd, input.arguments[0] ?? ''),
      context.terminal,
      context.cwd,
    )
    const home = tulleHome(context.env)
    rejectRunning(home, meshFile.name)
    const mesh = await prepare(input, meshFile, home)
    const instances = [...mesh.plan.services, ...mesh.plan.clients].map(({ instance }) => instance)
    const isJson = flags.text('output') === 'json'
    const log = isJson
      ? createJsonLog(context.terminal)
      : createTextLog(context.terminal, ['tulle', 'control-plane', ...instances])
    return runMesh({ ...mesh, context, log, home })
  },
}

interface PreparedMesh {
  readonly meshFile: MeshFile
  readonly plan: MeshPlan
  readonly running: RunningMesh
  readonly controlPlaneArguments: readonly string[]
}

/** Assigns the control plane's ports: kept across its restarts, so that sidecars find it again. */
async function prepare(
  { flags }: CommandInput,
  meshFile: MeshFile,
  home: TulleHome,
): Promise<PreparedMesh> {
  const { name, namespace, spec, path } = meshFile
  const leases = new PortLeases({ folder: home.ports, random: systemRandom, pid: process.pid })
  const api = `127.0.0.1:${await leases.lease(`${name}/control-plane/api`)}`
  const xds = `127.0.0.1:${await leases.lease(`${name}/control-plane/xds`)}`
  const stateFolder = join(home.stateOf(name), 'control-plane')
  const handOver = handOverSocket(stateFolder)
  const plan = planMesh({
    proxyConfigs: await readProxyConfigs(meshFile),
    mesh: name,
    namespace,
    spec,
    folder: dirname(path),
    controlPlane: xds,
    handOver,
    stateFolder: home.stateOf(name),
    portFolder: home.ports,
    proxy: {
      kind: flags.text('proxy') === 'envoy' ? 'envoy' : 'tulle',
      program: flags.text('envoy'),
    },
  })
  const running: RunningMesh = {
    name,
    pid: process.pid,
    api: `http://${api}`,
    xds,
    namespace,
    trustDomain: meshIdentityOf(name, spec).trustDomain,
    identity: { ...identityPlanOf(spec), handOver },
    ...(spec.meshConfig?.defaultConfig && { proxyConfig: spec.meshConfig.defaultConfig }),
    file: path,
    startedAt: new Date(systemClock.nowMs()).toISOString(),
  }
  // Nobody of a mesh before this one is still there. Its authority stays.
  rmSync(join(stateFolder, 'registrations.json'), { force: true })
  // Nor is anything in force yet that its files could have broken.
  rmSync(join(stateFolder, 'last-good'), { recursive: true, force: true })
  const files = ['--mesh-file', path, '--state-folder', stateFolder]
  const addresses = ['--api-address', api, '--xds-address', xds]
  const controlPlaneArguments = [...files, ...addresses, '--log-level', 'warn']
  return { meshFile, plan, running, controlPlaneArguments }
}

function rejectRunning(home: TulleHome, name: string): void {
  const other = findMeshes(home).find((mesh) => mesh.name === name)
  if (other === undefined) return
  throw new MeshError(
    'MESH_USAGE',
    `a mesh named ${name} runs already (process ${other.pid}, ${other.file})`,
    {
      remedy: `end it (kill ${other.pid}), or give this one another metadata.name`,
    },
  )
}

interface MeshToRun extends PreparedMesh {
  readonly context: CliContext
  readonly log: ProcessLog
  readonly home: TulleHome
}

async function runMesh(mesh: MeshToRun): Promise<{ exitCode: number }> {
  const { context, log, plan, running, home } = mesh
  await using reaper = new Reaper({ graceMs: reaperGraceMs })
  const supervisor = new MeshSupervisor({
    plan,
    self: context.self,
    controlPlaneArguments: mesh.controlPlaneArguments,
    cwd: context.cwd,
    env: context.env,
    log,
    reaper,
    clock: systemClock,
    random: systemRandom,
  })
  const stopped = stopOnRequest(mesh, supervisor)
  log.event(
    { event: 'starting', mesh: running.name, file: running.file, pid: running.pid },
    `starting mesh ${running.name} from ${basename(running.file)}`,
  )
  using _announcement = announceMesh(home, running)
  using issues = watchIssues({
    api: running.api,
    clock: systemClock,
    onIssue: (issue) =>
      log.event({ event: 'issue', ...issue }, issuesText([issue], context).trimEnd()),
    onSolved: (issue) => log.event({ event: 'issue-solved', ...issue }, solvedText(issue)),
  })
  try {
    await Promise.race([supervisor.start(), stopped])
    issues.isSettled = true
    if (!supervisor.isStopping) {
      const event = readyEvent(running, supervisor.workloads)
      log.event({ ...event }, nextSteps(event, mesh.meshFile.annotations['tulle.dev/next']))
    }
  } catch (error) {
    await stopWithin(supervisor)
    throw error
  }
  const reason = await stopped
  // Agents that were killed leave their applications to the reapers.
  const text = supervisor.wasKilled
    ? 'killed; an application that ignores SIGTERM ends within some seconds'
    : 'everything has ended'
  log.event({ event: 'stopped', reason }, text)
  return { exitCode: 0 }
}

function solvedText({ code, resource, path, file }: Issue): string {
  // A document that could not be read has neither a resource nor a path.
  const subject = [resource, path].filter((part) => part !== '').join(' ')
  return `solved: ${code} ${subject === '' ? basename(file) : subject}`
}

/** Resolves when somebody asked for the end and everything has ended; a second request is not patient. */
function stopOnRequest({ context, log }: MeshToRun, supervisor: MeshSupervisor): Promise<string> {
  return new Promise((resolve) => {
    let requests = 0
    context.onStop((reason) => {
      requests++
      if (requests > 1) supervisor.kill()
      if (requests !== 1) return
      log.event({ event: 'stopping', reason }, 'ending clients, services, control plane')
      const end = async () => {
        await stopWithin(supervisor)
        resolve(reason)
      }
      void end()
    })
  })
}

async function stopWithin(supervisor: MeshSupervisor): Promise<void> {
  const deadline = systemClock.setTimer(stopDeadlineMs, () => supervisor.kill())
  await supervisor.stop()
  deadline.cancel()
}
