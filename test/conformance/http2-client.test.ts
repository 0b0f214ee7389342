/** Clients of HTTP/2 that others wrote, against a sidecar, in plaintext and over TLS: curl, nghttp and h2load. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'

import { inboundBootstrap } from '../support/mtls-bootstrap.ts'
import { type RunningProxy, runTulle } from '../support/mtls-scene.ts'
import { findProgram, skipUnless } from '../support/programs.ts'
import { createTestAuthority } from '../support/test-certificate.ts'
import { downstreamJson } from '../support/transport-socket.ts'

const execute = promisify(execFile)
const bodyBytes = 300_000

/** Runs a program that has to be there; its output, whatever its exit code. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { timeout: 30_000 })
  return stdout
}

suite('HTTP/2 clients of others', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-clients-'))
  const upload = join(folder, 'upload')
  let app: Server
  let proxy: RunningProxy
  const url = (scheme: string, path = '/'): string => `${scheme}://127.0.0.1:${proxy.port}${path}`

  before(async () => {
    writeFileSync(upload, 'x'.repeat(bodyBytes))
    app = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
      let bytes = 0
      request.on('data', (chunk: Buffer) => (bytes += chunk.length))
      request.on('end', () => {
        const body = request.url === '/large' ? 'y'.repeat(bodyBytes) : `read ${bytes}`
        response.setHeader('content-length', body.length)
        response.end(body)
      })
    })
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    const authority = await createTestAuthority('mesh')
    const certificate = await authority.issue({ uris: ['spiffe://cluster.local/ns/a/sa/b'] })
    const tls = downstreamJson({ certificate, requires: false, alpn: ['h2', 'http/1.1'] })
    const { port } = app.address() as AddressInfo
    proxy = await runTulle(inboundBootstrap({ tls, appPort: port, mode: 'permissive' }))
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    app.closeAllConnections()
    app.close()
    rmSync(folder, { recursive: true })
  })

  const curl = findProgram('curl')
  const curls: readonly (readonly [name: string, scheme: string, flags: readonly string[]])[] = [
    ['with prior knowledge', 'http', ['--http2-prior-knowledge']],
    ['by ALPN', 'https', ['-k', '--http2']],
  ]
  for (const [name, scheme, flags] of curls) {
    test(`curl speaks HTTP/2 ${name}`, { skip: skipUnless(curl, 'curl') }, async () => {
      const ask = (...args: readonly string[]): Promise<string> =>
        run(curl ?? '', ['-sS', ...flags, '-w', ' %{http_version} %{response_code}', ...args])
      assert.equal(await ask(url(scheme)), 'read 0 2 200')
      assert.equal(await ask('--data-binary', `@${upload}`, url(scheme)), `read ${bodyBytes} 2 200`)
      assert.equal(await ask('-o', '/dev/null', url(scheme, '/large')), ' 2 200')
      assert.match(await ask('-I', url(scheme)), /content-length: 6\r\n[^]* 2 200$/)
    })
  }

  test(
    'curl that offers h2c by an upgrade gets HTTP/1.1',
    { skip: skipUnless(curl, 'curl') },
    async () => {
      const flags = ['-sS', '--http2', '-w', ' %{http_version} %{response_code}']
      assert.equal(await run(curl ?? '', [...flags, url('http')]), 'read 0 1.1 200')
    },
  )

  const nghttp = findProgram('nghttp')
  const nghttps: readonly (readonly [name: string, flags: readonly string[], answers: number])[] = [
    ['one request', [], 1],
    ['many at once', ['-m', '50'], 50],
    ['a body with padding', ['-d', upload, '-b', '200'], 1],
    ['a head in CONTINUATION frames', ['--continuation'], 1],
    ['trailers', ['-d', upload, '--trailer', 'x-sum: 1'], 1],
    ['small windows', ['-w', '10', '-W', '12', '-m', '3'], 3],
    ['a table of no bytes', ['-c', '0', '-m', '5'], 5],
  ]
  for (const scheme of ['http', 'https']) {
    for (const [name, flags, answers] of nghttps) {
      test(`nghttp over ${scheme}: ${name}`, { skip: skipUnless(nghttp, 'nghttp') }, async () => {
        const out = await run(nghttp ?? '', [
          '-n',
          '-v',
          '--no-dep',
          ...flags,
          url(scheme, '/large'),
        ])
        assert.equal(out.match(/:status: 200/g)?.length, answers, out)
        assert.doesNotMatch(out, /RST_STREAM|error_code=(?!NO_ERROR)/)
        const bytes = [...out.matchAll(/recv DATA frame <length=(\d+)/g)]
        const sum = bytes.reduce((total, match) => total + Number(match[1]), 0)
        assert.equal(sum, answers * bodyBytes)
      })
    }
  }

  const h2load = findProgram('h2load')
  const loads: readonly (readonly [name: string, path: string, flags: readonly string[]])[] = [
    ['many streams', '/', ['-n', '2000', '-c', '4', '-m', '50']],
    ['small windows', '/large', ['-n', '100', '-c', '2', '-m', '10', '-w', '14', '-W', '15']],
    ['bodies', '/', ['-n', '100', '-c', '2', '-m', '10', '-d', upload]],
  ]
  for (const scheme of ['http', 'https']) {
    for (const [name, path, flags] of loads) {
      test(`h2load over ${scheme}: ${name}`, { skip: skipUnless(h2load, 'h2load') }, async () => {
        const out = await run(h2load ?? '', [...flags, url(scheme, path)])
        const [, total] = flags
        assert.match(out, new RegExp(`${total} done, ${total} succeeded, 0 failed, 0 errored`), out)
        assert.match(out, new RegExp(`status codes: ${total} 2xx`))
      })
    }
  }
})
