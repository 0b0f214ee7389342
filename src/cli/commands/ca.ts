/** `tulle ca root add|use|drop|list`: which roots the mesh believes, and which one signs. */
import { resolve } from 'node:path'

import type { IdentityList, RootObject } from '../../api/identity.ts'
import {
  meshFlags,
  outputFlag,
  usageError,
  type Command,
  type CommandInput,
  type CommandResult,
} from '../command.ts'
import { identityClient, type IdentityClient } from '../identity-client.ts'
import type { Table } from '../output.ts'

export const caCommand: Command = {
  name: 'ca',
  summary: "list and change the mesh's roots, with traffic flowing",
  description:
    'The root is changed in three steps: add one (all believe it), use it (it signs; workloads renew within seconds), drop ' +
    'the old one. use and drop wait for those who are connected: they say who is not ready yet.',
  arguments: [
    { name: '<what>', summary: 'root' },
    { name: '<action>', summary: 'list, add, use or drop' },
    { name: '[id]', summary: 'with use and drop: the root, or the beginning of its id' },
  ],
  flags: [
    outputFlag,
    {
      flags: '--from <folder>',
      summary: "with add: a root of your own, in a folder with Istio's cacerts files",
    },
    {
      flags: '--force',
      summary: 'with use and drop: also when it cuts off somebody who is connected',
    },
    { flags: '--pem', summary: 'with list: the roots themselves, for curl and openssl' },
    ...meshFlags.slice(0, 1),
  ],
  examples: [
    { command: 'tulle ca root list', does: 'the roots, the one that signs first' },
    { command: 'tulle ca root list --pem > roots.pem', does: 'a file for curl --cacert' },
    { command: 'tulle ca root add', does: 'a new root; then use it, then drop the old one' },
  ],
  run(input) {
    const [what = '', action = '', id] = input.arguments
    if (what !== 'root') throw usageError(`unknown ${JSON.stringify(what)}`, 'tulle ca root list')
    switch (action) {
      case 'list':
        return list(input)
      case 'add':
        return add(input)
      case 'use':
      case 'drop':
        if (id === undefined) throw usageError(`tulle ca root ${action}: the id is missing`)
        return change(input, action, id)
      default:
        throw usageError(`unknown action ${JSON.stringify(action)}`, 'one of list, add, use, drop')
    }
  },
}

async function list({ flags, context }: CommandInput): Promise<CommandResult> {
  const items = await readRoots(identityClient(flags, context))
  const view = flags.isSet('pem')
    ? { kind: 'text' as const, text: items.map(({ pem }) => pem).join('') }
    : { kind: 'table' as const, table: rootTable(items) }
  return { exitCode: 0, output: { data: items, view } }
}

async function add({ flags, context }: CommandInput): Promise<CommandResult> {
  const from = flags.text('from')
  const body = from === undefined ? {} : { folder: resolve(context.cwd, from) }
  const root = await identityClient(flags, context).call<RootObject>('POST /roots', body)
  const text = `root ${root.id} is believed; it signs after: tulle ca root use ${root.id}`
  return { exitCode: 0, output: { data: root, view: { kind: 'text', text } } }
}

async function change(
  { flags, context }: CommandInput,
  action: 'use' | 'drop',
  id: string,
): Promise<CommandResult> {
  const client = identityClient(flags, context)
  const query = flags.isSet('force') ? '?force=true' : ''
  const path = `/roots/${encodeURIComponent(id)}`
  const target = action === 'use' ? `POST ${path}/use${query}` : `DELETE ${path}${query}`
  const root = await client.call<RootObject>(target)
  const text =
    action === 'use'
      ? `root ${root.id} signs; drop the old one when all have renewed: tulle ca root list`
      : `root ${root.id} is no longer believed`
  return { exitCode: 0, output: { data: root, view: { kind: 'text', text } } }
}

async function readRoots(client: IdentityClient): Promise<readonly RootObject[]> {
  return (await client.call<IdentityList<RootObject>>('GET /roots')).items
}

function rootTable(roots: readonly RootObject[]): Table {
  return {
    columns: ['ID', 'SIGNS', 'KIND', 'SUBJECT', 'ADDED', 'ENDS'],
    rows: roots.map((root) => [
      root.id,
      root.signs ? { text: 'yes', colour: 'green' } : 'no',
      root.kind,
      root.subject,
      root.addedAt.slice(0, 10),
      root.notAfter.slice(0, 10),
    ]),
    empty: 'the mesh believes no root',
  }
}
