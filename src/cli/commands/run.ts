/**
 * `tulle run -- COMMAND`: puts one command into a running mesh, as a client or as an endpoint of a service.
 *
 * Its standard streams are ours, and its exit code becomes ours, so that it can stand in a script.
 */
import { basename, join, resolve } from 'node:path'

import { openIdentity } from '../../agent/open-identity.ts'
import { openRelay } from '../../agent/open-relay.ts'
import { openSidecar } from '../../agent/open-sidecar.ts'
import { RunningWorkload, type WorkloadEvent } from '../../agent/run-workload.ts'
import type {
  ApplicationPlan,
  IdentityPlan,
  PlannedPort,
  PlannedProbe,
  WorkloadPlan,
} from '../../agent/workload-plan.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog, type LogLevel } from '../../lib/log.ts'
import { MeshError, type MeshErrorCode } from '../../lib/mesh-error.ts'
import { systemRandom, type Random } from '../../lib/random.ts'
import { mergeProxyConfigs, type ProxyConfig } from '../../model/mesh/proxy-config.ts'
import {
  dnsLabel as workloadName,
  dnsSubdomain,
  labelKey,
  labelValue,
} from '../../model/schema/name-format.ts'
import type { Check } from '../../model/schema/shape.ts'
import {
  kebab,
  meshFlags,
  namespaceFlag,
  usageError,
  type CliContext,
  type Command,
  type CommandInput,
  type FlagValues,
} from '../command.ts'
import { findMesh, tulleHome, type RunningMesh } from '../home.ts'
import { printError } from '../program.ts'
import type { Terminal } from '../terminal.ts'
import { parseUpstream, withRoots } from '../up/mesh-plan.ts'
import { planDrain, planProxy } from '../up/proxy-plan.ts'

/** Of the time from a signal to the end. */
const drainDefaultMs = 5_000

const protocols = ['http', 'http2', 'grpc', 'grpc-web', 'tcp', 'tls', 'auto'] as const

