/**
 * `tulle upgrade [WORKLOAD...]`: replaces the sidecars of workloads on this host by ones of the version that this command
 * is of, without a connection refused and without a restart of the applications.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { askAdmin } from '../../agent/admin-client.ts'
import { agentSocketPath } from '../../agent/socket-path.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import {
  meshFlags,
  namespaceFlag,
  outputFlag,
  type Command,
  type CommandInput,
} from '../command.ts'
import { findMesh, tulleHome } from '../home.ts'
import type { Cell } from '../output.ts'
import { packageVersion } from '../package-version.ts'

export const upgradeCommand: Command = {
  name: 'upgrade',
  summary: 'replace the sidecars of workloads on this host by this version, while they serve',
  description:
    'A process of this version takes the listening sockets over from the sidecar that runs: no connection is refused. ' +
    'What is open there goes on, is told to end, and is cut after the drain time (drainDuration, 45 s) and half of it ' +
    'again. The application is not restarted, and its agent stays the version that it was until it is. ' +
    'Without names all workloads of the mesh on this host, one after the other. Exit code 1 when one was not replaced; ' +
    'its old sidecar then goes on.',
  arguments: [{ name: '[workload...]', summary: 'their names; all unless given' }],
  flags: [namespaceFlag, outputFlag, ...meshFlags.slice(0, 1)],
  examples: [
    { command: 'tulle upgrade my-go-service-v1', does: 'the sidecar of one workload' },
    { command: 'tulle upgrade', does: 'those of all, after npm has installed a newer version' },
  ],
  async run(input) {
    const rows: UpgradeRow[] = []
    for (const workload of chosen(input)) rows.push(await upgrade(workload, input.context.self))
    const isGood = rows.every(({ outcome }) => outcome === 'upgraded')
    return {
      exitCode: isGood ? 0 : 1,
      output: {
        data: rows,
        view: {
          kind: 'table',
          table: {
            columns: ['WORKLOAD', 'NAMESPACE', 'OUTCOME', 'VERSION'],
            rows: rows.map(cellsOf),
            empty: 'no workload runs on this host',
          },
        },
      },
    }
  },
}

interface UpgradeRow {
  readonly name: string
  readonly namespace: string
  readonly outcome: 'upgraded' | 'kept'
  /** Undefined: the old one goes on. */
  readonly version: string | undefined
  readonly reason: string | undefined
}

interface LocalWorkload {
  readonly name: string
  readonly namespace: string
  readonly socket: string
}

function cellsOf({ name, namespace, outcome, version, reason }: UpgradeRow): readonly Cell[] {
  const told: Cell =
    outcome === 'upgraded' ? 'upgraded' : { text: `kept: ${reason ?? ''}`, colour: 'red' }
  return [name, namespace, told, version ?? '-']
}

/** Those whose agent has a socket in the mesh's state. */
function chosen({ arguments: names, flags, context }: CommandInput): readonly LocalWorkload[] {
  const home = tulleHome(context.env)
  const mesh = findMesh(home, flags.text('mesh'))
  const state = home.stateOf(mesh.name)
  const wanted = flags.text('namespace')
  const found = foldersOf(state)
    .filter((namespace) => wanted === undefined || namespace === wanted)
    .flatMap((namespace) =>
      foldersOf(join(state, namespace)).map((name) => ({
        name,
        namespace,
        socket: agentSocketPath(join(state, namespace, name), 'agent.sock'),
      })),
    )
    .filter(({ socket }) => existsSync(socket))
  for (const name of names) {
    if (found.some((workload) => workload.name === name)) continue
    throw new MeshError('MESH_USAGE', `no workload ${name} of mesh ${mesh.name} on this host`, {
      remedy: `one of: ${found.map((workload) => workload.name).join(', ') || 'none runs'}`,
    })
  }
  return names.length === 0 ? found : found.filter(({ name }) => names.includes(name))
}

function foldersOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
}

/** The agent gives up by itself after half of it. */
const answerMsMax = 60_000

async function upgrade(
  { name, namespace, socket }: LocalWorkload,
  command: readonly string[],
): Promise<UpgradeRow> {
  const path = `/upgrade?command=${encodeURIComponent(JSON.stringify(command))}`
  const kept = (reason: string): UpgradeRow => {
    const outcome = 'kept' as const
    return { name, namespace, outcome, version: undefined, reason }
  }
  try {
    const address = `unix:${socket}`
    const answer = await askAdmin({ address, path, method: 'POST', timeoutMs: answerMsMax })
    if (answer.status !== 200) return kept(answer.text.trim())
    const version = packageVersion()
    return { name, namespace, outcome: 'upgraded', version, reason: undefined }
  } catch (error) {
    return kept(describeError(error))
  }
}
