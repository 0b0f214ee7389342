/**
 * TCP and TLS routes, and ports without a protocol: Istio's YAML, translated, through ADS, in a real Envoy and in our own
 * sidecar; by CONNECT and by localhost ports.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { translateAll } from '../../src/translate/full.ts'
import { type AdsServer, openAdsServer } from '../../src/xds/ads-server.ts'
import { type OpenProxy, openEnvoy, openTulle } from '../conformance/parity/open-proxy.ts'
import { type TcpBackend, openBackend } from '../conformance/parity/tcp-backend.ts'
import { clientHello } from '../conformance/parity/tcp-cases.ts'
import { TestSource } from '../support/ads-source.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { bootstrapFor } from '../support/sidecar-scene.ts'
import { readTranslationCase } from '../support/translation-case.ts'

const envoy = findEnvoy()

interface Ports {
  readonly proxy: number
  readonly tcp: number
  readonly tls: number
  readonly detected: number
  /** Of a Sidecar's egress listener. */
  readonly egress: number
}

function sceneText(userAgent: string, ports: Ports, backends: ReadonlyMap<string, number>): string {
  const endpoint = (name: string): string =>
    `endpoints: [ { address: 127.0.0.1, port: ${backends.get(name)} } ]`
  return `
kind: Scene
meshConfig: { protocolDetectionTimeout: 0.2s }
client:
  userAgent: ${userAgent}
  metadata:
    HTTP_PROXY_PORT: ${ports.proxy}
    UPSTREAMS:
    - { host: db, port: 5432, localPort: ${ports.tcp} }
    - { host: mirror.example.com, port: 443, localPort: ${ports.tls} }
    - { host: greeter, port: 9000, localPort: ${ports.detected} }
services:
- hostname: db.default.svc.cluster.local
  ports: [ { number: 5432, name: tcp, protocol: tcp } ]
  ${endpoint('c')}
- hostname: a.default.svc.cluster.local
  ports: [ { number: 1, name: tcp, protocol: tcp } ]
  ${endpoint('a')}
- hostname: b.default.svc.cluster.local
  ports: [ { number: 1, name: tcp, protocol: tcp } ]
  ${endpoint('b')}
- hostname: mirror.example.com
  isMeshExternal: true
  ports: [ { number: 443, name: tls, protocol: tls } ]
  ${endpoint('c')}
- hostname: greeter.default.svc.cluster.local
  ports: [ { number: 9000, name: "", protocol: auto } ]
  ${endpoint('greeter')}
- hostname: web.default.svc.cluster.local
  ports: [ { number: ${ports.egress}, name: http } ]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default }
spec:
  egress:
  - { port: { number: ${ports.egress}, protocol: HTTP }, bind: 127.0.0.1, hosts: [ ./* ] }
  - { hosts: [ '*/*' ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [ web ]
  http:
  - directResponse: { status: 200, body: { string: by its own port } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec:
  hosts: [ db ]
  tcp:
  - match: [ { port: 5432 } ]
    route: [ { destination: { host: a }, weight: 50 }, { destination: { host: b }, weight: 50 } ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: mirror }
spec:
  hosts: [ mirror.example.com, "*.mirror.example.com" ]
  tls:
  - match: [ { sniHosts: [ mirror.example.com ] } ]
    route: [ { destination: { host: a } } ]
  - match: [ { sniHosts: [ "*.mirror.example.com" ] } ]
    route: [ { destination: { host: b } } ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: greeter }
spec:
  hosts: [ greeter ]
  http:
  - directResponse: { status: 200, body: { string: it is HTTP } }
`
}

const helloA = await clientHello('mirror.example.com')
const helloB = await clientHello('eu.mirror.example.com')
const helloOther = await clientHello('other.example.com')
const request = Buffer.from('GET / HTTP/1.1\r\nHost: greeter:9000\r\n\r\n')

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const answer = (is: boolean) => (): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', answer(true))
    socket.once('error', answer(false))
  })
}