export const runCommand: Command = {
  name: 'run',
  summary: 'run a command inside a running mesh, as a client or as an endpoint of a service',
  description:
    'The command gets the variables that lead its HTTP through a sidecar of its own (HTTP_PROXY and its kin). ' +
    'With --service it serves too: it listens on --port, given as $PORT, and callers are sent to it while it is ' +
    'healthy. Its exit code is passed on.',
  arguments: [{ name: '<command...>', summary: 'the command and its arguments, after --' }],
  hasForeignFlags: true,
  flags: [
    {
      flags: '--service <name>',
      summary: 'the service that it serves; declared when nobody else has',
    },
    {
      flags: '--port <port>',
      summary:
        "the service's port; PORT:APP when the application listens on another (0: a free one)",
      isRepeatable: true,
    },
    {
      flags: '--protocol <name>',
      summary: 'what its ports speak; auto: what the first bytes of a connection say',
      default: 'http',
      choices: [...protocols],
    },
    { flags: '--label <key=value>', summary: 'a label, such as version=v3', isRepeatable: true },
    {
      flags: '--upstream <host:port>',
      summary: 'a localhost port that leads there, for TCP',
      isRepeatable: true,
    },
    {
      flags: '--probe-path <path>',
      summary: 'healthy when GET PATH on its port says so (default: when it accepts)',
    },
    { flags: '--name <name>', summary: "the workload's name (default: made from the command)" },
    { flags: '--service-account <name>', summary: 'its service account', default: 'default' },
    namespaceFlag,
    {
      flags: '--proxy <kind>',
      summary: 'the sidecar: tulle, or a real envoy',
      default: 'tulle',
      choices: ['tulle', 'envoy'],
    },
    {
      flags: '--envoy <path>',
      summary: 'the Envoy program for --proxy envoy (default: envoy on PATH)',
    },
    {
      flags: '--concurrency <number>',
      summary: 'threads of the sidecar that carry traffic (default: as the mesh says, else 1)',
    },
    {
      flags: '--on-demand <when>',
      summary:
        'fetch routes and clusters when they are first called; auto: as meshConfig.onDemand says, and off with --proxy envoy',
      default: 'auto',
      choices: ['auto', 'on', 'off'],
    },
    {
      flags: '--grace-period-s <seconds>',
      summary: 'from a signal to the end of everything: the drain, the command, the sidecar',
      default: '10',
    },
    {
      flags: '--drain-s <seconds>',
      summary:
        'how much of it may go to requests and connections under way (default: as the mesh says, else 5)',
    },
    {
      flags: '--control-plane <host:port>',
      summary: 'its address, instead of a mesh found on this host',
    },
    {
      flags: '--token-file <path>',
      summary:
        'file with a join token, to join from another host (or TULLE_TOKEN_FILE); on this host none is needed',
    },
    {
      flags: '--root-cert <path>',
      summary: "file with the mesh's roots, for a token that does not name them (a JWT)",
    },
    {
      flags: '--credentials <dir>',
      summary:
        'folder of the credentials that DestinationRules name: DIR/NAME/{tls.crt,tls.key,ca.crt,ca.crl}',
    },
    {
      flags: '--trust-domain <name>',
      summary: 'of the mesh, with --control-plane',
      default: 'cluster.local',
    },
    ...meshFlags.slice(0, 1),
    {
      flags: '--log-level <level>',
      summary: 'of the sidecar, to standard error',
      default: 'error',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
    },
  ],
  examples: [
    {
      command: 'tulle run -- curl -s http://my-go-service:8080/',
      does: 'one request as a client of the mesh',
    },
    {
      command:
        'tulle run --service my-go-service --port 8080 --label version=v3 -- ./my-go-service',
      does: 'one more version of a service',
    },
    {
      command: "tulle run --upstream postgres:5432 -- sh -c 'psql -h ${POSTGRES_5432_ADDRESS%:*}'",
      does: 'a TCP client',
    },
  ],
  async run(input) {
    const plan = planRun(input, systemRandom)
    const workload = new RunningWorkload({
      plan,
      env: input.context.env,
      stdio: 'inherit',
      capture: 'env',
      clock: systemClock,
      random: systemRandom,
      log: createLog({
        name: plan.instance,
        level: (input.flags.text('logLevel') ?? 'error') as LogLevel,
      }),
      openIdentity,
      openRelay,
      openSidecar,
      onEvent: tellWhatIsWaitedFor(input.context.terminal),
    })
    using _stop = stopOnSignals(input.context, workload)
    try {
      return { exitCode: await workload.run() }
    } catch (error) {
      return { exitCode: exitCodeOf(error, input.context.terminal) }
    }
  },
}

/**
 * The command starts when there is a certificate, and a control plane that does not answer is waited for: without a word
 * a wrong address looks like a command that hangs. A reason is told when it is another one than before.
 */
export function tellWhatIsWaitedFor(
  terminal: Pick<Terminal, 'writeError'>,
): (event: WorkloadEvent) => void {
  let last: string | undefined
  return (event) => {
    // With a certificate in use the renewal has time, and the log has its warnings.
    if (event.event !== 'certificate-failed' || event.notAfterMs !== undefined) return
    if (event.message === last) return
    last = event.message
    terminal.writeError(`tulle: waiting, Ctrl-C ends it: ${event.message}\n`)
  }
}

/** What a shell would end with, had it been asked to run the command; throws what has to do with the mesh. */
function exitCodeOf(error: unknown, terminal: Terminal): number {
  const code = error instanceof MeshError ? shellCodes[error.code] : undefined
  if (code === undefined) throw error
  printError(error, terminal)
  return code
}

const shellCodes: Partial<Record<MeshErrorCode, number>> = {
  MESH_COMMAND_NOT_FOUND: 127,
  MESH_COMMAND_NOT_EXECUTABLE: 126,
}

/** The first Ctrl-C is the command's own affair, as it would be without us. */
function stopOnSignals(context: CliContext, workload: RunningWorkload): Disposable {
  let interrupts = 0
  return context.onStop((reason) => {
    if (reason === 'SIGINT') interrupts++
    if (reason === 'SIGINT' && interrupts === 1 && workload.isApplicationRunning) {
      workload.signal('SIGINT')
    } else {
      void workload.stop()
    }
  })
}

