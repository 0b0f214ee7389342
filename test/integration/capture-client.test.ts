/**
 * Real clients with the environment of capture mode `env`: a request for a name of the mesh arrives at the
 * proxy port, one for the host itself does not. The proxy here only writes down what reaches it.
 */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { captureEnvironment } from '../../src/capture/environment.ts'
import { goClient } from '../support/go-client.ts'
import { findProgram, skipUnless } from '../support/programs.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'tulle-capture-'))
const seenByProxy: string[] = []
const seenDirectly: string[] = []

/** Answers everything and writes down what was asked for, as it was written in the request line. */
async function listen(seen: string[]): Promise<Server> {
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.end('answered\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

let proxy: Server
let direct: Server
before(async () => {
  proxy = await listen(seenByProxy)
  direct = await listen(seenDirectly)
})
after(() => {
  for (const server of [proxy, direct]) {
    server.close()
    server.closeAllConnections()
  }
  rmSync(folder, { recursive: true, force: true })
})

function portOf(server: Server): number {
  // A server that listens on TCP has an address of this kind.
  return (server.address() as AddressInfo).port
}

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function hasRequests(): string | false {
  try {
    execFileSync('python3', ['-c', 'import requests'], { stdio: 'ignore' })
    return false
  } catch {
    return "Python's package requests is not installed"
  }
}

const javaProgram = `import java.net.*;
public class Client {
  public static void main(String[] arguments) throws Exception {
    System.out.print(new String(new URL(arguments[0]).openStream().readAllBytes()));
  }
}`

/** Each takes a URL as its last argument and prints the body. */
const clients = [
  {
    name: 'curl',
    skip: skipUnless(findProgram('curl'), 'curl'),
    command: () => ['curl', '-sS'],
  },
  {
    name: 'Python urllib',
    skip: skipUnless(findProgram('python3'), 'python3'),
    command: () => [
      'python3',
      '-c',
      'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode(), end="")',
    ],
  },
  {
    name: 'Python requests',
    skip: hasRequests(),
    command: () => [
      'python3',
      '-c',
      'import sys, requests; print(requests.get(sys.argv[1]).text, end="")',
    ],
  },
  {
    name: 'Go net/http',
    skip: skipUnless(findProgram('go'), 'go'),
    command: () => ['go', 'run', write('client.go', goClient)],
  },
  {
    name: 'Node fetch',
    skip: false as const,
    command: () => [
      process.execPath,
      '-e',
      'fetch(process.argv[1]).then(async (r) => process.stdout.write(await r.text()))',
    ],
  },
  {
    name: 'Node http.get',
    skip: false as const,
    command: () => [
      process.execPath,
      '-e',
      'require("http").get(process.argv[1], (r) => r.pipe(process.stdout))',
    ],
  },
  {
    name: 'Java URLConnection',
    skip: skipUnless(findProgram('java'), 'java'),
    command: () => ['java', write('Client.java', javaProgram)],
  },
]

for (const [index, client] of clients.entries()) {
  test(
    `${client.name} goes through the sidecar, and to the host itself directly`,
    {
      skip: client.skip,
    },
    async () => {
      const variables = captureEnvironment({
        mode: 'env',
        httpProxyPort: portOf(proxy),
        upstreams: [],
        base: process.env,
      })
      const ask = async (url: string) => {
        const [program = '', ...words] = client.command()
        const env = { ...process.env, ...variables }
        const { stdout } = await run(program, [...words, url], { env, cwd: folder })
        return stdout
      }
      const meshUrl = `http://my-service.mesh:8080/${index}?x=1`
      assert.equal(await ask(meshUrl), 'answered\n')
      assert.ok(seenByProxy.includes(`GET ${meshUrl}`), `the proxy saw ${seenByProxy.join(', ')}`)

      const before = seenByProxy.length
      assert.equal(await ask(`http://127.0.0.1:${portOf(direct)}/${index}`), 'answered\n')
      assert.ok(seenDirectly.includes(`GET /${index}`))
      assert.equal(seenByProxy.length, before)
    },
  )
}
