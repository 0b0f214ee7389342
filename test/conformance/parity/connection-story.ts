/** Plays stories about connections against one proxy: what each end got, what was logged, and what was counted. */
import { readFileSync } from 'node:fs'

import { RawClient } from '../../support/raw-http2.ts'
import { openClient, type RawEnd, type RawOrigin, type Serve } from './connection-ends.ts'
import { framesText, type Http2Origin, type ServeStream } from './connection-http2.ts'
import { readable } from './connection-text.ts'
import type { OpenProxy } from './open-proxy.ts'
import { statsOf } from './stat-scene.ts'

export type StoryPart = 'client' | 'origin' | 'log' | 'stats'

export interface ConnectionStory {
  /** A claim. */
  readonly name: string
  /** `main` unless set. */
  readonly listener?: string
  readonly play: (stage: Stage) => Promise<void>
  /** What the HTTP/1 origin does with each connection. */
  readonly origin?: Serve
  readonly http2Origin?: ServeStream
}

export interface Stage {
  readonly open: () => Promise<RawEnd>
  readonly openHttp2: () => RawClient
  readonly pause: (ms: number) => Promise<void>
  /** Something that both proxies must agree on. */
  readonly note: (text: string) => void
}

export type StoryOutcome = Readonly<Record<StoryPart, readonly string[]>>

/** The log comes later: the proxies write it when they like. */
export interface PlayedStory extends Omit<StoryOutcome, 'log'> {
  readonly startMs: number
}

export interface Theatre {
  readonly proxy: OpenProxy
  readonly one: RawOrigin
  readonly two: Http2Origin
  readonly log: string
}

/** Long enough for what was written to arrive. */
const settleMs = 70

export async function playStory(story: ConnectionStory, theatre: Theatre): Promise<PlayedStory> {
  const { proxy, one, two } = theatre
  one.clear()
  two.clear()
  await pause(settleMs)
  const before = statsOf(await proxy.admin('/stats'))
  const startMs = Date.now()
  if (story.origin !== undefined) one.serve = story.origin
  if (story.http2Origin !== undefined) two.serve = story.http2Origin
  const plain: RawEnd[] = []
  const framed: RawClient[] = []
  const notes: string[] = []
  const port = proxy.ports.get(story.listener ?? 'main') ?? 0
  await story.play({
    async open() {
      const client = await openClient(port)
      plain.push(client)
      return client
    },
    openHttp2() {
      const client = new RawClient(port)
      framed.push(client)
      client.open()
      return client
    },
    pause,
    note: (text) => void notes.push(text),
  })
  await pause(settleMs)
  const client = [
    ...notes,
    ...plain.flatMap(transcript),
    ...framed.flatMap((each) => framesText(each)),
  ]
  const origin = [...one.connections.flatMap(transcript), ...two.lines]
  for (const { socket } of plain) socket.destroy()
  for (const each of framed) each.close()
  await pause(settleMs)
  const after = statsOf(await proxy.admin('/stats'))
  return { client, origin, stats: changes(before, after), startMs }
}

/** Of stories that were played one after the other: an entry belongs to the last one that began before its request. */
export function addLogs(
  played: readonly PlayedStory[],
  log: string,
): ReadonlyMap<PlayedStory, StoryOutcome> {
  const outcomes = new Map(played.map((one) => [one, { ...one, log: new Array<string>() }]))
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    if (line === '') continue
    const { start, ...entry } = JSON.parse(line) as LogEntry
    const owner = played.findLast(({ startMs }) => startMs <= Number(start) * 1_000)
    if (owner !== undefined) outcomes.get(owner)?.log.push(entryText(entry))
  }
  return outcomes
}

export function logLines(log: string): number {
  return readFileSync(log, 'utf8').split('\n').length
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

function transcript(end: RawEnd): readonly string[] {
  return [...readable(end.text), `<${end.peer}>`]
}

type LogEntry = Readonly<Record<string, unknown>>

function entryText(entry: LogEntry): string {
  const fields = Object.entries(entry).filter(([, value]) => value !== null)
  return fields
    .map(([name, value]) => `${name}=${String(value)}`)
    .sort()
    .join(' ')
}

/** Names whose meaning is the same in both, and which the stories can move. */
const compared = /\.(downstream|upstream)_(cx|rq)_|\.http[12]\./

/** What the stories do not ask about, or is counted otherwise in all of them. */
const uncounted: readonly RegExp[] = [
  // A gauge of Envoy's library.
  /\.http2\.nghttp2_upstream_connections$/,
  // Tulle says FIN at once and waits behind it, Envoy before it, and only where a request is not whole.
  /\.downstream_cx_delayed_close_timeout$/,
  // Whether the client's end or ours comes first is told by that.
  /^cluster\.[^.]+\.external\./,
  /^listener\.[^.]+\.http\./,
  /_bytes_(total|buffered)$/,
  /\.worker_0\./,
  // Ours: refused messages by reason.
  /\.downstream_rq_rejected\./,
  /\.http2\.(outbound|pending_send|deferred)/,
]

function changes(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): readonly string[] {
  const lines: string[] = []
  for (const [name, value] of after) {
    const change = value - (before.get(name) ?? 0)
    if (change === 0 || !compared.test(name) || name.includes('.admin.')) continue
    if (!uncounted.some((pattern) => pattern.test(name))) lines.push(`${name}: ${change}`)
  }
  return lines.sort()
}
