/** A listener whose filter chains change while somebody is in the middle of a handshake with one of them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { eventually } from '../support/eventually.ts'
import { inboundListener, staticCluster } from '../support/mtls-bootstrap.ts'
import { openNamedUpstream, openSidecarScene } from '../support/sidecar-scene.ts'
import { createTestAuthority } from '../support/test-certificate.ts'
import { downstreamJson } from '../support/transport-socket.ts'

/** Passes everything on, except that what is written after the first piece waits for `release`. */
class HeldSocket extends Duplex {
  readonly #socket: Socket
  readonly #held: (() => void)[] = []
  #isHolding = false
  #writes = 0

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (chunk) => this.push(chunk))
    socket.on('end', () => this.push(null))
    socket.on('close', () => this.destroy())
  }

  get heldWrites(): number {
    return this.#held.length
  }

  release(): void {
    this.#isHolding = false
    for (const write of this.#held.splice(0)) write()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const write = () => void this.#socket.write(chunk, () => done())
    this.#isHolding ||= this.#writes === 1
    this.#writes++
    if (this.#isHolding) this.#held.push(write)
    else write()
  }

  override _destroy(_error: Error | null, done: () => void): void {
    this.#socket.destroy()
    done()
  }
}

test('a handshake under way ends on the chain that it began with, one answer long', async () => {
  const authority = await createTestAuthority('mesh')
  const uri = (name: string) => ({ uris: [`spiffe://mesh/ns/n/sa/${name}`] })
  const [server, client] = await Promise.all([
    authority.issue(uri('server')),
    authority.issue(uri('client')),
  ])
  await using upstream = await openNamedUpstream('hello')
  const tls = downstreamJson({
    certificate: server,
    requires: true,
    bundles: { mesh: authority.rootPem },
  })
  const resources = (protocols: readonly string[]) => {
    const listener = inboundListener('in', { tls }) as { filter_chains: object[] }
    const match = { transport_protocol: 'tls', application_protocols: protocols }
    const [chain] = listener.filter_chains
    return {
      clusters: [JSON.stringify(staticCluster('app', upstream.port))],
      listeners: [
        JSON.stringify({ ...listener, filter_chains: [{ ...chain, filter_chain_match: match }] }),
      ],
    }
  }
  await using scene = await openSidecarScene({ resources: resources([]) })
  await scene.sidecar.ready
  const socket = connect(await scene.portOf('in'), '127.0.0.1')
  await once(socket, 'connect')
  const held = new HeldSocket(socket)
  const secure = connectTls({
    socket: held,
    key: client.keyPem,
    cert: client.chainPem,
    rejectUnauthorized: false,
  })
  let received = ''
  secure.on('data', (chunk: Buffer) => (received += chunk.toString()))
  secure.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => held.heldWrites > 0)
  scene.set(resources(['istio']))
  await eventually(async () =>
    /application_protocols/.test((await scene.admin('/config_dump')).body),
  )
  held.release()
  await once(secure, 'close')
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n[^]*connection: close[^]*hello/)
})
