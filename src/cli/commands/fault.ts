/** `tulle fault add|list|remove`: faults for a while, beside the configuration. */
import { faultLimits, type FaultList, type FaultObject, type FaultWish } from '../../api/fault.ts'
import { durationMs } from '../../model/duration.ts'
import {
  meshFlags,
  outputFlag,
  usageError,
  type Command,
  type CommandInput,
  type CommandResult,
  type FlagValues,
} from '../command.ts'
import { identityClient } from '../identity-client.ts'
import type { Table } from '../output.ts'

export const faultCommand: Command = {
  name: 'fault',
  summary:
    'delay, fail or cut off requests to a service for a while, to see what its callers make of it',
  description:
    'Faults are injected by the sidecars of the callers, before a request leaves. They stand beside the configuration: ' +
    'no file is changed, a route’s own fault comes back when the injected one ends, and each ends by itself. ' +
    'They outlive a restart of the control plane. Of several for the same request the newest counts.',
  arguments: [
    { name: '<action>', summary: 'add, list or remove' },
    { name: '[name...]', summary: 'with add: the service; with remove: names of faults' },
  ],
  flags: [
    { flags: '--delay <duration>', summary: 'with add: wait so long before the request leaves' },
    {
      flags: '--abort <status>',
      summary: 'with add: answer with this status instead (503, or UNAVAILABLE for gRPC)',
    },
    {
      flags: '--reset',
      summary: 'with add: cut the request off without an answer, as an endpoint that dies',
    },
    { flags: '--percent <share>', summary: 'with add: of how many requests', default: '100' },
    {
      flags: '--from <workload>',
      summary: 'with add: only of this workload, or of those with this label app',
    },
    {
      flags: '-H, --header <name:value>',
      summary: 'with add: only of requests with this header',
      isRepeatable: true,
    },
    { flags: '--for <duration>', summary: 'with add: until when', default: '10m' },
    { flags: '--name <name>', summary: 'with add: how to call it (default: made up)' },
    { flags: '--all', summary: 'with remove: every fault' },
    outputFlag,
    { flags: '-n, --namespace <namespace>', summary: "of the service (default: the mesh's own)" },
    ...meshFlags.slice(0, 1),
  ],
  examples: [
    {
      command: 'tulle fault add reviews --delay 2s --percent 50 --for 5m',
      does: 'every second request to reviews is late, for five minutes',
    },
    {
      command: 'tulle fault add ratings --abort 503 --from reviews-v2 -H end-user:jason',
      does: 'ratings fails for one caller and one user',
    },
    {
      command: 'tulle fault add ratings --reset --percent 5',
      does: 'one request in twenty is cut off without an answer, for ten minutes',
    },
    { command: 'tulle fault remove --all', does: 'nothing is injected any more' },
  ],
  run(input) {
    const [action = '', ...names] = input.arguments
    switch (action) {
      case 'add':
        return add(input, names)
      case 'list':
        return list(input)
      case 'remove':
        return remove(input, names)
      default:
        throw usageError(`unknown action ${JSON.stringify(action)}`, 'one of add, list, remove')
    }
  },
}

async function add(
  { flags, context }: CommandInput,
  names: readonly string[],
): Promise<CommandResult> {
  const [host, ...others] = names
  if (host === undefined || others.length > 0) {
    throw usageError('tulle fault add: expected one service', 'tulle fault add reviews --delay 2s')
  }
  const wish = wishOf(flags, host)
  const client = identityClient(flags, context)
  const namespace = flags.text('namespace') ?? client.mesh.namespace
  const added = await client.call<FaultObject>('POST /faults', { ...wish, namespace })
  const warning = added.warning === undefined ? '' : `\nwarning: ${added.warning}`
  const text = `${added.name}: ${describe(added)}, until ${added.endsAt}${warning}`
  return { exitCode: 0, output: { data: added, view: { kind: 'text', text } } }
}

function wishOf(flags: FlagValues, host: string): Omit<FaultWish, 'namespace'> {
  return {
    host,
    name: flags.text('name'),
    ...effectOf(flags),
    percent: percentOf(flags.text('percent') ?? '100'),
    from: flags.text('from'),
    headers: headersOf(flags.list('header')),
    forMs: lastingMs(flags.text('for') ?? `${faultLimits.forMsDefault}ms`),
  }
}

