/** `tulle control-plane`: the control plane alone, for sidecars that come by `tulle run` or from other hosts. */
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'

import {
  openControlPlane,
  type ControlPlaneOptions,
  type HostPort,
} from '../../control/control-plane.ts'
import { handOverSocket } from '../../control/identity/admin-server.ts'
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
import { parseJwtIssuer } from '../jwt-issuer-flag.ts'
import { packageVersion } from '../package-version.ts'
import { readMeshFile, type MeshFile } from '../up/mesh-file.ts'
import { identityPlanOf, meshIdentityOf } from '../up/mesh-plan.ts'

export const controlPlaneCommand: Command = {
  name: 'control-plane',
  summary: 'run the control plane alone: configuration from files, xDS and the API',
  description:
    'Reads the mesh file and the paths given, and watches them. Commands on this host find it as they find a mesh ' +
    'of tulle up. Sidecars connect over TLS and prove who they are; workloads of other hosts join by a token (tulle ' +
    'token create). The API has no authentication yet: keep it on loopback.',
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
      summary: 'where sidecars connect: xDS and certificates, over TLS',
      default: '127.0.0.1:15012',
    },
    {
      flags: '--plaintext-xds-address <host:port>',
      summary:
        'xDS without TLS too, for tools on this host that have no certificate; loopback only',
    },
    {
      flags: '--server-name <name>',
      summary: "further name or address in the control plane's certificate",
      isRepeatable: true,
    },
    {
      flags: '--ca-certs <folder>',
      summary: "an authority of your own, in a folder with Istio's cacerts files",
    },
    {
      flags: '--jwt-issuer <fields>',
      summary:
        'believe JWTs: issuer=URL,audience=NAME,jwks=FILE_OR_URL,namespace-claim=PATH,service-account-claim=PATH',
      isRepeatable: true,
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
      summary: "where registrations and the mesh's root are kept (default: in the home)",
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
    ...plaintextOf(flags),
    identity: {
      pluggedFolder: pathOf(input, 'caCerts'),
      hosts: flags.list('serverName'),
      jwtIssuers: flags.list('jwtIssuer').map((text) => parseJwtIssuer(text, context.cwd)),
    },
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

function plaintextOf(flags: FlagValues): Pick<ControlPlaneOptions, 'plaintextXds'> {
  const address = flags.text('plaintextXdsAddress')
  return address === undefined
    ? {}
    : { plaintextXds: parseAddress('--plaintext-xds-address', address) }
}

function pathOf({ flags, context }: CommandInput, name: string): string | undefined {
  const path = flags.text(name)
  return path === undefined ? undefined : resolve(context.cwd, path)
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
    ...(meshFile?.spec.meshConfig?.defaultConfig && {
      proxyConfig: meshFile.spec.meshConfig.defaultConfig,
    }),
    file: meshFile?.path ?? '',
    startedAt: new Date(systemClock.nowMs()).toISOString(),
  })
}