for (const kind of ['envoy', 'tulle'] as const) {
  const skip = kind === 'envoy' ? skipUnless(envoy, 'envoy') : false
  describe(`TCP and TLS routes in ${kind}`, { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-l4-'))
    const backends: TcpBackend[] = []
    const sockets: Socket[] = []
    let ports: Ports = { proxy: 0, tcp: 0, tls: 0, detected: 0, egress: 0 }
    let server: AdsServer | undefined
    let proxy: OpenProxy | undefined

    before(async () => {
      for (const name of ['a', 'b', 'c']) backends.push(await openBackend(name, 'echo'))
      backends.push(await openBackend('greeter', 'greet'))
      const free = await Promise.all(Array.from({ length: 5 }, freePort))
      const [own = 0, tcp = 0, tls = 0, detected = 0, egress = 0] = free
      ports = { proxy: own, tcp, tls, detected, egress }
      const byName = new Map(backends.map(({ name, port }) => [name, port]))
      const { input, node } = readTranslationCase(sceneText(kind, ports, byName))
      const source = new TestSource()
      source.setView(translateAll(input, node))
      server = await openAdsServer({
        listen: { host: '127.0.0.1', port: 0 },
        source,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        debounce: { leadingMs: 0, quietMs: 0, waitMsMax: 1 },
      })
      const file = join(folder, 'bootstrap.yaml')
      writeFileSync(file, bootstrapFor(server.address, 'delta'))
      const options = { file, folder, envoy: envoy ?? '', listeners: 5 }
      proxy = kind === 'envoy' ? await openEnvoy(options) : await openTulle(file)
      for (const port of Object.values(ports) as number[]) {
        await eventually(() => isOpen(port), { deadlineMs: 10_000 })
      }
    })

    after(async () => {
      for (const socket of sockets) socket.destroy()
      await proxy?.[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
      for (const backend of backends) await backend[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    })

    /** What comes back, until it matches. */
    function ask(
      port: number,
      sent: readonly (string | Buffer)[],
      answer: RegExp,
    ): Promise<string> {
      return new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, noDelay: true })
        sockets.push(socket)
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
          if (answer.test(text)) resolve(text)
        })
        socket.on('error', reject)
        socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)))
        for (const piece of sent) socket.write(piece)
      })
    }

    const tunnel = (host: string): string => `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

    test('connections are shared by weight, by a localhost port and by CONNECT', async () => {
      for (const by of ['localhost', 'tunnel'] as const) {
        const seen = new Set<string>()
        for (let round = 0; round < 40 && seen.size < 2; round += 1) {
          const answer =
            by === 'localhost'
              ? await ask(ports.tcp, ['ping'], /[ab]: ping/)
              : await ask(ports.proxy, [tunnel('db:5432'), 'ping'], /[ab]: ping/)
          seen.add(/([ab]): ping/.exec(answer)?.[1] ?? '')
        }
        assert.deepEqual([...seen].sort(), ['a', 'b'], by)
      }
    })

    const byName = [
      ['a', helloA],
      ['b', helloB],
      ['c', helloOther],
    ] as const
    for (const [name, hello] of byName) {
      test(`the server name leads to ${name}, by a localhost port and by CONNECT`, async () => {
        const answer = new RegExp(`(^|\\r\\n\\r\\n)${name}: `)
        assert.match(await ask(ports.tls, [hello], answer), answer)
        const sent = [tunnel('mirror.example.com:443'), hello]
        assert.match(await ask(ports.proxy, sent, answer), answer)
      })
    }

    test('on a port without a protocol requests are routed', async () => {
      const answer = /it is HTTP/
      await ask(ports.detected, [request], answer)
      await ask(ports.proxy, [tunnel('greeter:9000'), request], answer)
      await ask(
        ports.proxy,
        ['GET http://greeter:9000/ HTTP/1.1\r\nHost: greeter:9000\r\n\r\n'],
        answer,
      )
    })

    test('a Sidecar’s egress listener takes names without a port', async () => {
      await ask(ports.egress, ['GET / HTTP/1.1\r\nHost: web\r\n\r\n'], /by its own port/)
    })

    test('and a server that speaks first is heard', async () => {
      const answer = /greeter: hello/
      await ask(ports.detected, [], answer)
      await ask(ports.proxy, [tunnel('greeter:9000')], answer)
    })
  })
}