export function planRun(input: CommandInput, random: Random): WorkloadPlan {
  const { arguments: words, flags, context } = input
  const home = tulleHome(context.env)
  const { service, ports } = parseService(flags)
  const { workload, instance } = nameWorkload(flags, words, random)
  const serviceAccount = checkedFlag(flags, 'serviceAccount', dnsSubdomain) ?? 'default'
  const labels = { app: service ?? workload, ...parseLabels(flags.list('label')) }
  const mesh = meshToJoin(flags, context)
  const namespace = flags.text('namespace') ?? mesh.namespace
  const config = proxyConfigOf(flags, mesh)
  const planned = planProxy(config, { workload, namespace, labels })
  return {
    mesh: { name: mesh.name, trustDomain: mesh.trustDomain },
    identity: {
      ...planIdentity(input, mesh),
      ...withRoots(mesh.identity, config),
    },
    instance,
    workload,
    namespace,
    serviceAccount,
    labels,
    group: undefined,
    service,
    ports,
    upstreams: flags.list('upstream').map((text) => parseUpstream(workload, text)),
    locality: '',
    bindAddress: '127.0.0.1',
    application: planApplication(input, config),
    controlPlane: mesh.xds,
    credentials: pathFlag(input, 'credentials'),
    stateFolder: join(home.stateOf(mesh.name), namespace, instance),
    isStateKept: flags.text('name') !== undefined,
    portFolder: home.ports,
    proxy: {
      kind: flags.text('proxy') === 'envoy' ? 'envoy' : 'tulle',
      program: flags.text('envoy'),
      onDemand: onDemandWishes.find((wish) => wish === flags.text('onDemand')) ?? 'auto',
      ...planned,
      // The command's output is for whoever reads it.
      metadata: { ...planned.metadata, KEEP_STDOUT: 'true' },
    },
    termination: planDrain(config, {
      deadlineMs: (flags.number('gracePeriodS', { low: 0, high: 86_400 }) ?? 10) * 1_000,
      drainMs: drainDefaultMs,
    }),
  }
}

/** What the mesh says of every sidecar; the command line goes before it. */
function proxyConfigOf(flags: FlagValues, { proxyConfig = {} }: MeshToJoin): ProxyConfig {
  // Ports of the host are for the one workload that was meant.
  const { statusPort: _status, proxyAdminPort: _admin, ...shared } = proxyConfig
  const concurrency = flags.number('concurrency', { low: 0, high: 1_024 })
  const drainS = flags.number('drainS', { low: 0, high: 86_400 })
  return mergeProxyConfigs([
    shared,
    concurrency === undefined ? undefined : { concurrency },
    drainS === undefined ? undefined : { terminationDrainDuration: `${drainS}s` },
  ])
}

function parseService(flags: FlagValues): Pick<WorkloadPlan, 'service' | 'ports'> {
  const service = checkedFlag(flags, 'service', dnsSubdomain)
  const protocol = flags.text('protocol') ?? 'http'
  const ports = flags.list('port').map((text, index) => parsePort(text, index, protocol))
  if (service !== undefined && ports.length === 0) throw usageError('--service needs --port')
  if (service === undefined && ports.length > 0) throw usageError('--port needs --service')
  return { service, ports }
}

/** Without a name of its own each run is another workload instance. */
function nameWorkload(
  flags: FlagValues,
  words: readonly string[],
  random: Random,
): Pick<WorkloadPlan, 'workload' | 'instance'> {
  const given = checkedFlag(flags, 'name', workloadName)
  if (given !== undefined) return { workload: given, instance: given }
  const workload = flags.text('service') ?? dnsLabel(basename(words[0] ?? ''))
  const draw = Math.floor(random() * 36 ** 5)
  return { workload, instance: `${workload}-${draw.toString(36).padStart(5, '0')}` }
}

