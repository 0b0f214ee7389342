/** `tulle token create|list|revoke`: how workloads of other hosts join. */
import type { CreatedToken, IdentityList, TokenObject } from '../../api/identity.ts'
import { durationMs } from '../../model/duration.ts'
import {
  meshFlags,
  outputFlag,
  usageError,
  type Command,
  type CommandInput,
  type CommandResult,
} from '../command.ts'
import { identityClient } from '../identity-client.ts'
import type { Table } from '../output.ts'

export const tokenCommand: Command = {
  name: 'token',
  summary: 'make, list and revoke the tokens by which workloads of other hosts join',
  description:
    'A token admits one namespace and service account (and WorkloadGroup), so often and so long as you say, and tells ' +
    "the joining host how to know the control plane: by a hash of the mesh's root. It is shown once; only a hash of it is kept. " +
    'Workloads on this host need none.',
  arguments: [
    { name: '<action>', summary: 'create, list or revoke' },
    { name: '[id]', summary: 'with revoke: its id' },
  ],
  flags: [
    outputFlag,
    { flags: '-n, --namespace <namespace>', summary: "with create (default: the mesh's own)" },
    {
      flags: '--service-account <name>',
      summary: 'with create: who the workload is',
      default: 'default',
    },
    {
      flags: '--group <name>',
      summary:
        'with create: WorkloadGroup (or workload of the mesh file) that it may join, and no other',
    },
    { flags: '--ttl <duration>', summary: 'with create: how long it is valid', default: '1h' },
    { flags: '--uses <count>', summary: 'with create: how many may join by it', default: '1' },
    { flags: '--all', summary: 'with list: also those that are used up, expired or revoked' },
    ...meshFlags.slice(0, 1),
  ],
  examples: [
    {
      command: 'tulle token create --namespace shop --service-account cart > token',
      does: 'a token for one workload; copy the file to its host, and tulle run --token-file token there',
    },
    {
      command: 'tulle token create --group cart-v1 --ttl 30m --uses 3',
      does: 'three replicas of a group may join within half an hour',
    },
    {
      command: 'tulle token list --all',
      does: 'who may still join, and who could in the last week',
    },
    { command: 'tulle token revoke 4f21c09b7a6e', does: 'nobody joins by it any more' },
  ],
  run(input) {
    const [action = '', id] = input.arguments
    switch (action) {
      case 'create':
        return create(input)
      case 'list':
        return list(input)
      case 'revoke':
        if (id === undefined) throw usageError('tulle token revoke: the id of the token is missing')
        return revoke(input, id)
      default:
        throw usageError(`unknown action ${JSON.stringify(action)}`, 'one of create, list, revoke')
    }
  },
}

async function create({ flags, context }: CommandInput): Promise<CommandResult> {
  const client = identityClient(flags, context)
  const ttl = flags.text('ttl') ?? '1h'
  if (!/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(ttl)) {
    throw usageError(`--ttl: expected a duration such as 30m, got ${ttl}`)
  }
  const created = await client.call<CreatedToken>('POST /tokens', {
    namespace: flags.text('namespace') ?? client.mesh.namespace,
    serviceAccount: flags.text('serviceAccount') ?? 'default',
    group: flags.text('group'),
    ttlSeconds: durationMs(ttl) / 1_000,
    uses: flags.number('uses', { low: 1, high: 10_000 }) ?? 1,
  })
  const { namespace, serviceAccount, group, usesMax, expiresAt } = created.status
  const whom = `${namespace}/${serviceAccount}${group === undefined ? '' : `, group ${group}`}`
  // Beside the token, so that it alone goes into a file or a pipe.
  context.terminal.writeError(`token for ${whom}: ${usesMax} uses until ${expiresAt}\n`)
  return {
    exitCode: 0,
    output: { data: created, view: { kind: 'text', text: created.token } },
  }
}

async function list({ flags, context }: CommandInput): Promise<CommandResult> {
  const client = identityClient(flags, context)
  const { items } = await client.call<IdentityList<TokenObject>>('GET /tokens')
  const shown = flags.isSet('all') ? items : items.filter(({ state }) => state === 'valid')
  const left = items.length - shown.length
  const empty =
    left === 0 ? 'there are no tokens' : `there is no valid token; --all shows ${left} others`
  return {
    exitCode: 0,
    output: { data: shown, view: { kind: 'table', table: { ...tokenTable(shown), empty } } },
  }
}

async function revoke({ flags, context }: CommandInput, id: string): Promise<CommandResult> {
  const client = identityClient(flags, context)
  const path = `DELETE /tokens/${encodeURIComponent(id)}`
  const revoked = await client.call<TokenObject>(path)
  const text = `token ${revoked.id} is revoked; certificates that were given by it stay good until they end`
  return { exitCode: 0, output: { data: revoked, view: { kind: 'text', text } } }
}

function tokenTable(tokens: readonly TokenObject[]): Omit<Table, 'empty'> {
  return {
    columns: ['ID', 'STATE', 'NAMESPACE', 'SERVICE ACCOUNT', 'GROUP', 'USES LEFT', 'EXPIRES'],
    rows: tokens.map((token) => [
      token.id,
      token.state === 'valid' ? token.state : { text: token.state, colour: 'gray' },
      token.namespace,
      token.serviceAccount,
      token.group ?? '-',
      `${token.usesLeft}/${token.usesMax}`,
      token.expiresAt,
    ]),
  }
}
