/** `tulle control-plane`: the control plane alone, for sidecars that come by `tulle run` or from other hosts. */
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'

import {
  openControlPlane,
  type ControlPlaneOptions,
  type HostPort,
} from '../../control/control-plane.ts'
import { handOverSocket } from '../../control/hand-over.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog, type LogLevel } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import {
  namespaceFlag,
  usageError,
  type CliContext,
  type Command,
  type CommandInput,
  type FlagValues,
} from '../command.ts'
import { announceMesh, tulleHome, type RunningMesh } from '../home.ts'
import { packageVersion } from '../package-version.ts'
import { readMeshFile, type MeshFile } from '../up/mesh-file.ts'
import { identityPlanOf, meshIdentityOf } from '../up/mesh-plan.ts'

export const controlPlaneCommand: Command = {
  name: 'control-plane',
  summary: 'run the control plane alone: configuration from files, xDS and the API',
  description:
    'Reads the mesh file and the paths given, and watches them. Commands on this host find it as they find a mesh ' +
    'of tulle up. It has no authentication yet: keep both addresses on loopback or in a network that you trust.',
  arguments: [{ name: '[path...]', summary: 'files and folders of YAML' }],
  flags: [
    { flags: '--mesh-file <file>', summary: 'a mesh file; its workloads are not started' },
    {
      flags: '--name <name>',
      summary: 'name of the mesh, when no mesh file says it',
      default: 'default',
    },
    namespaceFlag,
    {
      flags: '--xds-address <host:port>',
      summary: 'where sidecars connect',
      default: '127.0.0.1:15010',
    },
    {
      flags: '--api-address <host:port>',
      summary: 'where the API listens',
      default: '127.0.0.1:15014',
    },
    {
      flags: '--store <kind>',
      summary: 'memory: the API can be written to, until this process ends',
      choices: ['memory'],
    },
    {
      flags: '--state-folder <folder>',
      summary: 'where registrations are kept (default: in the home)',
    },
    {
      flags: '-l, --log-level <level>',
      summary: 'of its log, on standard error',
      default: 'info',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
    },
  ],
  examples: [
    { command: 'tulle control-plane config/', does: 'serve a folder of YAML' },
    {
      command: 'tulle control-plane --mesh-file mesh.yaml',
      does: 'serve a mesh file; start workloads with tulle run',
    },
  ],
  async run(input) {
    const { context, flags } = input
    const path = flags.text('meshFile')
    const meshFile =
      path === undefined
        ? undefined
        : readMeshFile(resolve(context.cwd, path), context.terminal, context.cwd)
    const name = meshFile?.name ?? flags.text('name') ?? 'default'
    const stopped = new Promise<void>((resolve) => {
      context.onStop(() => resolve())
    })
    await using controlPlane = await openControlPlane(optionsOf(input, meshFile, name))
    const { apiUrl: api, xdsAddress: xds } = controlPlane
    context.supervisor?.send({ event: 'control-plane-ready', api, xds })
    using _announcement =
      context.supervisor === undefined
        ? announceAlone(context, meshFile, {
            name,
            api,
            xds,
            namespace: namespaceOf(flags, meshFile),
            handOver: handOverSocket(stateFolderOf(input, name)),
          })
        : undefined
    await stopped
    return { exitCode: 0 }
  },
}

function namespaceOf(flags: FlagValues, meshFile: MeshFile | undefined): string {
  return flags.text('namespace') ?? meshFile?.namespace ?? 'default'
}

function stateFolderOf({ flags, context }: CommandInput, name: string): string {
  const given = flags.text('stateFolder')
  if (given !== undefined) return resolve(context.cwd, given)
  return join(tulleHome(context.env).stateOf(name), 'control-plane')
}

function optionsOf(
  input: CommandInput,
  meshFile: MeshFile | undefined,
  name: string,
): ControlPlaneOptions {
  const { arguments: paths, context, flags } = input
  return {
    ...(meshFile === undefined ? {} : { meshFile: meshFile.path }),
    configPaths: paths.map((path) => resolve(context.cwd, path)),
    namespace: namespaceOf(flags, meshFile),
    ...(flags.text('store') === 'memory' ? { store: 'memory' } : {}),
    xds: parseAddress('--xds-address', flags.text('xdsAddress') ?? ''),
    api: parseAddress('--api-address', flags.text('apiAddress') ?? ''),
    stateFolder: stateFolderOf(input, name),
    version: packageVersion(),
    clock: systemClock,
    random: systemRandom,
    log: createLog({
      name: 'control-plane',
      level: (flags.text('logLevel') ?? 'info') as LogLevel,
    }),
  }
}

function parseAddress(flag: string, text: string): HostPort {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const port = Number(text.slice(colon + 1))
  const isHost = isIP(host) !== 0 || host === 'localhost'
  if (!isHost || !/^\d+$/.test(text.slice(colon + 1)) || port > 65_535) {
    throw usageError(`${flag}: expected IP:PORT, got ${text}`)
  }
  return { host, port }
}

/** Says where it is, to people and to other commands. */
function announceAlone(
  { env, terminal }: CliContext,
  meshFile: MeshFile | undefined,
  {
    handOver,
    ...mesh
  }: Pick<RunningMesh, 'name' | 'api' | 'xds' | 'namespace'> & {
    readonly handOver: string
  },
): Disposable {
  terminal.write(`control plane of mesh ${mesh.name}: API ${mesh.api}, xDS ${mesh.xds}\n`)
  return announceMesh(tulleHome(env), {
    ...mesh,
    pid: process.pid,
    trustDomain: meshIdentityOf(mesh.name, meshFile?.spec).trustDomain,
    identity: { ...identityPlanOf(meshFile?.spec), handOver },
    file: meshFile?.path ?? '',
    startedAt: new Date(systemClock.nowMs()).toISOString(),
  })
}