function planApplication(
  { arguments: words, flags, context }: CommandInput,
  { holdApplicationUntilProxyStarts = true }: ProxyConfig,
): ApplicationPlan {
  return {
    command: words,
    // The shell that we were called from has replaced what was to be replaced.
    isExpanded: false,
    cwd: context.cwd,
    env: {},
    probe: planProbePath(flags.text('probePath')),
    restart: 'never',
    stopGraceMs: 5_000,
    isHeldUntilProxyStarts: holdApplicationUntilProxyStarts,
  }
}

function pathFlag({ flags, context }: CommandInput, name: string): string | undefined {
  const text = flags.text(name)
  return text === undefined ? undefined : resolve(context.cwd, text)
}

/** A token file says more than the hand-over: who gives one wants to be who it says. */
function planIdentity(input: CommandInput, { identity }: MeshToJoin): IdentityPlan {
  const { context } = input
  const fromEnvironment = context.env['TULLE_TOKEN_FILE'] || undefined
  const tokenFile = pathFlag(input, 'tokenFile') ?? fromEnvironment
  return {
    ...identity,
    // Absent in the JSON that a mesh is announced by.
    ttlMs: identity.ttlMs,
    handOver: tokenFile === undefined ? identity.handOver : undefined,
    tokenFile,
    rootsFile: pathFlag(input, 'rootCert'),
  }
}

type MeshToJoin = Pick<
  RunningMesh,
  'name' | 'xds' | 'namespace' | 'trustDomain' | 'identity' | 'proxyConfig'
>

function meshToJoin(flags: FlagValues, context: CliContext): MeshToJoin {
  const xds = flags.text('controlPlane')
  if (xds === undefined) return findMesh(tulleHome(context.env), flags.text('mesh'))
  if (!/^[^\s:]+:\d{1,5}$/.test(xds)) {
    throw usageError(`--control-plane: expected host:port, got ${xds}`)
  }
  return {
    name: flags.text('mesh') ?? 'remote',
    xds,
    namespace: 'default',
    trustDomain: flags.text('trustDomain') ?? 'cluster.local',
    identity: { trustDomainAliases: [], ttlMs: undefined, handOver: undefined },
  }
}

/** What the control plane would refuse, as a mistake in the command. */
function checkedFlag(flags: FlagValues, name: string, check: Check<string>): string | undefined {
  const value = flags.text(name)
  if (value !== undefined) requireGood(`--${kebab(name)}`, value, check)
  return value
}

function requireGood(flag: string, value: string, check: Check<string>): void {
  const problem = check(value)
  if (problem !== undefined) throw usageError(`${flag}: ${problem.message}`, problem.remedy)
}

/** The protocol is the beginning of a port's name, as in Kubernetes; of `auto` a name that says none. */
function portNameOf(protocol: string, index: number, servicePort: number): string {
  const name = protocol === 'auto' ? 'port' : protocol
  return index === 0 ? name : `${name}-${servicePort}`
}

function parsePort(text: string, index: number, protocol: string): PlannedPort {
  const match = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text)
  const servicePort = Number(match?.[1])
  const appPort = Number(match?.[2] ?? match?.[1])
  if (match === null || servicePort < 1 || servicePort > 65_535 || appPort > 65_535) {
    throw usageError(`--port: expected PORT or PORT:APP, got ${text}`)
  }
  return { name: portNameOf(protocol, index, servicePort), servicePort, appPort }
}

function parseLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw usageError(`--label: expected key=value, got ${pair}`)
      const key = pair.slice(0, at)
      const value = pair.slice(at + 1)
      requireGood('--label', key, labelKey)
      requireGood(`--label ${key}`, value, labelValue)
      return [key, value]
    }),
  )
}

function planProbePath(path: string | undefined): PlannedProbe | undefined {
  if (path === undefined) return undefined
  return {
    action: { kind: 'http', scheme: 'http', host: '127.0.0.1', port: undefined, path, headers: [] },
    initialDelayMs: 0,
    timeoutMs: 1_000,
    periodMs: 2_000,
    successThreshold: 1,
    failureThreshold: 3,
  }
}

/** A name that may stand in a node id and a label. */
function dnsLabel(text: string): string {
  const label = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return label === '' ? 'run' : label.slice(0, 40)
}

const onDemandWishes = ['auto', 'on', 'off'] as const
