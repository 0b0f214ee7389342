/** A proxy that takes HTTP/2 by its preface, and HTTP/2 origins of Node's own, for tests of the codec's two ends. */
import {
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type IncomingHttpHeaders,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'

import { defaultHttp2Options, type Http2Options } from '../../src/proxy/http2/settings.ts'
import type { HttpConnectionManager } from '../../src/proxy/listener/listener-config.ts'
import { createHttp2Stats } from '../../src/proxy/telemetry/http2-stats.ts'
import { createSlots } from '../../src/proxy/telemetry/shared-slots.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { startScene, type Scene, type SceneOptions } from './proxy-scene.ts'

export interface Http2SceneOptions extends SceneOptions {
  readonly http2?: Partial<Http2Options>
}

export interface Http2Scene extends Scene {
  /** A counter of `http2.…`. */
  http2Stat(name: string): number
}

export async function startHttp2Scene(options: Http2SceneOptions = {}): Promise<Http2Scene> {
  const registry = new StatsRegistry(createSlots())
  const http2: NonNullable<HttpConnectionManager['http2']> = {
    codec: 'auto',
    options: { ...defaultHttp2Options, ...options.http2 },
    stats: createHttp2Stats(registry),
  }
  const scene = await startScene({ ...options, manager: { http2, ...options.manager } })
  return Object.assign(scene, {
    http2Stat: (name: string) =>
      registry
        .list()
        .find((stat) => stat.name === `http2.${name}`)
        ?.value() ?? 0,
  })
}

export interface Http2Origin {
  readonly address: WireAddress
  readonly server: Http2Server
  readonly sessions: ServerHttp2Session[]
  [Symbol.asyncDispose](): Promise<void>
}

/** A server of Node's own on a free port, with prior knowledge. */
export async function startHttp2Origin(
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  settings: Settings = {},
): Promise<Http2Origin> {
  const server = createServer({ settings })
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => {
    session.on('error', () => {
      // A connection that is cut belongs to many tests.
    })
    sessions.push(session)
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {
      // So does a stream.
    })
    answer(stream, headers)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    server,
    sessions,
    address: { kind: 'ip', address: '127.0.0.1', port },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