function effectOf(flags: FlagValues): Pick<FaultWish, 'delayMs' | 'abort' | 'reset'> {
  const delay = flags.text('delay')
  const abort = flags.text('abort')
  const isReset = flags.isSet('reset')
  if (delay === undefined && abort === undefined && !isReset) {
    throw usageError(
      'tulle fault add: give --delay, --abort or --reset, or a delay and one of them',
    )
  }
  if (abort !== undefined && isReset) {
    throw usageError('tulle fault add: --abort answers and --reset does not: give one of them')
  }
  return {
    delayMs: delay === undefined ? undefined : millisecondsOf('delay', delay),
    abort: abort !== undefined && /^\d+$/.test(abort) ? Number(abort) : abort,
    reset: isReset || undefined,
  }
}

function percentOf(text: string): number {
  const percent = Number(text)
  if (percent >= 0.0001 && percent <= 100) return percent
  throw usageError(`--percent: expected a number from 0.0001 to 100, got ${text}`)
}

function lastingMs(text: string): number {
  const forMs = millisecondsOf('for', text)
  if (forMs < 1 || forMs > faultLimits.forMsMax) {
    throw usageError(`--for: expected more than 0s and at most 24h, got ${text}`)
  }
  return forMs
}

function millisecondsOf(flag: string, text: string): number {
  if (!/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text)) {
    throw usageError(`--${flag}: expected a duration such as 500ms or 10m, got ${text}`)
  }
  return durationMs(text)
}

function headersOf(lines: readonly string[]): Record<string, string> | undefined {
  if (lines.length === 0) return undefined
  const entries = lines.map((line) => {
    const [name, value] = line.split(/:(.*)/s)
    if (name === undefined || value === undefined) {
      throw usageError(`--header: expected name:value, got ${line}`)
    }
    return [name.trim(), value.trim()] as const
  })
  return Object.fromEntries(entries)
}

async function list({ flags, context }: CommandInput): Promise<CommandResult> {
  const { items } = await identityClient(flags, context).call<FaultList>('GET /faults')
  return {
    exitCode: 0,
    output: { data: items, view: { kind: 'table', table: faultTable(items) } },
  }
}

async function remove(
  { flags, context }: CommandInput,
  names: readonly string[],
): Promise<CommandResult> {
  if (flags.isSet('all') === names.length > 0) {
    throw usageError('tulle fault remove: give the names of faults, or --all')
  }
  const client = identityClient(flags, context)
  const wanted = flags.isSet('all')
    ? (await client.call<FaultList>('GET /faults')).items.map(({ name }) => name)
    : names
  const removed: FaultObject[] = []
  for (const name of wanted) {
    removed.push(await client.call<FaultObject>(`DELETE /faults/${encodeURIComponent(name)}`))
  }
  const text = removed.map(({ name }) => `${name} is removed`).join('\n') || 'there are no faults'
  return { exitCode: 0, output: { data: removed, view: { kind: 'text', text } } }
}

function faultTable(faults: readonly FaultObject[]): Table {
  return {
    columns: ['NAME', 'HOST', 'FAULT', 'FROM', 'HEADERS', 'ENDS'],
    rows: faults.map((fault) => [
      fault.name,
      fault.host,
      faultText(fault),
      fault.from ?? '-',
      headerText(fault) || '-',
      fault.endsAt,
    ]),
    empty: 'there are no faults',
  }
}

function describe(fault: FaultObject): string {
  const from = fault.from === undefined ? '' : ` from ${fault.from}`
  const headers = headerText(fault)
  return `${faultText(fault)} of requests${from} to ${fault.host}${headers && ` with ${headers}`}`
}

function faultText({ delayMs, abort, reset, percent }: FaultObject): string {
  const parts = [
    ...(delayMs === undefined ? [] : [`delay ${delayMs} ms`]),
    ...(abort === undefined ? [] : [`abort ${abort}`]),
    ...(reset === true ? ['reset'] : []),
  ]
  return `${parts.join(' and ')}, ${percent} %`
}

function headerText({ headers = {} }: FaultObject): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')
}
