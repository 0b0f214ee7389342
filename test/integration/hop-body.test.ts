/**
 * Large bodies over a hop of HTTP/2: whole at the other end, and the memory of neither sidecar follows their size. The bench
 * of hops does the same with 1 GiB.
 */
import assert from 'node:assert/strict'
import { createServer, request as httpRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'

import { runTulleProcess, startHopOf } from '../support/sidecar-hop.ts'

const bodyMb = 256
/** What buffers, windows and a young generation may take, and a body may not. */
const riseMbMax = 32
const chunk = Buffer.alloc(64 * 1024, 'x')

function* chunksOf(megabytes: number): Generator<Buffer> {
  for (let count = 0; count < megabytes * 16; count += 1) yield chunk
}

/** Sends as many megabytes as the path says, and says how many bytes it was sent. */
async function startApp() {
  const server = createServer((request, response) => {
    void answer(Number(request.url?.slice(1)), response)
    let bytes = 0
    request.on('data', (data: Buffer) => (bytes += data.length))
    request.on('end', () => {
      if (request.method === 'POST') response.end(String(bytes))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(megabytes: number, response: ServerResponse): Promise<void> {
  if (megabytes > 0) await pipeline(Readable.from(chunksOf(megabytes)), response)
}

async function download(port: number, megabytes: number): Promise<number> {
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path: `/${megabytes}` }, (response) => {
      response.on('data', (data: Buffer) => (bytes += data.length))
      response.on('end', resolve)
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
  return bytes
}

async function upload(port: number, megabytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/0' }
    const sent = httpRequest(options, (response) => {
      let text = ''
      response.on('data', (data: Buffer) => (text += data.toString()))
      response.on('end', () => resolve(Number(text)))
    })
    sent.on('error', reject)
    Readable.from(chunksOf(megabytes)).pipe(sent)
  })
}

test(
  `${bodyMb} MiB down and up raise the memory of a sidecar by less than ${riseMbMax} MB`,
  { skip: process.platform !== 'linux' && 'reads /proc' },
  async () => {
    await using app = await startApp()
    await using hop = await startHopOf({
      appPort: app.port,
      near: runTulleProcess,
      far: runTulleProcess,
      between: 'http2',
      application: 'http1',
    })
    // What code and its first buffers need is no body's.
    await download(hop.port, 32)
    await upload(hop.port, 32)
    const ends = [hop.near, hop.far]
    const before = ends.map((end) => end.residentMb())
    const most = [...before]
    const timer = setInterval(() => {
      for (const [index, end] of ends.entries()) {
        most[index] = Math.max(most[index] ?? 0, end.residentMb())
      }
    }, 20)
    try {
      assert.equal(await download(hop.port, bodyMb), bodyMb * 1024 * 1024)
      assert.equal(await upload(hop.port, bodyMb), bodyMb * 1024 * 1024)
    } finally {
      clearInterval(timer)
    }
    for (const [index, end] of ['near', 'far'].entries()) {
      const rise = (most[index] ?? 0) - (before[index] ?? 0)
      assert.ok(rise < riseMbMax, `${end}: ${rise.toFixed(1)} MB`)
    }
  },
)
