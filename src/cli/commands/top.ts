/** `tulle top`: live rate, success and latency of each service and version, from the callers' sidecars. */
import { systemClock } from '../../lib/clock.ts'
import { apiClient, type ApiClient } from '../api-client.ts'
import { meshFlags, outputFlag, type Command, type CommandInput } from '../command.ts'
import { renderTable } from '../output.ts'
import { countEndpoints } from '../top/ejection.ts'
import { scrapeMesh, type MeshScrape } from '../top/scrape-mesh.ts'
import { topTable, type TopRow } from '../top/top-table.ts'
import { trafficBetween } from '../top/traffic.ts'

export const topCommand: Command = {
  name: 'top',
  summary: 'show live rate, success and latency by service and version',
  description:
    'Counts are what callers saw: a request that was retried counts once. EJECTED says how many endpoints some ' +
    'caller has taken out for now. Success is the share of answers below 500. ' +
    'A caller whose sidecar is a plain Envoy is not seen: it has no Istio metrics.',
  flags: [
    outputFlag,
    { flags: '--once', summary: 'look once and end' },
    { flags: '--interval <seconds>', summary: 'time between looks', default: '2' },
    ...meshFlags,
  ],
  examples: [
    { command: 'tulle top', does: 'until Ctrl-C' },
    {
      command: 'tulle top --once --interval 10 -o json',
      does: 'ten seconds of traffic, for a program',
    },
  ],
  async run(input) {
    const { flags, context } = input
    const seconds = flags.number('interval', { low: 1, high: 3_600 }) ?? 2
    const api = apiClient(flags, context)
    if (!flags.isSet('once')) return watch(input, api, seconds)
    const before = await look(api)
    await pause(seconds)
    const rows = rowsBetween(before, await look(api))
    return { exitCode: 0, output: { data: rows, view: { kind: 'table', table: topTable(rows) } } }
  },
}

interface Look {
  readonly scrape: MeshScrape
  readonly atMs: number
}

async function look(api: ApiClient): Promise<Look> {
  const scrape = await scrapeMesh(api)
  return { scrape, atMs: systemClock.monotonicMs() }
}

function rowsBetween(before: Look, after: Look): readonly TopRow[] {
  const { hosts, workloads } = after.scrape
  const endpoints = countEndpoints(hosts, workloads)
  const seconds = (after.atMs - before.atMs) / 1_000
  const rows = trafficBetween(before.scrape.traffic, after.scrape.traffic, seconds)
  return (
    rows
      .map((row) => ({
        ...row,
        endpoints: endpoints.get(`${row.namespace}/${row.service}/${row.version}`),
      }))
      // What has neither traffic nor endpoints is history.
      .filter((row) => row.requestsPerSecond > 0 || row.endpoints !== undefined)
  )
}

async function watch(
  { flags, context }: CommandInput,
  api: ApiClient,
  seconds: number,
): Promise<{ exitCode: number }> {
  const { terminal } = context
  const stop = new AbortController()
  using _stop = context.onStop(() => stop.abort())
  let before = await look(api)
  while (!stop.signal.aborted) {
    await pause(seconds, stop.signal)
    if (stop.signal.aborted) break
    const after = await look(api)
    const rows = rowsBetween(before, after)
    before = after
    if (flags.text('output') === 'json') terminal.write(`${JSON.stringify(rows)}\n`)
    else terminal.write(screen(rows, after, context))
  }
  return { exitCode: 0 }
}

/** On a terminal each look replaces the one before; in a file they follow each other. */
function screen(
  rows: readonly TopRow[],
  { scrape }: Look,
  { terminal }: CommandInput['context'],
): string {
  const clear = terminal.width === undefined ? '' : '\u001b[H\u001b[2J'
  const silent = scrape.silent.length === 0 ? '' : `no answer from ${scrape.silent.join(', ')}\n`
  return `${clear}${renderTable(topTable(rows), terminal)}${silent}\n`
}

function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = systemClock.setTimer(seconds * 1_000, resolve)
    signal?.addEventListener('abort', () => {
      timer.cancel()
      resolve()
    })
  })
}
